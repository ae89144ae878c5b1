#include "control/agent/seen_objects.h"

#include <algorithm>
#include <utility>

#include "control/agent/object_view.h"

namespace millrace::control::agent {
namespace {

using kube::Kind;

/// Whether a map sorted by key has something of that kind in that namespace.
bool has_any(const auto& map, Kind kind, const std::string& name_space) {
  const auto first = map.lower_bound({kind, name_space, ""});
  return first != map.end() && first->first.kind == kind && first->first.name_space == name_space;
}

}  // namespace

bool SeenObjects::is_in_use(const std::string& name_space) const {
  if (name_space == kube::kDefaultNamespace || has_any(attachments_, Kind::kPod, name_space)) return true;
  return std::ranges::any_of(kube::kKinds, [&](Kind kind) {
    return kube::names_of(kind).has_namespace && has_any(records_, kind, name_space);
  });
}

ObjectRef SeenObjects::with_attachments(const kube::ObjectKey& key, const ObjectRef& stored) const {
  const auto attached = attachments_.find(key);
  if (attached == attachments_.end()) return stored;
  kube::Pod pod = stored ? std::get<kube::Pod>(*stored) : pod_of(attached->second.front());
  return std::make_shared<const kube::Object>(attached_pod(std::move(pod), attached->second, self_.meta.name));
}

ObjectRef SeenObjects::see(const kube::ObjectKey& key) const {
  const auto record = records_.find(key);
  ObjectRef stored = with_attachments(key, record == records_.end() ? nullptr : record->second.object);
  if (stored) return stored;
  if (key.kind == Kind::kNamespace && is_in_use(key.name)) {
    return std::make_shared<const kube::Object>(namespace_of(key.name));
  }
  if (key.kind == Kind::kNode && key.name == self_.meta.name) return std::make_shared<const kube::Object>(self_);
  return nullptr;
}

ObjectChanges SeenObjects::update(std::set<kube::ObjectKey> keys) {
  std::set<kube::ObjectKey> hosts = {{Kind::kNode, "", self_.meta.name},
                                     {Kind::kNamespace, "", std::string(kube::kDefaultNamespace)}};
  for (const kube::ObjectKey& key : keys) {
    if (!key.name_space.empty()) hosts.insert({Kind::kNamespace, "", key.name_space});
  }
  keys.merge(hosts);
  ObjectChanges changes;
  for (const kube::ObjectKey& key : keys) {
    ObjectRef after = see(key);
    const auto found = view_.find(key);
    ObjectRef before = found == view_.end() ? nullptr : found->second;
    if (before == after || (before && after && *before == *after)) continue;
    if (after) {
      view_.insert_or_assign(found, key, after);
    } else {
      view_.erase(found);
    }
    changes.push_back({key, std::move(before), std::move(after)});
  }
  return changes;
}

ObjectChanges SeenObjects::foresee(const View& put) const {
  View after;
  for (const auto& [key, object] : put) {
    after[key] = with_attachments(key, object);
    const kube::ObjectKey host{Kind::kNamespace, "", key.name_space};
    if (key.name_space.empty() || put.contains(host) || view_.contains(host)) continue;
    after[host] = std::make_shared<const kube::Object>(namespace_of(key.name_space));
  }
  ObjectChanges changes;
  for (auto& [key, object] : after) {
    const auto found = view_.find(key);
    ObjectRef before = found == view_.end() ? nullptr : found->second;
    if (before && *before == *object) continue;
    changes.push_back({key, std::move(before), std::move(object)});
  }
  return changes;
}

ObjectChanges SeenObjects::set_attachments(const std::vector<Attachment>& attachments) {
  std::set<kube::ObjectKey> keys;
  for (const auto& [key, old] : std::exchange(attachments_, {})) keys.insert(key);
  for (const Attachment& attachment : attachments) {
    const kube::ObjectKey key{Kind::kPod, attachment.pod_namespace, attachment.pod_name};
    attachments_[key].push_back(attachment);
    keys.insert(key);
  }
  return update(std::move(keys));
}

}  // namespace millrace::control::agent
