/// The objects as they are seen: what is stored, and what attachments, namespaces in use and nodes add to it.
///
/// Shape:   a Pod has the addresses of its attachment and runs as long as it has one; an attached pod that nobody
///          applied is a Pod without labels. Of several attachments that of a node that is there counts before others,
///          then the node where the pod came last; on a node the first: more networks of one pod are no addresses of
///          its Services. A pod of a node that is not there is not ready.
///          Every namespace in use is a Namespace, and this node and every other that is there is a Node.
/// Cost:    a change costs the objects it touches, whatever else there is.
/// Thread:  one for changes; who reads view() meanwhile holds the lock that is held for them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/object_store.h"
#include "control/agent/pod_attachment.h"

namespace millrace::control::agent {

struct ObjectRecord {
  ObjectRef object;  // as it is stored
  std::string json;
  std::uint64_t created_unix_ms = 0;
};
using ObjectRecords = std::map<kube::ObjectKey, ObjectRecord>;

/// As others see it.
PodAttachment pod_attachment(const Attachment& attachment);

class SeenObjects {
 public:
  using View = std::map<kube::ObjectKey, ObjectRef>;

  /// `records` are looked at in each change, and outlive this.
  SeenObjects(const ObjectRecords& records, kube::Node self) : records_(records), self_(std::move(self)) {}

  const View& view() const { return view_; }
  const std::string& self() const { return self_.meta.name; }
  bool is_attached(const kube::ObjectKey& pod) const { return attachments_.contains(pod); }

  /// `keys` are those whose records came, changed or went. Returns what is seen otherwise than before, sorted.
  ObjectChanges update(std::set<kube::ObjectKey> keys);
  /// What update() would return if `put` were the records of their keys.
  ObjectChanges foresee(const View& put) const;
  /// The attachments of this node there are now: active ones that name their pod.
  ObjectChanges set_attachments(const std::vector<Attachment>& attachments);
  // Of other nodes; nullopt: it went. What is seen otherwise of that is added to `keys`, for update().
  void put_attachment(const AttachmentPlace& place, std::optional<PodAttachment> attachment,
                      std::set<kube::ObjectKey>& keys);
  void put_node(const std::string& name, std::optional<kube::Node> node, std::set<kube::ObjectKey>& keys);

 private:
  ObjectRef see(const kube::ObjectKey& key) const;
  /// A Pod with what its attachments give it; `stored` may be nullptr.
  ObjectRef with_attachments(const kube::ObjectKey& key, const ObjectRef& stored) const;
  bool is_in_use(const std::string& name_space) const;
  bool is_there(const std::string& node) const { return node == self_.meta.name || nodes_.contains(node); }
  void erase(const AttachmentPlace& place, std::set<kube::ObjectKey>& keys);

  const ObjectRecords& records_;
  const kube::Node self_;
  std::map<std::string, kube::Node> nodes_;                                          // others that are there
  std::map<AttachmentPlace, kube::ObjectKey> pods_;                                  // of all attachments
  std::map<kube::ObjectKey, std::map<AttachmentPlace, PodAttachment>> attachments_;  // by pod
  View view_;
};

}  // namespace millrace::control::agent
