#include "control/switch/policy_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "control/switch/field_checks.h"
#include "control/switch/policy_state.h"

namespace millrace::control::switchd {
namespace {

using net::Result;
using Named = std::unordered_map<std::string_view, int>;

net::Error within(const char* list, int index, const net::Error& error) {
  return {error.code, fmt::format("{}[{}].{}", list, index, error.message)};
}

net::Error twice(const char* list, int index, const char* field, const std::string& name, int other) {
  return net::invalid_argument(
      fmt::format("{}[{}].{}: {} is also that of {}[{}]", list, index, field, quoted(name), list, other));
}

Result<void> check_count(const char* list, int count, const char* what, std::size_t limit) {
  if (static_cast<std::size_t>(count) <= limit) return {};
  return net::resource_exhausted(fmt::format("{}: {}; the switch holds {} {}", list, count, limit, what));
}

template <typename Names>
Result<std::vector<std::string>> parse_removals(const char* list, const char* upserts, const Names& names,
                                                const Named& named) {
  std::vector<std::string> removals;
  for (int i = 0; i < names.size(); ++i) {
    if (named.contains(names[i])) {
      return net::invalid_argument(fmt::format("{}[{}]: {} is also in {}", list, i, quoted(names[i]), upserts));
    }
    removals.push_back(names[i]);
  }
  return removals;
}

Result<std::shared_ptr<const PeerGroup>> parse_group(const api::PeerGroup& wire, const Groups& before) {
  if (auto name = check_label("name", wire.name(), kMaxGroupNameCharacters); !name) return name.error();
  if (static_cast<std::size_t>(wire.identities_size()) > policy::kMaxPeers) {
    return net::resource_exhausted(
        fmt::format("identities: {}; a group holds {}", wire.identities_size(), policy::kMaxPeers));
  }
  policy::Identity previous = policy::kNoIdentity;
  for (int i = 0; i < wire.identities_size(); ++i) {
    if (wire.identities(i) <= previous) {
      return net::invalid_argument(
          fmt::format("identities[{}]: {}; allowed: more than {}", i, wire.identities(i), previous));
    }
    previous = wire.identities(i);
  }
  if (const auto found = before.find(wire.name()); found != before.end()) {
    const std::vector<policy::Identity>& same = *found->second->identities;
    if (std::equal(same.begin(), same.end(), wire.identities().begin(), wire.identities().end())) return found->second;
  }
  auto identities = std::make_shared<std::vector<policy::Identity>>(wire.identities().begin(), wire.identities().end());
  return std::shared_ptr<const PeerGroup>(std::make_shared<PeerGroup>(PeerGroup{wire.name(), std::move(identities)}));
}

Result<void> parse_groups(const api::ApplyRequest& request, const PolicyState& before, PolicyChange& change) {
  constexpr const char* kList = "upsert_groups";
  if (auto counted = check_count(kList, request.upsert_groups_size(), "groups", kMaxGroups); !counted) return counted;
  Named named;
  for (int i = 0; i < request.upsert_groups_size(); ++i) {
    const api::PeerGroup& wire = request.upsert_groups(i);
    auto group = parse_group(wire, *before.groups);
    if (!group) return within(kList, i, group.error());
    const auto [found, is_new] = named.emplace(wire.name(), i);
    if (!is_new) return twice(kList, i, "name", wire.name(), found->second);
    change.groups.push_back(std::move(group).value());
  }
  auto removals = parse_removals("remove_groups", kList, request.remove_groups(), named);
  if (!removals) return removals.error();
  change.group_removals = std::move(removals).value();
  return {};
}

Result<PolicySpec> parse_one_policy(const api::Policy& wire, const Policies& before) {
  if (auto name = check_label("name", wire.name(), kMaxPolicyNameCharacters); !name) return name.error();
  if (auto object = check_label("object", wire.object(), kMaxPolicyNameCharacters); !object) return object.error();
  const auto found = before.find(wire.name());
  PolicySpec spec;
  for (unsigned i = 0; i < kDirections; ++i) {
    const std::shared_ptr<const DirectionSpec> same = found == before.end() ? nullptr : (*found->second)[i]->spec;
    auto parsed = parse_direction(wire, static_cast<Direction>(i), same.get());
    if (!parsed) return parsed.error();
    spec[i] = *parsed != nullptr ? std::move(parsed).value() : same;
  }
  return spec;
}

Result<void> parse_policies(const api::ApplyRequest& request, const PolicyState& before, PolicyChange& change) {
  constexpr const char* kList = "upsert_policies";
  if (auto counted = check_count(kList, request.upsert_policies_size(), "policies", kMaxPolicies); !counted) {
    return counted;
  }
  Named named;
  for (int i = 0; i < request.upsert_policies_size(); ++i) {
    const api::Policy& wire = request.upsert_policies(i);
    auto spec = parse_one_policy(wire, *before.policies);
    if (!spec) return within(kList, i, spec.error());
    const auto [found, is_new] = named.emplace(wire.name(), i);
    if (!is_new) return twice(kList, i, "name", wire.name(), found->second);
    change.policies.push_back(std::move(spec).value());
  }
  auto removals = parse_removals("remove_policies", kList, request.remove_policies(), named);
  if (!removals) return removals.error();
  change.policy_removals = std::move(removals).value();
  return {};
}

Result<void> parse_endpoints(const api::ApplyRequest& request, PolicyChange& change) {
  constexpr const char* kList = "upsert_endpoints";
  static const std::string kAddress = "address";
  if (auto counted = check_count(kList, request.upsert_endpoints_size(), "endpoints", policy::kMaxEndpoints);
      !counted) {
    return counted;
  }
  Named named;
  for (int i = 0; i < request.upsert_endpoints_size(); ++i) {
    const api::Endpoint& wire = request.upsert_endpoints(i);
    const auto address = check_unicast(kAddress, wire.address());
    if (!address) return within(kList, i, address.error());
    if (wire.identity() == policy::kNoIdentity) {
      return net::invalid_argument(fmt::format("{}[{}].identity: 0; allowed: 1..4294967295", kList, i));
    }
    if (const auto [found, is_new] = named.emplace(wire.address(), i); !is_new) {
      return net::invalid_argument(fmt::format("{}[{}].address: {} is also that of {}[{}]", kList, i,
                                               address->to_string(), kList, found->second));
    }
    change.endpoints.push_back({*address, wire.identity()});
  }
  for (int i = 0; i < request.remove_endpoints_size(); ++i) {
    const auto address = check_unicast(fmt::format("remove_endpoints[{}]", i), request.remove_endpoints(i));
    if (!address) return address.error();
    if (named.contains(request.remove_endpoints(i))) {
      return net::invalid_argument(
          fmt::format("remove_endpoints[{}]: {} is also in {}", i, address->to_string(), kList));
    }
    change.endpoint_removals.push_back(*address);
  }
  return {};
}

Result<void> check_list(const char* field, const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (static_cast<std::size_t>(names.size()) > policy::kMaxRules) {
    return net::resource_exhausted(
        fmt::format("{}: {} policies; a port has at most {}", field, names.size(), policy::kMaxRules));
  }
  Named named;
  for (int i = 0; i < names.size(); ++i) {
    const auto [found, is_new] = named.emplace(names[i], i);
    if (is_new) continue;
    return net::invalid_argument(
        fmt::format("{}[{}]: {} is also {}[{}]", field, i, quoted(names[i]), field, found->second));
  }
  return {};
}

Result<void> parse_port_policies(const api::ApplyRequest& request, PolicyChange& change) {
  constexpr const char* kList = "upsert_port_policies";
  Named named;
  for (int i = 0; i < request.upsert_port_policies_size(); ++i) {
    const api::PortPolicy& wire = request.upsert_port_policies(i);
    if (auto name = check_name("port", wire.port()); !name) return within(kList, i, name.error());
    const auto [found, is_new] = named.emplace(wire.port(), i);
    if (!is_new) return twice(kList, i, "port", wire.port(), found->second);
    if (auto checked = check_list("ingress", wire.ingress()); !checked) return within(kList, i, checked.error());
    if (auto checked = check_list("egress", wire.egress()); !checked) return within(kList, i, checked.error());
    PolicyLists lists;
    lists[0].assign(wire.ingress().begin(), wire.ingress().end());
    lists[1].assign(wire.egress().begin(), wire.egress().end());
    change.port_policies.emplace_back(wire.port(), std::make_shared<const PolicyLists>(std::move(lists)));
  }
  for (int i = 0; i < request.remove_port_policies_size(); ++i) {
    auto name = check_name(fmt::format("remove_port_policies[{}]", i), request.remove_port_policies(i));
    if (!name) return name.error();
  }
  auto removals = parse_removals("remove_port_policies", kList, request.remove_port_policies(), named);
  if (!removals) return removals.error();
  change.port_policy_removals = std::move(removals).value();
  return {};
}

}  // namespace

Result<PolicyChange> parse_policy(const api::ApplyRequest& request, const PolicyState& before) {
  PolicyChange change;
  if (auto parsed = parse_groups(request, before, change); !parsed) return parsed.error();
  if (auto parsed = parse_policies(request, before, change); !parsed) return parsed.error();
  if (auto parsed = parse_endpoints(request, change); !parsed) return parsed.error();
  if (auto parsed = parse_port_policies(request, change); !parsed) return parsed.error();
  return change;
}

}  // namespace millrace::control::switchd
