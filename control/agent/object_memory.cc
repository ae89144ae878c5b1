#include "control/agent/object_memory.h"

#include <set>
#include <utility>

namespace millrace::control::agent {
namespace {

/// nullptr: a record of another kind.
const kube::Service* service_in(const ObjectRecord& record) { return std::get_if<kube::Service>(record.object.get()); }

}  // namespace

std::vector<ObjectRef> ObjectMemory::list(kube::Kind kind) const {
  const std::lock_guard guard(mutex_);
  std::vector<ObjectRef> all;
  const SeenObjects::View& view = seen_.view();
  for (auto it = view.lower_bound({kind, "", ""}); it != view.end() && it->first.kind == kind; ++it) {
    all.push_back(it->second);
  }
  return all;
}

ObjectRef ObjectMemory::find(const kube::ObjectKey& key) const {
  const std::lock_guard guard(mutex_);
  const auto found = seen_.view().find(key);
  return found == seen_.view().end() ? nullptr : found->second;
}

void ObjectMemory::on_change(ObjectListener listener) {
  const std::lock_guard guard(change_mutex_);
  listeners_.push_back(std::move(listener));
}

void ObjectMemory::set_gate(ObjectGate* gate) {
  const std::lock_guard guard(change_mutex_);
  gate_ = gate;
}

std::vector<LocalPort> ObjectMemory::local_ports() const {
  const std::lock_guard guard(mutex_);
  return ports_;
}

void ObjectMemory::read(const std::function<void(const ObjectRecords&, const SeenObjects&)>& read) const {
  const std::lock_guard guard(mutex_);
  read(records_, seen_);
}

net::Result<void> ObjectMemory::check(const ObjectEdit& edit) const {
  if (gate_ == nullptr || edit.put.empty()) return {};
  SeenObjects::View objects;
  for (const auto& [key, record] : edit.put) objects.emplace(key, record.object);
  return gate_->check(seen_.foresee(objects));
}

net::Result<void> ObjectMemory::take(ObjectEdit edit) {
  std::set<kube::ObjectKey> keys(edit.gone.begin(), edit.gone.end());
  for (const auto& [key, record] : edit.put) keys.insert(key);
  // All go before one comes: a request may give one service what it takes from another.
  for (const kube::ObjectKey& key : keys) {
    const auto before = records_.find(key);
    const auto* service = before == records_.end() ? nullptr : service_in(before->second);
    if (service != nullptr) claims_.remove(*service);
  }
  ObjectChanges changes;
  {
    const std::lock_guard guard(mutex_);
    for (const kube::ObjectKey& key : edit.gone) records_.erase(key);
    for (auto& [key, taken] : edit.put) {
      const ObjectRecord& record = records_[key] = std::move(taken);
      if (const auto* service = service_in(record)) claims_.add(*service);
    }
    for (auto& [place, attachment] : edit.attachments) seen_.put_attachment(place, std::move(attachment), keys);
    for (auto& [name, node] : edit.nodes) seen_.put_node(name, std::move(node), keys);
    changes = seen_.update(std::move(keys));
  }
  return tell(changes);
}

void ObjectMemory::on_attachments(std::function<void(const std::vector<Attachment>&)> listener) {
  const std::lock_guard guard(change_mutex_);
  attachment_listener_ = std::move(listener);
}

net::Result<void> ObjectMemory::set_attachments(const std::vector<Attachment>& attachments) {
  std::vector<LocalPort> ports;
  for (const Attachment& each : attachments) {
    ports.push_back(
        {each.host_interface, each.id, {kube::Kind::kPod, each.pod_namespace, each.pod_name}, each.addresses});
  }
  ObjectChanges changes;
  {
    const std::lock_guard guard(mutex_);
    changes = seen_.set_attachments(attachments);
    ports_ = std::move(ports);
  }
  if (attachment_listener_) attachment_listener_(attachments);
  return tell(changes);
}

net::Result<void> ObjectMemory::tell(const ObjectChanges& changes) const {
  net::Result<void> followed;
  if (gate_ != nullptr) followed = gate_->follow(changes, ports_);
  if (changes.empty()) return followed;
  for (const ObjectListener& listener : listeners_) listener(changes);
  return followed;
}

}  // namespace millrace::control::agent
