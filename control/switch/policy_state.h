/// PolicyState: groups, policies and endpoints in force, and the rule sets made of them.
///
/// Shape:   every part is immutable and shared by the states before and after a change that is not about it. The rules
///          of a policy in one direction (LiveRules) are bound to their groups and counters, and are the same object as
///          before where nothing of that changed; a rule set is one for every list of policies that some port has in a
///          direction, and is the same object as before while its parts are.
/// Closed:  what cannot be built stands for a rule set without rules, which allows nothing; `failure` says why. A
///          request without replace_all is refused instead, unless it was so before.
/// Errors:  kInvalidArgument names the field and both names; kResourceExhausted the limit.
/// Thread:  values that never change, any thread; next_policy() one at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/switch/policy_request.h"
#include "control/switch/rule_slots.h"
#include "datapath/snapshot.h"
#include "net/result.h"
#include "policy/identity_table.h"
#include "policy/rule_set.h"

namespace millrace::control::switchd {

/// Rules of a policy in one direction, ready to be built into a set.
struct LiveRules {
  std::shared_ptr<const DirectionSpec> spec;
  std::vector<policy::Rule> rules;                                    // [i] is spec->rules[i]
  std::vector<std::vector<std::shared_ptr<const PeerGroup>>> groups;  // [rule]
  std::vector<std::shared_ptr<const RuleSlots::Slot>> slots;          // [rule]
  std::string failure;                                                // not "": there is no slot for some of them
};
using LivePolicy = std::array<std::shared_ptr<const LiveRules>, kDirections>;

/// A list of policies of a direction, compiled.
struct LiveRuleSet {
  std::vector<std::shared_ptr<const LiveRules>> parts;
  std::shared_ptr<const policy::RuleSet> rules;  // never nullptr; allows nothing after a failure
  std::string failure;                           // which policy, and why
};
struct RuleSetKey {
  Direction direction = Direction::kIngress;
  std::vector<std::string> policies;
  friend auto operator<=>(const RuleSetKey&, const RuleSetKey&) = default;
};

struct EndpointState {
  std::vector<policy::Endpoint> sorted;                // by address
  std::shared_ptr<const policy::IdentityTable> table;  // nullptr: none
};

using Groups = std::map<std::string, std::shared_ptr<const PeerGroup>>;
using Policies = std::map<std::string, std::shared_ptr<const LivePolicy>>;
using RuleSets = std::map<RuleSetKey, std::shared_ptr<const LiveRuleSet>>;
/// By port. Apart from PolicyState because a port takes its own along when it goes.
using PortPolicies = std::map<std::string, std::shared_ptr<const PolicyLists>>;

struct PolicyState {
  std::shared_ptr<const Groups> groups = std::make_shared<const Groups>();  // none of these is nullptr
  std::shared_ptr<const Policies> policies = std::make_shared<const Policies>();
  std::shared_ptr<const EndpointState> endpoints = std::make_shared<const EndpointState>();
  std::shared_ptr<const RuleSets> rule_sets = std::make_shared<const RuleSets>();
  std::size_t rule_count = 0;  // slots that policies have
};

/// What is in force for a port.
struct PortRules {
  bool awaits_policy = false;
  std::array<std::shared_ptr<const LiveRuleSet>, kDirections> sets;  // nullptr: not isolated
  std::array<std::uint64_t, kDirections> since_generation{};
};

struct PolicyBase {
  std::shared_ptr<const PolicyState> policy;  // in force
  std::shared_ptr<const PortPolicies> port_policies;
  std::map<std::string, datapath::PortKind> ports;  // that will be there
};

/// `base` with `change`. The same object when nothing changes. Takes slots; those of a state that is not kept are given
/// back with it.
net::Result<std::shared_ptr<const PolicyState>> next_policy(const PolicyBase& base, const PolicyChange& change,
                                                            bool replace_all, RuleSlots& slots);

/// `before` with those of `change`. The same object when nothing changes.
std::shared_ptr<const PortPolicies> merge_port_policies(const std::shared_ptr<const PortPolicies>& before,
                                                        const PolicyChange& change, bool replace_all);
/// Those for which `keep` is true. The same object when that is all.
std::shared_ptr<const PortPolicies> restrict_port_policies(const std::shared_ptr<const PortPolicies>& before,
                                                           const std::function<bool(const std::string&)>& keep);

/// What `policy` means for a port; without generations.
PortRules rules_of_port(const PolicyState& policy, const PortPolicies& port_policies, const std::string& port,
                        bool await_policy);

}  // namespace millrace::control::switchd
