/// Kubernetes objects: apply, get and delete, over what is written down (object_backend.h) and what is held in memory.
///
/// Shape:   what is stored is what was applied, with what was allocated. What is seen (list, find, get) is more
///          (seen_objects.h), and get() shows the endpoints that follow from selectors (derived_objects.h).
/// Cost:    a change costs the objects it names and the services they touch, whatever else there is.
/// Order:   check all -> allocate -> the gate agrees -> written down -> memory -> gate -> listeners -> answer.
/// Errors:  as a whole or not at all; each begins with the object, "service/default/web: ...". kNotFound for a name to
///          delete that is not there, kFailedPrecondition for a Namespace in use or a Pod that is attached.
/// Thread:  any. Changes wait for one another; readers wait only while the memory is exchanged.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/agent/object_backend.h"
#include "control/agent/object_memory.h"
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
  /// Over the node's own database. `self`: this node, for when nobody applies it.
  static net::Result<std::unique_ptr<ObjectManager>> open(Store& store, ServiceRanges ranges, kube::Node self);
  /// `store`: of the attachments.
  static net::Result<std::unique_ptr<ObjectManager>> open(Store& store, ServiceRanges ranges,
                                                          std::unique_ptr<ObjectMemory> memory,
                                                          std::unique_ptr<ObjectBackend> backend);

  std::vector<ObjectRef> list(kube::Kind kind) const override { return memory_->list(kind); }
  using ObjectStore::list;
  ObjectRef find(const kube::ObjectKey& key) const override { return memory_->find(key); }
  void on_change(ObjectListener listener) override { memory_->on_change(std::move(listener)); }
  std::vector<LocalPort> local_ports() const override { return memory_->local_ports(); }
  void set_gate(ObjectGate* gate) override { memory_->set_gate(gate); }

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
  ObjectManager(Store& store, ServiceRanges ranges, std::unique_ptr<ObjectMemory> memory,
                std::unique_ptr<ObjectBackend> backend)
      : store_(store), ranges_(std::move(ranges)), memory_(std::move(memory)), backend_(std::move(backend)) {}

  // With the memory's hold:
  net::Result<void> allocate(std::vector<kube::Manifest>& manifests) const;
  /// Adds to `results` what becomes of each manifest, in their order.
  net::Result<ObjectEdit> plan(std::vector<kube::Manifest> manifests, std::vector<Applied>& results) const;
  net::Result<void> check_removal(const kube::ObjectKey& key, const std::vector<kube::ObjectKey>& all) const;

  Store& store_;
  const ServiceRanges ranges_;
  const std::unique_ptr<ObjectMemory> memory_;
  const std::unique_ptr<ObjectBackend> backend_;
};

}  // namespace millrace::control::agent
