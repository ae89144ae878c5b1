/// The objects of a cluster, put together: what agent.cc needs of this folder besides the link.
///
/// Order:   open() -> link.start() -> start(). What open() returns must end before this.
/// Thread:  as the parts have it.
#pragma once

#include <memory>

#include "control/agent/cluster/attachment_publisher.h"
#include "control/agent/cluster/cluster_backend.h"
#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/cluster_view.h"
#include "control/agent/object_manager.h"

namespace millrace::control::agent::cluster {

class ClusterObjects {
 public:
  /// `link` outlives it. `store`: of the attachments. Objects that the store has are not looked at: the log says so.
  static net::Result<std::unique_ptr<ClusterObjects>> open(ClusterLink& link, Store& store, ServiceRanges ranges,
                                                           kube::Node self);
  ObjectManager& objects() { return *objects_; }
  /// From now on the cluster is told of this node's pods.
  void start() { publisher_->start(); }
  void stop() { publisher_->stop(); }

  ClusterView::Counts counts() const { return view_->counts(); }
  AttachmentPublisher::Status published() const { return publisher_->status(); }

 private:
  ClusterObjects() = default;

  std::unique_ptr<ClusterView> view_;
  std::unique_ptr<AttachmentPublisher> publisher_;
  std::unique_ptr<ObjectManager> objects_;
};

}  // namespace millrace::control::agent::cluster
