#include "control/agent/object_manager.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/format.h>

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

kube::ObjectKey namespace_key(const std::string& name) { return {Kind::kNamespace, "", name}; }

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
  std::unique_ptr<ObjectManager> manager(new ObjectManager(store, std::move(ranges), std::move(self)));
  auto stored = store.objects();
  if (!stored) return stored.error();
  for (StoredObject& object : *stored) {
    const Json json = Json::parse(object.json, nullptr, false);
    auto read = kube::parse_object(json);
    if (!read) {
      return net::failed_precondition(
          fmt::format("database: {}: {}", kube::to_string(object.key), read.error().message));
    }
    manager->records_[object.key] = {std::make_shared<const kube::Object>(std::move(read->object)),
                                     std::move(object.json), object.created_unix_ms};
  }
  if (auto noted = manager->note_attachments(); !noted) return noted.error();
  return manager;
}

std::vector<ObjectRef> ObjectManager::list(Kind kind) const {
  const std::lock_guard guard(mutex_);
  std::vector<ObjectRef> all;
  for (auto it = view_.lower_bound({kind, "", ""}); it != view_.end() && it->first.kind == kind; ++it) {
    all.push_back(it->second);
  }
  return all;
}

ObjectRef ObjectManager::find(const kube::ObjectKey& key) const {
  const std::lock_guard guard(mutex_);
  const auto found = view_.find(key);
  return found == view_.end() ? nullptr : found->second;
}

void ObjectManager::on_change(ObjectListener listener) {
  const std::lock_guard guard(change_mutex_);
  listeners_.push_back(std::move(listener));
}

net::Result<void> ObjectManager::allocate(std::vector<kube::Manifest>& manifests) const {
  ServiceAllocator allocator(ranges_);
  std::set<kube::ObjectKey> asked;
  for (const kube::Manifest& manifest : manifests) asked.insert(kube::key_of(manifest.object));
  for (auto it = records_.lower_bound({Kind::kService, "", ""}); it != records_.end(); ++it) {
    if (it->first.kind != Kind::kService) break;
    if (!asked.contains(it->first)) allocator.note(std::get<kube::Service>(*it->second.object));
  }
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
  if (dry_run || put.empty()) return results;
  if (auto done = commit(put, std::move(objects), {}); !done) return done.error();
  return results;
}

net::Result<void> ObjectManager::commit(const std::vector<StoredObject>& put,
                                        std::map<kube::ObjectKey, ObjectRef> objects,
                                        const std::vector<kube::ObjectKey>& gone) {
  if (auto written = store_.change_objects(put, gone); !written) return written;
  {
    const std::lock_guard guard(mutex_);
    for (const kube::ObjectKey& key : gone) records_.erase(key);
    for (const StoredObject& object : put) {
      records_[object.key] = {std::move(objects.at(object.key)), object.json, object.created_unix_ms};
    }
  }
  publish(make_view());
  return {};
}

bool ObjectManager::is_attached(const kube::ObjectKey& pod) const {
  return std::ranges::any_of(attachments_, [&](const Attachment& attachment) {
    return attachment.pod_namespace == pod.name_space && attachment.pod_name == pod.name;
  });
}

net::Result<void> ObjectManager::check_removal(const kube::ObjectKey& key,
                                               const std::vector<kube::ObjectKey>& all) const {
  if (key.kind == Kind::kPod && is_attached(key)) {
    return net::failed_precondition(fmt::format(
        "is attached to the switch; delete it with: millrace pod del {} --namespace {}", key.name, key.name_space));
  }
  if (!records_.contains(key)) return net::not_found("is not there");
  if (key.kind != Kind::kNamespace) return {};
  for (const auto& [other, object] : view_) {
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
  const std::lock_guard guard(mutex_);
  std::vector<Json> all;
  for (auto it = view_.lower_bound({kind, name_space, name}); it != view_.end() && it->first.kind == kind; ++it) {
    if (!name_space.empty() && it->first.name_space != name_space) break;
    if (!name.empty() && it->first.name != name) continue;
    const auto record = records_.find(it->first);
    const bool is_stored = record != records_.end();
    all.push_back(shown_json(*it->second, is_stored ? Json::parse(record->second.json) : Json(),
                             is_stored ? record->second.created_unix_ms : 0));
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
  attachments_ = *std::move(attachments);
  publish(make_view());
  return {};
}

ObjectManager::View ObjectManager::make_view() const {
  View view;
  std::set<std::string> namespaces = {std::string(kube::kDefaultNamespace)};
  for (const auto& [key, record] : records_) {
    view.emplace_hint(view.end(), key, record.object);
    if (!key.name_space.empty()) namespaces.insert(key.name_space);
  }
  std::map<kube::ObjectKey, std::vector<const Attachment*>> by_pod;
  for (const Attachment& attachment : attachments_) {
    by_pod[{Kind::kPod, attachment.pod_namespace, attachment.pod_name}].push_back(&attachment);
    namespaces.insert(attachment.pod_namespace);
  }
  for (const auto& [key, attachments] : by_pod) {
    const auto stored = records_.find(key);
    kube::Pod pod = stored == records_.end() ? pod_of(*attachments[0]) : std::get<kube::Pod>(*stored->second.object);
    view[key] = std::make_shared<const kube::Object>(attached_pod(std::move(pod), attachments, self_.meta.name));
  }
  for (const std::string& name : namespaces) {
    ObjectRef& seen = view[namespace_key(name)];
    if (seen == nullptr) seen = std::make_shared<const kube::Object>(namespace_of(name));
  }
  ObjectRef& node = view[{Kind::kNode, "", self_.meta.name}];
  if (node == nullptr) node = std::make_shared<const kube::Object>(self_);
  return view;
}

void ObjectManager::publish(View view) {
  ObjectChanges changes;
  // Both are sorted: one walk finds what differs. Most objects are the same pointer before and after.
  auto old = view_.begin();
  for (auto& [key, object] : view) {
    for (; old != view_.end() && old->first < key; ++old) changes.push_back({old->first, old->second, nullptr});
    if (old == view_.end() || old->first != key) {
      changes.push_back({key, nullptr, object});
      continue;
    }
    if (old->second != object) {
      if (*old->second == *object) {
        object = old->second;
      } else {
        changes.push_back({key, old->second, object});
      }
    }
    ++old;
  }
  for (; old != view_.end(); ++old) changes.push_back({old->first, old->second, nullptr});
  if (changes.empty()) return;
  {
    const std::lock_guard guard(mutex_);
    view_.swap(view);
  }
  for (const ObjectListener& listener : listeners_) listener(changes);
}

}  // namespace millrace::control::agent
