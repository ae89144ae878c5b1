#include "control/agent/seen_objects.h"

#include <algorithm>

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

PodAttachment pod_attachment(const Attachment& attachment) {
  return {.pod = {Kind::kPod, attachment.pod_namespace, attachment.pod_name},
          .pod_uid = attachment.pod_uid,
          .id = attachment.id,
          .created_unix_ms = attachment.created_unix_ms,
          .addresses = attachment.addresses};
}

bool SeenObjects::is_in_use(const std::string& name_space) const {
  if (name_space == kube::kDefaultNamespace || has_any(attachments_, Kind::kPod, name_space)) return true;
  return std::ranges::any_of(kube::kKinds, [&](Kind kind) {
    return kube::names_of(kind).has_namespace && has_any(records_, kind, name_space);
  });
}

ObjectRef SeenObjects::with_attachments(const kube::ObjectKey& key, const ObjectRef& stored) const {
  const auto attached = attachments_.find(key);
  if (attached == attachments_.end()) return stored;
  using Attached = std::map<AttachmentPlace, PodAttachment>::value_type;
  const Attached* best = nullptr;   // of all nodes
  const Attached* first = nullptr;  // of the node that is looked at: those of one follow one another
  const auto weigh = [&] {
    if (first == nullptr) return;
    const bool is_here = is_there(first->first.node), was_here = best != nullptr && is_there(best->first.node);
    if (best == nullptr || (is_here && !was_here) ||
        (is_here == was_here && first->second.created_unix_ms > best->second.created_unix_ms)) {
      best = first;
    }
  };
  for (const Attached& each : attached->second) {
    if (first != nullptr && first->first.node == each.first.node) {
      if (each.second.id < first->second.id) first = &each;
      continue;
    }
    weigh();
    first = &each;
  }
  weigh();
  kube::Pod pod = stored ? std::get<kube::Pod>(*stored) : pod_of(key);
  const std::string& node = best->first.node;
  return std::make_shared<const kube::Object>(attached_pod(std::move(pod), best->second, node, is_there(node)));
}

ObjectRef SeenObjects::see(const kube::ObjectKey& key) const {
  const auto record = records_.find(key);
  ObjectRef stored = with_attachments(key, record == records_.end() ? nullptr : record->second.object);
  if (stored) return stored;
  if (key.kind == Kind::kNamespace && is_in_use(key.name)) {
    return std::make_shared<const kube::Object>(namespace_of(key.name));
  }
  if (key.kind != Kind::kNode) return nullptr;
  if (key.name == self_.meta.name) return std::make_shared<const kube::Object>(self_);
  const auto node = nodes_.find(key.name);
  if (node != nodes_.end()) return std::make_shared<const kube::Object>(node->second);
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

void SeenObjects::erase(const AttachmentPlace& place, std::set<kube::ObjectKey>& keys) {
  const auto pod = pods_.find(place);
  if (pod == pods_.end()) return;
  keys.insert(pod->second);
  const auto attached = attachments_.find(pod->second);
  attached->second.erase(place);
  if (attached->second.empty()) attachments_.erase(attached);
  pods_.erase(pod);
}

void SeenObjects::put_attachment(const AttachmentPlace& place, std::optional<PodAttachment> attachment,
                                 std::set<kube::ObjectKey>& keys) {
  erase(place, keys);
  if (!attachment) return;
  keys.insert(attachment->pod);
  pods_[place] = attachment->pod;
  attachments_[attachment->pod][place] = *std::move(attachment);
}

void SeenObjects::put_node(const std::string& name, std::optional<kube::Node> node, std::set<kube::ObjectKey>& keys) {
  const bool was_there = is_there(name);
  if (node) {
    nodes_[name] = *std::move(node);
  } else {
    nodes_.erase(name);
  }
  keys.insert({Kind::kNode, "", name});
  if (is_there(name) == was_there) return;
  for (auto it = pods_.lower_bound({name, ""}); it != pods_.end() && it->first.node == name; ++it) {
    keys.insert(it->second);
  }
}

ObjectChanges SeenObjects::set_attachments(const std::vector<Attachment>& attachments) {
  std::set<kube::ObjectKey> keys;
  std::vector<AttachmentPlace> former;
  for (auto it = pods_.lower_bound({self(), ""}); it != pods_.end() && it->first.node == self(); ++it) {
    former.push_back(it->first);
  }
  for (const AttachmentPlace& place : former) erase(place, keys);
  for (const Attachment& each : attachments) {
    put_attachment({self(), each.host_interface}, pod_attachment(each), keys);
  }
  return update(std::move(keys));
}

}  // namespace millrace::control::agent
