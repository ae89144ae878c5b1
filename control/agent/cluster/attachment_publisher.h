/// Tells the cluster which pods run on this node, and keeps it told.
///
/// Shape:   what etcd has under attachments/NODE/ becomes what the node has, by the difference of the two, on a thread
///          of its own: a pod's ADD and DEL do not wait for etcd. What came and went while etcd was away is told when
///          it is back; what somebody else changed there is put right. Only this node's keys are touched.
/// Errors:  none; while etcd refuses it is tried again, after kFirstPause doubling to kLastPause, and the log has it
///          once.
/// Thread:  any. set() returns at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "control/agent/cluster/cluster_link.h"
#include "control/agent/cluster/keys.h"
#include "control/agent/model.h"
#include "control/etcd/mirror.h"

namespace millrace::control::agent::cluster {

class AttachmentPublisher {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{200}, kLastPause{5000};

  AttachmentPublisher(Transactions& etcd, Keys keys, std::string node);
  ~AttachmentPublisher() { stop(); }

  /// The attachments there are: active ones that name their pod.
  void set(const std::vector<Attachment>& attachments);
  /// Of the cluster; a batch that names none of this node's keys costs nothing.
  void on_batch(const etcd::Batch& batch);
  /// From now on: the first batch was told, and set() was called.
  void start();
  void stop();

  struct Status {
    std::size_t pending = 0;  // keys that are not as they should be
    std::string message;      // why; empty while there is no error
  };
  Status status() const;

 private:
  void run();
  etcd::Txn difference() const;

  Transactions& etcd_;
  const Keys keys_;
  const std::string node_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> wanted_, there_;  // key -> value
  std::string message_;
  bool is_dirty_ = false;  // something changed since the last difference
  bool is_stopped_ = false;
  std::thread thread_;
};

}  // namespace millrace::control::agent::cluster
