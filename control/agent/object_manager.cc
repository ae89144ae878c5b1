#include "control/agent/object_manager.h"

#include <algorithm>
#include <chrono>
#include <utility>

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

net::Result<void> check_unchangeable(const kube::Object& object, const kube::Object& before) {
  const auto* slice = std::get_if<kube::EndpointSlice>(&object);
  if (slice == nullptr || slice->address_type == std::get<kube::EndpointSlice>(before).address_type) return {};
  return net::invalid_argument("addressType: cannot change; allowed: the one it has until it is deleted");
}

}  // namespace

net::Result<std::unique_ptr<ObjectManager>> ObjectManager::open(Store& store, ServiceRanges ranges, kube::Node self) {
  auto memory = std::make_unique<ObjectMemory>(std::move(self));
  auto backend = EmbeddedBackend::open(store, *memory);
  if (!backend) return backend.error();
  return open(store, std::move(ranges), std::move(memory), *std::move(backend));
}

net::Result<std::unique_ptr<ObjectManager>> ObjectManager::open(Store& store, ServiceRanges ranges,
                                                                std::unique_ptr<ObjectMemory> memory,
                                                                std::unique_ptr<ObjectBackend> backend) {
  std::unique_ptr<ObjectManager> manager(
      new ObjectManager(store, std::move(ranges), std::move(memory), std::move(backend)));
  if (auto noted = manager->note_attachments(); !noted) return noted.error();
  return manager;
}

net::Result<void> ObjectManager::allocate(std::vector<kube::Manifest>& manifests) const {
  std::set<std::string> asked;
  for (const kube::Manifest& manifest : manifests) {
    if (const auto* service = std::get_if<kube::Service>(&manifest.object)) asked.insert(owner_name(*service));
  }
  ServiceAllocator allocator(ranges_, memory_->claims(), std::move(asked));
  const ObjectRecords& records = memory_->records();
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
    const auto before = records.find(key);
    if (before != records.end()) {
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

net::Result<ObjectEdit> ObjectManager::plan(std::vector<kube::Manifest> manifests,
                                            std::vector<Applied>& results) const {
  if (auto allocated = allocate(manifests); !allocated) return allocated.error();
  const ObjectRecords& records = memory_->records();
  ObjectEdit edit;
  std::size_t created = 0;
  for (kube::Manifest& manifest : manifests) {
    const kube::ObjectKey key = kube::key_of(manifest.object);
    if (auto checked = check_not_derived(manifest.object); !checked) return of(key, checked.error());
    ObjectRecord record{nullptr, manifest.json.dump(), unix_ms()};
    const auto before = records.find(key);
    Outcome outcome = Outcome::kCreated;
    if (before != records.end()) {
      if (auto checked = check_unchangeable(manifest.object, *before->second.object); !checked) {
        return of(key, checked.error());
      }
      outcome = before->second.json == record.json ? Outcome::kUnchanged : Outcome::kConfigured;
      record.created_unix_ms = before->second.created_unix_ms;
    }
    created += outcome == Outcome::kCreated ? 1 : 0;
    results.push_back({key, outcome});
    if (outcome == Outcome::kUnchanged) continue;
    record.object = std::make_shared<const kube::Object>(std::move(manifest.object));
    edit.put[key] = std::move(record);
  }
  if (records.size() + created > kObjectLimit) {
    return net::resource_exhausted(fmt::format("{} objects; allowed: {}", records.size() + created, kObjectLimit));
  }
  if (auto agreed = memory_->check(edit); !agreed) return agreed.error();
  return edit;
}

net::Result<std::vector<Applied>> ObjectManager::apply(std::vector<kube::Manifest> manifests, bool dry_run) {
  std::vector<Applied> results;
  if (dry_run) {
    const ObjectMemory::Hold hold = memory_->hold();
    auto edit = plan(std::move(manifests), results);
    if (!edit) return edit.error();
    return results;
  }
  auto changed = backend_->change([&](const std::set<kube::ObjectKey>& done) -> net::Result<ObjectEdit> {
    const std::vector<Applied> former = std::exchange(results, {});
    auto edit = plan(manifests, results);
    if (!edit) return edit;
    // What this request has put in force already is what it did, though now there is nothing more to do.
    for (std::size_t i = 0; i < former.size(); ++i) {
      if (done.contains(former[i].key)) results[i] = former[i];
    }
    return edit;
  });
  if (!changed) return changed.error();
  return results;
}

net::Result<void> ObjectManager::check_removal(const kube::ObjectKey& key,
                                               const std::vector<kube::ObjectKey>& all) const {
  if (key.kind == Kind::kPod && memory_->seen().is_attached(key)) {
    return net::failed_precondition(fmt::format(
        "is attached to the switch; delete it with: millrace pod del {} --namespace {}", key.name, key.name_space));
  }
  if (!memory_->records().contains(key)) {
    for (const ObjectRef& derived : derived_objects(*this, key.kind, key.name_space)) {
      if (kube::meta_of(*derived).name != key.name) continue;
      return net::failed_precondition(
          fmt::format("follows from the selector of service {}/{}", key.name_space, service_of_derived(*derived)));
    }
    return net::not_found("is not there");
  }
  if (key.kind != Kind::kNamespace) return {};
  const SeenObjects::View& view = memory_->seen().view();
  for (const Kind kind : kube::kKinds) {
    for (auto it = view.lower_bound({kind, key.name, ""}); it != view.end(); ++it) {
      const kube::ObjectKey& other = it->first;
      if (other.kind != kind || other.name_space != key.name) break;
      if (std::ranges::find(all, other) != all.end()) continue;
      return net::failed_precondition(fmt::format("{} is in it; delete it first, or with it", kube::to_string(other)));
    }
  }
  return {};
}

net::Result<void> ObjectManager::remove(const std::vector<kube::ObjectKey>& keys, bool dry_run) {
  const auto plan = [&](const std::set<kube::ObjectKey>& done) -> net::Result<ObjectEdit> {
    ObjectEdit edit;
    for (const kube::ObjectKey& key : keys) {
      if (done.contains(key)) continue;
      if (auto checked = check_removal(key, keys); !checked) return of(key, checked.error());
      edit.gone.push_back(key);
    }
    return edit;
  };
  if (!dry_run) return backend_->change(plan);
  const ObjectMemory::Hold hold = memory_->hold();
  auto edit = plan({});
  if (!edit) return edit.error();
  return {};
}

net::Result<void> ObjectManager::remove_pod(const std::string& name_space, const std::string& name) {
  const kube::ObjectKey key{Kind::kPod, name_space, name};
  return backend_->change([&](const std::set<kube::ObjectKey>&) -> net::Result<ObjectEdit> {
    ObjectEdit edit;
    if (memory_->records().contains(key)) edit.gone.push_back(key);
    return edit;
  });
}

net::Result<std::vector<Json>> ObjectManager::get(Kind kind, const std::string& name_space,
                                                  const std::string& name) const {
  const std::vector<ObjectRef> derived = derived_objects(*this, kind, name_space);
  std::vector<Json> all;
  memory_->read([&](const ObjectRecords& records, const SeenObjects& seen) {
    SeenObjects::View asked;
    const auto is_asked = [&](const kube::ObjectKey& key) {
      return (name_space.empty() || key.name_space == name_space) && (name.empty() || key.name == name);
    };
    const SeenObjects::View& view = seen.view();
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
    for (const auto& [key, object] : asked) {
      auto record = records.find(key);
      const bool is_stored = record != records.end();
      Json json = is_stored ? Json::parse(record->second.json) : Json();
      if (!is_stored && (kind == Kind::kEndpoints || kind == Kind::kEndpointSlice)) {
        record = records.find({Kind::kService, key.name_space, service_of_derived(*object)});
      }
      all.push_back(shown_json(*object, std::move(json), record == records.end() ? 0 : record->second.created_unix_ms));
    }
  });
  if (!name.empty() && all.empty()) {
    return net::not_found(fmt::format("{}: is not there", kube::to_string({kind, name_space, name})));
  }
  return all;
}

net::Result<void> ObjectManager::note_attachments() {
  const ObjectMemory::Hold hold = memory_->hold();
  auto attachments = store_.list();
  if (!attachments) return attachments.error();
  std::erase_if(*attachments, [](const Attachment& attachment) {
    return attachment.state != AttachmentState::kActive || attachment.pod_name.empty();
  });
  return memory_->set_attachments(*attachments);
}

}  // namespace millrace::control::agent
