/// Kubernetes objects: apply, get and delete, over the store on disk and what is held in memory for readers.
///
/// Shape:   what is stored is what was applied, with what was allocated. What is seen (list, find, get) is more
///          (seen_objects.h), and get() shows the endpoints that follow from selectors (derived_objects.h).
/// Cost:    a change costs the objects it names and the services they touch, whatever else there is.
/// Order:   check all -> allocate -> the gate agrees -> one transaction -> memory -> gate -> listeners -> answer.
/// Errors:  as a whole or not at all; each begins with the object, "service/default/web: ...". kNotFound for a name to
///          delete that is not there, kFailedPrecondition for a Namespace in use or a Pod that is attached.
/// Thread:  any. Changes wait for one another; readers wait only while the memory is exchanged.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/object_store.h"
#include "control/agent/seen_objects.h"
#include "control/agent/service_allocator.h"
#include "control/agent/store.h"
#include "control/kube/manifest.h"

namespace millrace::control::agent {

inline constexpr std::size_t kObjectLimit = 262'144;

enum class Outcome : std::uint8_t { kCreated, kConfigured, kUnchanged };

struct Applied {
  kube::ObjectKey key;
  Outcome outcome = Outcome::kCreated;
};

class ObjectManager final : public ObjectStore {
 public:
  /// `self`: this node, for when nobody applies it.
  static net::Result<std::unique_ptr<ObjectManager>> open(Store& store, ServiceRanges ranges, kube::Node self);

  std::vector<ObjectRef> list(kube::Kind kind) const override;
  using ObjectStore::list;
  ObjectRef find(const kube::ObjectKey& key) const override;
  void on_change(ObjectListener listener) override;
  std::vector<LocalPort> local_ports() const override;
  void set_gate(ObjectGate* gate) override;

  net::Result<std::vector<Applied>> apply(std::vector<kube::Manifest> manifests, bool dry_run);
  net::Result<void> remove(const std::vector<kube::ObjectKey>& keys, bool dry_run);
  /// The Pod goes though it is attached, and need not be there: its runtime takes the attachment away.
  net::Result<void> remove_pod(const std::string& name_space, const std::string& name);
  /// JSON as it is shown, sorted; `name_space` and `name` "" are all.
  net::Result<std::vector<nlohmann::json>> get(kube::Kind kind, const std::string& name_space,
                                               const std::string& name) const;
  /// To be called after attachments came or went, before who wanted it is answered. An error may be another
  /// attachment's, when several change at once.
  net::Result<void> note_attachments();

 private:
  ObjectManager(Store& store, ServiceRanges ranges, kube::Node self)
      : store_(store), ranges_(std::move(ranges)), seen_(records_, std::move(self)) {}

  net::Result<void> allocate(std::vector<kube::Manifest>& manifests) const;
  net::Result<void> check_removal(const kube::ObjectKey& key, const std::vector<kube::ObjectKey>& all) const;
  net::Result<void> commit(const std::vector<StoredObject>& put, std::map<kube::ObjectKey, ObjectRef> objects,
                           const std::vector<kube::ObjectKey>& gone);
  net::Result<void> tell(const ObjectChanges& changes) const;

  Store& store_;
  const ServiceRanges ranges_;

  std::mutex change_mutex_;  // taken first: one change at a time
  ServiceClaims claims_;     // of the records; under change_mutex_
  std::vector<ObjectListener> listeners_;
  ObjectGate* gate_ = nullptr;
  mutable std::mutex mutex_;  // of what follows: changed under both
  ObjectRecords records_;
  SeenObjects seen_;
  std::vector<LocalPort> ports_;
};

}  // namespace millrace::control::agent
