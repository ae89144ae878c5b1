#include "control/agent/policy_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::control::agent {
namespace {

bool names_any(const google::protobuf::RepeatedPtrField<std::string>& names, const std::set<std::string>& of) {
  return std::ranges::any_of(names, [&](const std::string& name) { return of.contains(name); });
}

template <typename Visit>
void for_each_policy(const api::PortPolicy& port, Visit visit) {
  for (const std::string& name : port.ingress()) visit(name);
  for (const std::string& name : port.egress()) visit(name);
}

template <typename Wanted>
void keep_wanted(std::set<std::string>& names, const Wanted& wanted) {
  std::erase_if(names, [&](const std::string& name) { return !wanted.contains(name); });
}

void take_out(std::set<std::string>& names, const std::set<std::string>& those) {
  for (const std::string& name : those) names.erase(name);
}

}  // namespace

void PolicyState::merge(const api::ApplyRequest& request) {
  for (const std::string& address : request.remove_endpoints()) endpoints.erase(address);
  for (const std::string& name : request.remove_groups()) groups.erase(name);
  for (const std::string& name : request.remove_policies()) policies.erase(name);
  for (const std::string& name : request.remove_port_policies()) ports.erase(name);
  for (const api::Endpoint& endpoint : request.upsert_endpoints()) endpoints[endpoint.address()] = endpoint;
  for (const api::PeerGroup& group : request.upsert_groups()) groups[group.name()] = group;
  for (const api::Policy& policy : request.upsert_policies()) policies[policy.name()] = policy;
  for (const api::PortPolicy& port : request.upsert_port_policies()) ports[port.port()] = port;
}

void PolicyState::write_to(api::ApplyRequest& request) const {
  for (const auto& [address, endpoint] : endpoints) *request.add_upsert_endpoints() = endpoint;
  for (const auto& [name, group] : groups) *request.add_upsert_groups() = group;
  for (const auto& [name, policy] : policies) *request.add_upsert_policies() = policy;
  for (const auto& [name, port] : ports) *request.add_upsert_port_policies() = port;
}

bool is_without_policy(const api::ApplyRequest& request) {
  return request.upsert_endpoints().empty() && request.remove_endpoints().empty() && request.upsert_groups().empty() &&
         request.remove_groups().empty() && request.upsert_policies().empty() && request.remove_policies().empty() &&
         request.upsert_port_policies().empty() && request.remove_port_policies().empty();
}

std::set<std::string> groups_of(const api::Policy& policy) {
  std::set<std::string> names;
  for (const auto* rules : {&policy.ingress(), &policy.egress()}) {
    for (const api::PolicyRule& rule : *rules) names.insert(rule.groups().begin(), rule.groups().end());
  }
  return names;
}

void PolicyDebt::note(const api::ApplyRequest& delta) {
  for (const api::Endpoint& endpoint : delta.upsert_endpoints()) endpoints.insert(endpoint.address());
  for (const api::PeerGroup& group : delta.upsert_groups()) groups.insert(group.name());
  for (const api::Policy& policy : delta.upsert_policies()) policies.insert(policy.name());
  for (const api::PortPolicy& port : delta.upsert_port_policies()) ports.insert(port.port());
}

void PolicyDebt::add(const api::ApplyRequest& refused, const PolicyState& wanted) {
  const std::set<std::string> endpoints_before = endpoints;
  note(refused);
  endpoints = endpoints_before;  // these close nobody
  for (const auto& [name, policy] : wanted.policies) {
    const auto of_it = groups_of(policy);
    if (std::ranges::any_of(of_it, [this](const std::string& group) { return groups.contains(group); })) {
      policies.insert(name);
    }
  }
  for (const auto& [name, port] : wanted.ports) {
    if (names_any(port.ingress(), policies) || names_any(port.egress(), policies)) ports.insert(name);
  }
}

void PolicyDebt::add_everything(const PolicyState& wanted) {
  for (const auto& [name, group] : wanted.groups) groups.insert(name);
  for (const auto& [name, policy] : wanted.policies) policies.insert(name);
  for (const auto& [name, port] : wanted.ports) ports.insert(name);
}

void PolicyDebt::trim(const PolicyState& wanted) {
  keep_wanted(groups, wanted.groups);
  keep_wanted(policies, wanted.policies);
  keep_wanted(ports, wanted.ports);
  keep_wanted(endpoints, wanted.endpoints);
}

void PolicyDebt::write_closing(api::ApplyRequest& request) const {
  for (const std::string& name : ports) request.add_remove_port_policies(name);
  for (const std::string& name : policies) request.add_remove_policies(name);
  for (const std::string& name : groups) request.add_remove_groups(name);
  for (const std::string& address : endpoints) request.add_remove_endpoints(address);
}

void PolicyDebt::write_paying(const PolicyState& wanted, api::ApplyRequest& request) const {
  for (const std::string& name : groups) *request.add_upsert_groups() = wanted.groups.at(name);
  for (const std::string& name : policies) *request.add_upsert_policies() = wanted.policies.at(name);
  for (const std::string& name : ports) *request.add_upsert_port_policies() = wanted.ports.at(name);
  for (const std::string& address : endpoints) *request.add_upsert_endpoints() = wanted.endpoints.at(address);
}

PolicyDebt PolicyDebt::part_of(const std::string& port, const PolicyState& wanted) const {
  PolicyDebt part;
  part.ports.insert(port);
  for_each_policy(wanted.ports.at(port), [&](const std::string& name) {
    if (policies.contains(name)) part.policies.insert(name);
  });
  for (const std::string& name : part.policies) {
    for (const std::string& group : groups_of(wanted.policies.at(name))) {
      if (groups.contains(group)) part.groups.insert(group);
    }
  }
  return part;
}

void PolicyDebt::subtract(const PolicyDebt& paid) {
  take_out(groups, paid.groups);
  take_out(policies, paid.policies);
  take_out(ports, paid.ports);
  take_out(endpoints, paid.endpoints);
}

std::string PolicyDebt::text() const {
  constexpr std::size_t kShown = 8;
  std::string all;
  std::size_t count = 0;
  for (const std::string& port : ports) {
    if (++count > kShown) return fmt::format("{} and {} more", all, ports.size() - kShown);
    all += (all.empty() ? "port " : ", ") + port;
  }
  if (!all.empty()) return all;
  return fmt::format("{} addresses, to selectors", endpoints.size());
}

}  // namespace millrace::control::agent
