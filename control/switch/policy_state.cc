#include "control/switch/policy_state.h"

#include "control/switch/rule_sets.h"

namespace millrace::control::switchd {

std::shared_ptr<const PortPolicies> merge_port_policies(const std::shared_ptr<const PortPolicies>& before,
                                                        const PolicyChange& change, bool replace_all) {
  if (!replace_all && change.port_policies.empty() && change.port_policy_removals.empty()) return before;
  auto after = std::make_shared<PortPolicies>();
  if (!replace_all) *after = *before;
  for (const std::string& port : change.port_policy_removals) after->erase(port);
  for (const auto& [port, lists] : change.port_policies) {
    const auto found = before->find(port);
    (*after)[port] = found != before->end() && *found->second == *lists ? found->second : lists;
  }
  return *after == *before ? before : after;
}

std::shared_ptr<const PortPolicies> restrict_port_policies(const std::shared_ptr<const PortPolicies>& before,
                                                           const std::function<bool(const std::string&)>& keep) {
  auto after = std::make_shared<PortPolicies>();
  for (const auto& [port, lists] : *before) {
    if (keep(port)) after->emplace_hint(after->end(), port, lists);
  }
  return after->size() == before->size() ? before : after;
}

PortRules rules_of_port(const PolicyState& policy, const PortPolicies& port_policies, const std::string& port,
                        bool await_policy) {
  PortRules rules;
  const auto found = port_policies.find(port);
  if (found == port_policies.end()) {
    rules.awaits_policy = await_policy;
    return rules;
  }
  for (unsigned i = 0; i < kDirections; ++i) {
    const std::vector<std::string>& list = (*found->second)[i];
    if (list.empty()) continue;
    const auto set = policy.rule_sets->find({static_cast<Direction>(i), list});
    // A list that nobody compiled must not open the port.
    static const std::shared_ptr<const LiveRuleSet> kClosed = build_rule_set({});
    rules.sets[i] = set != policy.rule_sets->end() ? set->second : kClosed;
  }
  return rules;
}

}  // namespace millrace::control::switchd
