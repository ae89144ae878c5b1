/// Policy of an ApplyRequest: checked field by field, and kept as it is in force where it says the same.
///
/// Shape:   a group, and the rules of one direction of a policy, are objects that never change. The same words again
///          give the same object, so what follows from them is built again only where a pointer differs
///          (policy_state.h).
/// Errors:  kInvalidArgument names the field ("upsert_policies[3].ingress[0].blocks[1].except[0]") and what is allowed;
///          kResourceExhausted the limit. Whether names lead somewhere is asked of the whole: policy_state.h.
/// Thread:  pure functions, any thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/rule_slots.h"
#include "net/address.h"
#include "net/result.h"
#include "policy/identity_table.h"
#include "policy/rule.h"

namespace millrace::control::switchd {

inline constexpr std::size_t kMaxGroups = 262'144;
inline constexpr std::size_t kMaxGroupNameCharacters = 4096;
inline constexpr std::size_t kMaxPolicies = 65'536;
inline constexpr std::size_t kMaxPolicyNameCharacters = 1024;  // and of its object
inline constexpr std::size_t kMaxRuleGroups = 65'536;
inline constexpr std::size_t kMaxRuleBlocks = 10'000;
inline constexpr std::size_t kMaxBlockExcepts = 1'000;
inline constexpr std::size_t kMaxRulePorts = 1'000;

struct PeerGroup {
  std::string name;
  policy::IdentityGroup identities;
};

struct RuleSpec {
  std::uint32_t index = 0;
  std::vector<std::string> groups;
  policy::Rule rule;  // without groups and counter
};

/// A policy in one direction.
struct DirectionSpec {
  std::string policy;
  std::string object;
  Direction direction = Direction::kIngress;
  std::string wire;  // the rules, each behind its length
  std::vector<RuleSpec> rules;
};
using PolicySpec = std::array<std::shared_ptr<const DirectionSpec>, kDirections>;

/// Names of the policies of a port, in the order in which they are asked.
using PolicyLists = std::array<std::vector<std::string>, kDirections>;

struct PolicyChange {
  std::vector<std::shared_ptr<const PeerGroup>> groups;  // [i] is upsert_groups[i], and so on
  std::vector<std::string> group_removals;
  std::vector<PolicySpec> policies;
  std::vector<std::string> policy_removals;
  std::vector<policy::Endpoint> endpoints;
  std::vector<net::IpAddress> endpoint_removals;
  std::vector<std::pair<std::string, std::shared_ptr<const PolicyLists>>> port_policies;
  std::vector<std::string> port_policy_removals;

  bool empty() const noexcept {
    return groups.empty() && group_removals.empty() && policies.empty() && policy_removals.empty() &&
           endpoints.empty() && endpoint_removals.empty() && port_policies.empty() && port_policy_removals.empty();
  }
};

struct PolicyState;

/// `before`: what is in force, to know what stays as it is.
net::Result<PolicyChange> parse_policy(const api::ApplyRequest& request, const PolicyState& before);

/// The rules of one direction of `wire`; errors begin with the direction. rule_request.cc
net::Result<std::shared_ptr<const DirectionSpec>> parse_direction(const api::Policy& wire, Direction direction,
                                                                  const DirectionSpec* before);

}  // namespace millrace::control::switchd
