/// The objects as they are seen: what is stored, and what attachments, namespaces in use and this node add to it.
///
/// Shape:   a Pod has the addresses of its attachments and runs as long as it has one; an attached pod that nobody
///          applied is a Pod without labels. Every namespace in use is a Namespace, and this node is a Node.
/// Cost:    a change costs the objects it touches, whatever else there is.
/// Thread:  one for changes; who reads view() meanwhile holds the lock that is held for them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/object_store.h"

namespace millrace::control::agent {

struct ObjectRecord {
  ObjectRef object;  // as it is stored
  std::string json;
  std::uint64_t created_unix_ms = 0;
};
using ObjectRecords = std::map<kube::ObjectKey, ObjectRecord>;

class SeenObjects {
 public:
  using View = std::map<kube::ObjectKey, ObjectRef>;

  /// `records` are looked at in each change, and outlive this.
  SeenObjects(const ObjectRecords& records, kube::Node self) : records_(records), self_(std::move(self)) {}

  const View& view() const { return view_; }
  bool is_attached(const kube::ObjectKey& pod) const { return attachments_.contains(pod); }

  /// `keys` are those whose records came, changed or went. Returns what is seen otherwise than before, sorted.
  ObjectChanges update(std::set<kube::ObjectKey> keys);
  /// What update() would return if `put` were the records of their keys.
  ObjectChanges foresee(const View& put) const;
  /// The attachments there are now: active ones that name their pod.
  ObjectChanges set_attachments(const std::vector<Attachment>& attachments);

 private:
  ObjectRef see(const kube::ObjectKey& key) const;
  /// A Pod with what its attachments give it; `stored` may be nullptr.
  ObjectRef with_attachments(const kube::ObjectKey& key, const ObjectRef& stored) const;
  bool is_in_use(const std::string& name_space) const;

  const ObjectRecords& records_;
  const kube::Node self_;
  std::map<kube::ObjectKey, std::vector<Attachment>> attachments_;  // by pod
  View view_;
};

}  // namespace millrace::control::agent
