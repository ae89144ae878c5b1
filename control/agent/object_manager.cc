#include "control/agent/object_manager.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

#include "control/agent/derived_objects.h"
#include "control/agent/object_view.h"

namespace millrace::control::agent {
namespace {

using Json = nlohmann::json;
using kube::Kind;

net::Error of(const kube::ObjectKey& key, const net::Error& error) {
  return {error.code, fmt::format("{}: {}", kube::to_string(key), error.message)};
}

std::uint64_t unix_ms() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

/// A load balancer's addresses are given by somebody: a manifest that does not speak of them does not take them away.
void keep_status(const kube::Service& before, const Json& before_json, kube::Service& service, Json& json) {
  if (json.contains("status") || !before_json.contains("status")) return;
  if (service.type != kube::ServiceType::kLoadBalancer) return;
  service.load_balancer_ingress = before.load_balancer_ingress;
  json["status"] = before_json["status"];
}

/// nullptr: a record of another kind.
const kube::Service* service_in(const ObjectRecord& record) { return std::get_if<kube::Service>(record.object.get()); }

net::Result<void> check_unchangeable(const kube::Object& object, const kube::Object& before) {
  const auto* slice = std::get_if<kube::EndpointSlice>(&object);
  if (slice == nullptr || slice->address_type == std::get<kube::EndpointSlice>(before).address_type) return {};
  return net::invalid_argument("addressType: cannot change; allowed: the one it has until it is deleted");
}

}  // namespace

net::Result<std::unique_ptr<ObjectManager>> ObjectManager::open(Store& store, ServiceRanges ranges, kube::Node self) {
  std::unique_ptr<ObjectManager> manager(new ObjectManager(store, std::move(ranges), std::move(self)));
  auto stored = store.objects();
  if (!stored) return stored.error();
  std::set<kube::ObjectKey> keys;
  for (StoredObject& object : *stored) {
    const Json json = Json::parse(object.json, nullptr, false);
    auto read = kube::parse_object(json);
    if (!read) {
      return net::failed_precondition(
          fmt::format("database: {}: {}", kube::to_string(object.key), read.error().message));
    }
    const ObjectRecord& record = manager->records_[object.key] = {
        std::make_shared<const kube::Object>(std::move(read->object)), std::move(object.json), object.created_unix_ms};
    if (const auto* service = service_in(record)) manager->claims_.add(*service);
    keys.insert(object.key);
  }
  manager->seen_.update(std::move(keys));
  if (auto noted = manager->note_attachments(); !noted) return noted.error();
  return manager;
}

std::vector<ObjectRef> ObjectManager::list(Kind kind) const {
  const std::lock_guard guard(mutex_);
  std::vector<ObjectRef> all;
  const SeenObjects::View& view = seen_.view();
  for (auto it = view.lower_bound({kind, "", ""}); it != view.end() && it->first.kind == kind; ++it) {
    all.push_back(it->second);
  }
  return all;
}

ObjectRef ObjectManager::find(const kube::ObjectKey& key) const {
  const std::lock_guard guard(mutex_);
  const auto found = seen_.view().find(key);
  return found == seen_.view().end() ? nullptr : found->second;
}

void ObjectManager::on_change(ObjectListener listener) {
  const std::lock_guard guard(change_mutex_);
  listeners_.push_back(std::move(listener));
}

void ObjectManager::set_gate(ObjectGate* gate) {
  const std::lock_guard guard(change_mutex_);
  gate_ = gate;
}

std::vector<LocalPort> ObjectManager::local_ports() const {
  const std::lock_guard guard(mutex_);
  return ports_;
}

net::Result<void> ObjectManager::allocate(std::vector<kube::Manifest>& manifests) const {
  std::set<std::string> asked;
  for (const kube::Manifest& manifest : manifests) {
    if (const auto* service = std::get_if<kube::Service>(&manifest.object)) asked.insert(owner_name(*service));
  }
  ServiceAllocator allocator(ranges_, claims_, std::move(asked));
  const auto for_each = [&](auto step) -> net::Result<void> {
    for (kube::Manifest& manifest : manifests) {
      auto* service = std::get_if<kube::Service>(&manifest.object);
      if (service == nullptr) continue;
      const kube::ObjectKey key = kube::key_of(manifest.object);
      if (auto done = step(*service, manifest.json, key); !done) return of(key, done.error());
    }
    return {};
  };
  auto claimed = for_each([&](kube::Service& service, Json& json, const kube::ObjectKey& key) -> net::Result<void> {
    const auto before = records_.find(key);
    if (before != records_.end()) {
      const auto& old = std::get<kube::Service>(*before->second.object);
      keep_status(old, Json::parse(before->second.json), service, json);
      if (auto kept = allocator.keep(service, &old); !kept) return kept;
    }
    return allocator.claim(service);
  });
  if (!claimed) return claimed;
  return for_each([&](kube::Service& service, Json& json, const kube::ObjectKey&) -> net::Result<void> {
    if (auto filled = allocator.fill(service); !filled) return filled;
    kube::write_decided(service, json);
    return {};
  });
}

net::Result<std::vector<Applied>> ObjectManager::apply(std::vector<kube::Manifest> manifests, bool dry_run) {
  const std::lock_guard changing(change_mutex_);
  if (auto allocated = allocate(manifests); !allocated) return allocated.error();
  std::vector<Applied> results;
  std::vector<StoredObject> put;
  std::map<kube::ObjectKey, ObjectRef> objects;
  std::size_t created = 0;
  for (kube::Manifest& manifest : manifests) {
    const kube::ObjectKey key = kube::key_of(manifest.object);
    if (auto checked = check_not_derived(manifest.object); !checked) return of(key, checked.error());
    StoredObject stored{key, manifest.json.dump(), unix_ms()};
    const auto before = records_.find(key);
    Outcome outcome = Outcome::kCreated;
    if (before != records_.end()) {
      if (auto checked = check_unchangeable(manifest.object, *before->second.object); !checked) {
        return of(key, checked.error());
      }
      outcome = before->second.json == stored.json ? Outcome::kUnchanged : Outcome::kConfigured;
      stored.created_unix_ms = before->second.created_unix_ms;
    }
    created += outcome == Outcome::kCreated ? 1 : 0;
    results.push_back({key, outcome});
    if (outcome == Outcome::kUnchanged) continue;
    put.push_back(std::move(stored));
    objects[key] = std::make_shared<const kube::Object>(std::move(manifest.object));
  }
  if (records_.size() + created > kObjectLimit) {
    return net::resource_exhausted(fmt::format("{} objects; allowed: {}", records_.size() + created, kObjectLimit));
  }
  if (put.empty()) return results;
  if (gate_ != nullptr) {
    if (auto agreed = gate_->check(seen_.foresee(objects)); !agreed) return agreed.error();
  }
  if (dry_run) return results;
  if (auto done = commit(put, std::move(objects), {}); !done) return done.error();
  return results;
}

net::Result<void> ObjectManager::commit(const std::vector<StoredObject>& put,
                                        std::map<kube::ObjectKey, ObjectRef> objects,
                                        const std::vector<kube::ObjectKey>& gone) {
  if (auto written = store_.change_objects(put, gone); !written) return written;
  std::set<kube::ObjectKey> keys(gone.begin(), gone.end());
  for (const StoredObject& object : put) keys.insert(object.key);
  // All go before one comes: a request may give one service what it takes from another.
  for (const kube::ObjectKey& key : keys) {
    const auto before = records_.find(key);
    const auto* service = before == records_.end() ? nullptr : service_in(before->second);
    if (service != nullptr) claims_.remove(*service);
  }
  ObjectChanges changes;
  {
    const std::lock_guard guard(mutex_);
    for (const kube::ObjectKey& key : gone) records_.erase(key);
    for (const StoredObject& object : put) {
      const ObjectRecord& record =
          records_[object.key] = {std::move(objects.at(object.key)), object.json, object.created_unix_ms};
      if (const auto* service = service_in(record)) claims_.add(*service);
    }
    changes = seen_.update(std::move(keys));
  }
  return tell(changes);
}

net::Result<void> ObjectManager::tell(const ObjectChanges& changes) const {
  net::Result<void> followed;
  if (gate_ != nullptr) followed = gate_->follow(changes, ports_);
  if (changes.empty()) return followed;
  for (const ObjectListener& listener : listeners_) listener(changes);
  return followed;
}

net::Result<void> ObjectManager::check_removal(const kube::ObjectKey& key,
                                               const std::vector<kube::ObjectKey>& all) const {
  if (key.kind == Kind::kPod && seen_.is_attached(key)) {
    return net::failed_precondition(fmt::format(
        "is attached to the switch; delete it with: millrace pod del {} --namespace {}", key.name, key.name_space));
  }
  if (!records_.contains(key)) {
    for (const ObjectRef& derived : derived_objects(*this, key.kind, key.name_space)) {
      if (kube::meta_of(*derived).name != key.name) continue;
      return net::failed_precondition(
          fmt::format("follows from the selector of service {}/{}", key.name_space, service_of_derived(*derived)));
    }
    return net::not_found("is not there");
  }
  if (key.kind != Kind::kNamespace) return {};
  for (const auto& [other, object] : seen_.view()) {
    if (other.name_space != key.name || std::ranges::find(all, other) != all.end()) continue;
    return net::failed_precondition(fmt::format("{} is in it; delete it first, or with it", kube::to_string(other)));
  }
  return {};
}

net::Result<void> ObjectManager::remove(const std::vector<kube::ObjectKey>& keys, bool dry_run) {
  const std::lock_guard changing(change_mutex_);
  for (const kube::ObjectKey& key : keys) {
    if (auto checked = check_removal(key, keys); !checked) return of(key, checked.error());
  }
  if (dry_run || keys.empty()) return {};
  return commit({}, {}, keys);
}

net::Result<void> ObjectManager::remove_pod(const std::string& name_space, const std::string& name) {
  const std::lock_guard changing(change_mutex_);
  const kube::ObjectKey key{Kind::kPod, name_space, name};
  if (!records_.contains(key)) return {};
  return commit({}, {}, {key});
}

net::Result<std::vector<Json>> ObjectManager::get(Kind kind, const std::string& name_space,
                                                  const std::string& name) const {
  const std::vector<ObjectRef> derived = derived_objects(*this, kind, name_space);
  const std::lock_guard guard(mutex_);
  SeenObjects::View asked;
  const auto is_asked = [&](const kube::ObjectKey& key) {
    return (name_space.empty() || key.name_space == name_space) && (name.empty() || key.name == name);
  };
  const SeenObjects::View& view = seen_.view();
  for (auto it = view.lower_bound({kind, name_space, name}); it != view.end() && it->first.kind == kind; ++it) {
    if (is_asked(it->first)) {
      asked.insert(*it);
    } else if (!name_space.empty()) {
      break;  // sorted: behind the namespace, or behind the name in it
    }
  }
  for (const ObjectRef& object : derived) {
    if (is_asked(kube::key_of(*object))) asked.emplace(kube::key_of(*object), object);
  }
  std::vector<Json> all;
  for (const auto& [key, object] : asked) {
    auto record = records_.find(key);
    const bool is_stored = record != records_.end();
    Json json = is_stored ? Json::parse(record->second.json) : Json();
    if (!is_stored && (kind == Kind::kEndpoints || kind == Kind::kEndpointSlice)) {
      record = records_.find({Kind::kService, key.name_space, service_of_derived(*object)});
    }
    all.push_back(shown_json(*object, std::move(json), record == records_.end() ? 0 : record->second.created_unix_ms));
  }
  if (!name.empty() && all.empty()) {
    return net::not_found(fmt::format("{}: is not there", kube::to_string({kind, name_space, name})));
  }
  return all;
}

net::Result<void> ObjectManager::note_attachments() {
  const std::lock_guard changing(change_mutex_);
  auto attachments = store_.list();
  if (!attachments) return attachments.error();
  std::erase_if(*attachments, [](const Attachment& attachment) {
    return attachment.state != AttachmentState::kActive || attachment.pod_name.empty();
  });
  std::vector<LocalPort> ports;
  for (const Attachment& each : *attachments) {
    ports.push_back({each.host_interface, each.id, {Kind::kPod, each.pod_namespace, each.pod_name}, each.addresses});
  }
  ObjectChanges changes;
  {
    const std::lock_guard guard(mutex_);
    changes = seen_.set_attachments(*attachments);
    ports_ = std::move(ports);
  }
  return tell(changes);
}

}  // namespace millrace::control::agent
