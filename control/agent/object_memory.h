/// The objects in memory: what is written down of them, what is seen, who has which address, and who hears of changes.
///
/// Shape:   records are what is stored; what is seen (list, find) is more (seen_objects.h).
/// Cost:    a change costs the objects it names and the services they touch, whatever else there is.
/// Thread:  any. Who changes holds hold(), so changes come one after the other; readers wait only while the memory is
///          exchanged. Functions that say "with the hold" read what only changes under it.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/object_store.h"
#include "control/agent/seen_objects.h"
#include "control/agent/service_allocator.h"

namespace millrace::control::agent {

/// What one request, or one message of the cluster, does to the objects.
struct ObjectEdit {
  std::map<kube::ObjectKey, ObjectRecord> put;
  std::vector<kube::ObjectKey> gone;  // may name what is not there
  // What a cluster says besides, of other nodes; nullopt: it went.
  std::map<AttachmentPlace, std::optional<PodAttachment>> attachments;
  std::map<std::string, std::optional<kube::Node>> nodes;

  bool empty() const { return put.empty() && gone.empty() && attachments.empty() && nodes.empty(); }
};

class ObjectMemory final : public ObjectStore {
 public:
  using Hold = std::unique_lock<std::mutex>;

  /// `self`: this node, for when nobody applies it.
  explicit ObjectMemory(kube::Node self) : seen_(records_, std::move(self)) {}

  std::vector<ObjectRef> list(kube::Kind kind) const override;
  using ObjectStore::list;
  ObjectRef find(const kube::ObjectKey& key) const override;
  void on_change(ObjectListener listener) override;
  std::vector<LocalPort> local_ports() const override;
  void set_gate(ObjectGate* gate) override;

  /// The node that this is.
  const std::string& self() const { return seen_.self(); }
  /// `listener` is told the attachments of this node, each time they are noted. Before the agent serves.
  void on_attachments(std::function<void(const std::vector<Attachment>&)> listener);
  /// Calls `read` with records and view of one moment.
  void read(const std::function<void(const ObjectRecords&, const SeenObjects&)>& read) const;

  Hold hold() { return Hold(change_mutex_); }
  // With the hold:
  const ObjectRecords& records() const { return records_; }
  const SeenObjects& seen() const { return seen_; }
  ServiceClaims& claims() { return claims_; }
  /// What the gate says of `edit` before it is made.
  net::Result<void> check(const ObjectEdit& edit) const;
  /// Makes `edit`, and tells gate and listeners. Error: the gate's, and the edit stays.
  net::Result<void> take(ObjectEdit edit);
  /// The attachments of this node: active ones that name their pod. Error: the gate's.
  net::Result<void> set_attachments(const std::vector<Attachment>& attachments);

 private:
  net::Result<void> tell(const ObjectChanges& changes) const;

  std::mutex change_mutex_;  // taken first: one change at a time
  ServiceClaims claims_;     // of the records; under change_mutex_
  std::vector<ObjectListener> listeners_;
  std::function<void(const std::vector<Attachment>&)> attachment_listener_;
  ObjectGate* gate_ = nullptr;
  mutable std::mutex mutex_;  // of what follows: changed under both
  ObjectRecords records_;
  SeenObjects seen_;
  std::vector<LocalPort> ports_;
};

}  // namespace millrace::control::agent
