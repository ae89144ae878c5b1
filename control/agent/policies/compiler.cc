#include "control/agent/policies/compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace millrace::control::agent::policies {
namespace {

/// The switch takes names of 1024 characters.
constexpr std::size_t kMaxPolicyName = 1000;

template <typename T>
std::shared_ptr<const T> as(const ObjectRef& object) {
  return object ? std::shared_ptr<const T>(object, std::get_if<T>(object.get())) : nullptr;
}

/// Visits the entries of one kind and namespace.
template <typename Map, typename Visit>
void for_each_in(Map& map, kube::Kind kind, const std::string& name_space, Visit visit) {
  for (auto it = map.lower_bound({kind, name_space, ""}); it != map.end(); ++it) {
    if constexpr (requires { it->first; }) {
      if (it->first.kind != kind || it->first.name_space != name_space) break;
    } else {
      if (it->kind != kind || it->name_space != name_space) break;
    }
    visit(*it);
  }
}

const kube::Labels& pod_labels(const kube::Pod* pod) {
  static const kube::Labels kNone;
  return pod == nullptr ? kNone : pod->meta.labels;
}

/// What the names of ports mean on `pod`; nullopt: the policy does not isolate it.
std::optional<NamedPorts> resolve(const kube::NetworkPolicy* policy, const std::set<PortName>& names,
                                  const kube::Pod* pod) {
  if (policy == nullptr || !policy->pod_selector.matches(pod_labels(pod))) return std::nullopt;
  NamedPorts resolved;
  if (pod == nullptr || names.empty()) return resolved;
  const NamedPorts all = named_ports(*pod);
  for (const PortName& name : names) {
    if (const auto found = all.find(name); found != all.end()) resolved.insert(*found);
  }
  return resolved;
}

std::string object_name(const kube::ObjectKey& key) { return key.name_space + "/" + key.name; }

}  // namespace

void Compiler::note(const ObjectChange& change) {
  switch (change.key.kind) {
    case kube::Kind::kPod: {
      pods_[change.key].pod = as<kube::Pod>(change.after);
      touched_pods_.insert(change.key);
      return;
    }
    case kube::Kind::kNamespace: {
      if (const auto after = as<kube::Namespace>(change.after)) {
        namespaces_[change.key.name] = after->meta.labels;
      } else {
        namespaces_.erase(change.key.name);
      }
      for_each_in(pods_, kube::Kind::kPod, change.key.name,
                  [this](const auto& entry) { touched_pods_.insert(entry.first); });
      return;
    }
    case kube::Kind::kNetworkPolicy: {
      PolicyEntry& entry = policies_[change.key];
      entry.policy = as<kube::NetworkPolicy>(change.after);
      entry.names = entry.policy ? ingress_names(*entry.policy) : std::set<PortName>();
      touched_policies_.insert(change.key);
      return;
    }
    case kube::Kind::kNode:
    case kube::Kind::kService:
    case kube::Kind::kEndpoints:
    case kube::Kind::kEndpointSlice: return;  // policies are asked after the translation
  }
}

void Compiler::set_local_ports(const std::vector<LocalPort>& ports) {
  std::map<kube::ObjectKey, std::vector<LocalPort>> by_pod;
  for (const kube::ObjectKey& pod : local_) by_pod[pod];
  for (const LocalPort& port : ports) by_pod[port.pod].push_back(port);
  for (auto& [pod, wanted] : by_pod) {
    PodEntry& entry = pods_[pod];
    if (entry.ports == wanted) continue;
    for (const LocalPort& port : entry.ports) lost_ports_.insert(port.name);
    entry.ports = std::move(wanted);
    if (entry.ports.empty()) {
      local_.erase(pod);
    } else {
      local_.insert(pod);
    }
    touched_pods_.insert(pod);
    to_bind_.insert(pod);
  }
}

api::ApplyRequest Compiler::take_changes() {
  api::ApplyRequest request = compile();
  settle();
  return request;
}

api::ApplyRequest Compiler::preview(const ObjectChanges& changes) {
  for (const ObjectChange& change : changes) note(change);
  api::ApplyRequest request = compile();
  for (auto it = changes.rbegin(); it != changes.rend(); ++it) note({it->key, it->after, it->before});
  static_cast<void>(compile());  // the way back: nothing was settled, so it leads to the same numbers and names
  return request;
}

api::ApplyRequest Compiler::compile() {
  api::ApplyRequest request;
  for (const kube::ObjectKey& key : std::exchange(touched_pods_, {})) {
    PodEntry& entry = pods_[key];
    identify(key, entry);
    if (!entry.ports.empty() || !entry.bound.empty()) to_bind_.insert(key);
    if (entry.is_empty() && !to_bind_.contains(key)) pods_.erase(key);
  }
  const std::vector<Endpoints::Change> endpoints = endpoints_.take_changes();
  for (const Endpoints::Change& change : endpoints) served_.note(change, identities_);
  Endpoints::write(endpoints, request);
  to_compile_.merge(groups_.take_recuts());
  to_compile_.merge(served_.take_touched());

  for (const kube::ObjectKey& key : std::exchange(touched_policies_, {})) {
    PolicyEntry& entry = policies_[key];
    bind_policy(key, entry);
    if (entry.rules) to_compile_.insert(key);
    to_settle_.insert(key);
  }
  for (const kube::ObjectKey& key : std::exchange(to_bind_, {})) bind_pod(key, pods_[key]);
  for (const kube::ObjectKey& key : std::exchange(to_compile_, {})) compile_policy(key, policies_[key], request);
  write_ports(request);
  groups_.write_changes(request);
  return request;
}

void Compiler::settle() {
  for (const kube::ObjectKey& key : std::exchange(to_settle_, {})) {
    const auto entry = policies_.find(key);
    if (entry == policies_.end()) continue;
    std::erase_if(entry->second.variants, [](const auto& variant) { return variant.second.users == 0; });
    if (!entry->second.policy) policies_.erase(entry);
  }
  groups_.settle();
  identities_.settle();
}

LabelSet Compiler::labels_of(const kube::ObjectKey& key, const PodEntry& entry) const {
  LabelSet labels;
  labels.name_space = key.name_space;
  const auto known = namespaces_.find(key.name_space);
  if (known != namespaces_.end()) labels.namespace_labels = known->second;
  labels.namespace_labels[std::string(kube::kNamespaceNameLabel)] = key.name_space;
  labels.pod_labels = pod_labels(entry.pod.get());
  if (entry.pod) labels.ports = named_ports(*entry.pod);
  return labels;
}

void Compiler::identify(const kube::ObjectKey& key, PodEntry& entry) {
  const bool is_local = !entry.ports.empty();
  std::vector<net::IpAddress> addresses;
  // Who is attached here has an interface of its own, whatever a manifest says.
  const bool is_endpoint = entry.pod ? !entry.pod->is_over() && (is_local || !entry.pod->host_network) : is_local;
  if (is_endpoint) {
    if (entry.pod) addresses = entry.pod->addresses;
    for (const LocalPort& port : entry.ports) {
      addresses.insert(addresses.end(), port.addresses.begin(), port.addresses.end());
    }
  }
  Identity identity = kNoIdentity;
  if (!addresses.empty()) {
    const Identities::Known& known = identities_.take(labels_of(key, entry));
    identity = known.second.number;
    if (known.second.users == 1) groups_.add(identity, known.first);
  }
  if (entry.identity != kNoIdentity) {
    const Identities::Known& former = identities_.give_back(entry.identity);
    if (former.second.users == 0) groups_.remove(entry.identity, former.first);
  }
  entry.identity = identity;
  for (const net::IpAddress& address : entry.claimed) endpoints_.give_up(address, key);
  for (const net::IpAddress& address : addresses) endpoints_.claim(address, key, {identity, is_local});
  entry.claimed = std::move(addresses);
}

void Compiler::use(const Bound& bound) {
  if (variant_of(bound.first, policies_[bound.first], bound.second).users++ == 0) to_compile_.insert(bound.first);
}

void Compiler::use_no_more(const Bound& bound) {
  if (--variant_of(bound.first, policies_[bound.first], bound.second).users == 0) to_compile_.insert(bound.first);
}

void Compiler::bind_pod(const kube::ObjectKey& key, PodEntry& entry) {
  to_write_.insert(key);
  std::vector<Bound> bound;
  if (!entry.ports.empty()) {
    for_each_in(policies_, kube::Kind::kNetworkPolicy, key.name_space, [&](const auto& policy) {
      if (auto resolved = resolve(policy.second.policy.get(), policy.second.names, entry.pod.get())) {
        bound.emplace_back(policy.first, *std::move(resolved));
      }
    });
  }
  if (bound == entry.bound) return;
  for (const Bound& each : bound) use(each);
  for (const Bound& each : entry.bound) use_no_more(each);
  entry.bound = std::move(bound);
}

void Compiler::bind_policy(const kube::ObjectKey& key, PolicyEntry& entry) {
  for_each_in(local_, kube::Kind::kPod, key.name_space, [&](const kube::ObjectKey& pod) {
    PodEntry& isolated = pods_[pod];
    auto place = std::ranges::lower_bound(isolated.bound, key, {}, &Bound::first);
    const bool was_bound = place != isolated.bound.end() && place->first == key;
    const auto resolved = resolve(entry.policy.get(), entry.names, isolated.pod.get());
    if (!was_bound && !resolved) return;
    to_write_.insert(pod);
    if (resolved) use({key, *resolved});
    if (was_bound) {
      use_no_more(*place);
      place = isolated.bound.erase(place);
    }
    if (resolved) isolated.bound.insert(place, {key, *resolved});
  });
}

Compiler::Variant& Compiler::variant_of(const kube::ObjectKey& key, PolicyEntry& entry, const NamedPorts& resolved) {
  const auto [place, is_new] = entry.variants.try_emplace(resolved);
  if (is_new) {
    std::string name = object_name(key);
    for (const auto& [port, number] : resolved) name += fmt::format(" {}={}", to_string(port), number);
    if (name.size() > kMaxPolicyName) name = fmt::format("{} variant {}", object_name(key), ++entry.long_names);
    place->second.name = std::move(name);
  }
  return place->second;
}

void Compiler::compile_policy(const kube::ObjectKey& key, PolicyEntry& entry, api::ApplyRequest& request) {
  to_settle_.insert(key);
  const bool is_used = std::ranges::any_of(entry.variants, [](const auto& each) { return each.second.users != 0; });
  if (is_used) {
    // The new one first: what both hold is not let go meanwhile.
    entry.rules = std::make_unique<PolicyRules>(entry.policy, groups_, served_, identities_);
  } else {
    entry.rules.reset();
  }
  for (auto& [resolved, variant] : entry.variants) {
    std::string bytes;
    if (variant.users != 0) {
      api::Policy policy;
      policy.set_name(variant.name);
      policy.set_object(object_name(key));
      entry.rules->write_ingress(resolved, policy);
      entry.rules->write_egress(policy);
      bytes = policy.SerializeAsString();
      if (bytes != variant.sent) *request.add_upsert_policies() = std::move(policy);
    } else if (!variant.sent.empty()) {
      request.add_remove_policies(variant.name);
    }
    variant.sent = std::move(bytes);
  }
}

void Compiler::write_ports(api::ApplyRequest& request) {
  std::set<std::string> lost = std::exchange(lost_ports_, {});
  for (const kube::ObjectKey& key : std::exchange(to_write_, {})) {
    PodEntry& entry = pods_[key];
    api::PortPolicy wanted;
    for (const auto& [policy, resolved] : entry.bound) {
      PolicyEntry& bound = policies_[policy];
      const std::string& name = variant_of(policy, bound, resolved).name;
      if (bound.policy->isolates_ingress) wanted.add_ingress(name);
      if (bound.policy->isolates_egress) wanted.add_egress(name);
    }
    for (const LocalPort& port : entry.ports) {
      lost.erase(port.name);
      wanted.set_port(port.name);
      SentPort now{port.id, wanted.SerializeAsString()};
      SentPort& sent = sent_ports_[port.name];
      if (sent == now) continue;
      *request.add_upsert_port_policies() = wanted;
      sent = std::move(now);
    }
    if (entry.is_empty()) pods_.erase(key);
  }
  for (const std::string& name : lost) {
    if (sent_ports_.erase(name) != 0) request.add_remove_port_policies(name);
  }
}

}  // namespace millrace::control::agent::policies
