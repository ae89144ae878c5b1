// How a change makes the next state of policy (policy_state.h).
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "control/switch/field_checks.h"
#include "control/switch/policy_state.h"
#include "control/switch/rule_sets.h"

namespace millrace::control::switchd {
namespace {

using net::Result;

const char* name_of(unsigned direction) { return kDirectionNames[direction]; }

class NextPolicy {
 public:
  NextPolicy(const PolicyBase& base, const PolicyChange& change, bool replace_all, RuleSlots& slots)
      : base_(base), before_(*base.policy), change_(change), replace_all_(replace_all), slots_(slots) {}

  Result<std::shared_ptr<const PolicyState>> make() {
    if (auto merged = merge_groups(); !merged) return merged.error();
    if (auto merged = merge_policies(); !merged) return merged.error();
    if (auto merged = merge_endpoints(); !merged) return merged.error();
    if (auto checked = check_port_policies(); !checked) return checked.error();
    if (auto built = build_sets(); !built) return built.error();
    const bool same = after_.groups == before_.groups && after_.policies == before_.policies &&
                      after_.endpoints == before_.endpoints && after_.rule_sets == before_.rule_sets;
    if (same) return base_.policy;
    return std::shared_ptr<const PolicyState>(std::make_shared<PolicyState>(std::move(after_)));
  }

 private:
  using RulesPtr = std::shared_ptr<const LiveRules>;

  Result<void> merge_groups();
  Result<void> merge_policies();
  Result<RulesPtr> bind(const std::shared_ptr<const DirectionSpec>& spec, const RulesPtr& before);
  Result<RulesPtr> resolve(const std::shared_ptr<const DirectionSpec>& spec);
  /// What is wrong with a policy that names a group that is not there.
  net::Error no_group(const DirectionSpec& spec, std::size_t rule, std::size_t index) const;
  /// Counts the slots of a policy in; false: that is more than the limit.
  bool count_slots(const LiveRules& rules);
  Result<void> merge_endpoints();
  Result<void> check_port_policies() const;
  Result<void> check_names(std::size_t index, unsigned direction) const;
  Result<void> build_sets();

  const PolicyBase& base_;
  const PolicyState& before_;
  const PolicyChange& change_;
  const bool replace_all_;
  RuleSlots& slots_;
  PolicyState after_;
  std::unordered_set<const PeerGroup*> stale_;                  // groups of `before_` that are not in `after_`
  std::unordered_map<std::string_view, std::size_t> upserted_;  // policies: index in the request
  std::vector<bool> has_slot_;                                  // [slot]
};

Result<void> NextPolicy::merge_groups() {
  after_.groups = before_.groups;
  if (!replace_all_ && change_.groups.empty() && change_.group_removals.empty()) return {};
  auto groups = std::make_shared<Groups>();
  if (!replace_all_) *groups = *before_.groups;
  for (const std::string& name : change_.group_removals) groups->erase(name);
  for (const auto& group : change_.groups) (*groups)[group->name] = group;
  if (groups->size() > kMaxGroups) {
    return net::resource_exhausted(
        fmt::format("upsert_groups: {} groups in all; the switch holds {}", groups->size(), kMaxGroups));
  }
  for (const auto& [name, group] : *before_.groups) {
    const auto found = groups->find(name);
    if (found == groups->end() || found->second != group) stale_.insert(group.get());
  }
  if (!stale_.empty() || groups->size() != before_.groups->size()) after_.groups = std::move(groups);
  return {};
}

net::Error NextPolicy::no_group(const DirectionSpec& spec, std::size_t rule, std::size_t index) const {
  const std::string& group = spec.rules[rule].groups[index];
  const std::string place =
      fmt::format("{}[{}].groups[{}]", name_of(static_cast<unsigned>(spec.direction)), rule, index);
  if (const auto found = upserted_.find(spec.policy); found != upserted_.end()) {
    return net::invalid_argument(fmt::format("upsert_policies[{}].{}: policy {} names group {}, which is not there",
                                             found->second, place, quoted(spec.policy), quoted(group)));
  }
  const auto& removals = change_.group_removals;
  const auto removal = std::find(removals.begin(), removals.end(), group) - removals.begin();
  return net::invalid_argument(fmt::format("remove_groups[{}]: {} is named by policy {} ({})", removal, quoted(group),
                                           quoted(spec.policy), place));
}

Result<NextPolicy::RulesPtr> NextPolicy::resolve(const std::shared_ptr<const DirectionSpec>& spec) {
  LiveRules live{spec, {}, {}, {}, {}};
  live.rules.reserve(spec->rules.size());
  for (std::size_t i = 0; i < spec->rules.size(); ++i) {
    const RuleSpec& rule = spec->rules[i];
    live.rules.push_back(rule.rule);
    live.groups.emplace_back();
    for (std::size_t j = 0; j < rule.groups.size(); ++j) {
      const auto found = after_.groups->find(rule.groups[j]);
      if (found == after_.groups->end()) return no_group(*spec, i, j);
      live.rules.back().groups.push_back(found->second->identities);
      live.groups.back().push_back(found->second);
    }
    auto slot = slots_.take({spec->object, spec->direction, rule.index});
    if (slot == nullptr) {
      live.failure = fmt::format("no counter is free for {}[{}]; policy.ruleLimit of the switch is {}",
                                 name_of(static_cast<unsigned>(spec->direction)), i, slots_.rule_limit());
      live.slots.clear();
      break;
    }
    live.rules.back().counter = slot->number();
    live.slots.push_back(std::move(slot));
  }
  return RulesPtr(std::make_shared<LiveRules>(std::move(live)));
}

bool NextPolicy::count_slots(const LiveRules& rules) {
  std::vector<std::uint32_t> fresh;  // several rules may share a slot
  for (const auto& slot : rules.slots) {
    if (has_slot_[slot->number()]) continue;
    has_slot_[slot->number()] = true;
    fresh.push_back(slot->number());
  }
  const bool fits = after_.rule_count + fresh.size() <= slots_.rule_limit();
  if (fits) after_.rule_count += fresh.size();
  for (const std::uint32_t number : fresh) has_slot_[number] = fits;
  return fits;
}

Result<NextPolicy::RulesPtr> NextPolicy::bind(const std::shared_ptr<const DirectionSpec>& spec,
                                              const RulesPtr& before) {
  const bool is_known = before != nullptr && before->spec == spec;
  const auto is_stale = [this](const auto& groups) {
    return std::any_of(groups.begin(), groups.end(),
                       [this](const auto& group) { return stale_.contains(group.get()); });
  };
  RulesPtr live = before;
  const bool goes_on = is_known && before->failure.empty() &&
                       (stale_.empty() || std::none_of(before->groups.begin(), before->groups.end(), is_stale));
  if (!goes_on) {
    auto resolved = resolve(spec);
    if (!resolved) return resolved;
    live = std::move(resolved).value();
  }
  if (live->failure.empty() && !count_slots(*live)) {
    auto failed = std::make_shared<LiveRules>(LiveRules{spec, {}, {}, {}, {}});
    failed->failure =
        fmt::format("with its rules there are more than policy.ruleLimit of the switch, {}", slots_.rule_limit());
    live = std::move(failed);
  }
  if (is_known && !live->failure.empty() && before->failure == live->failure) live = before;
  if (live->failure.empty() || replace_all_ || (is_known && !before->failure.empty())) return live;
  return net::resource_exhausted(fmt::format("upsert_policies: policy {}: {}", quoted(spec->policy), live->failure));
}

Result<void> NextPolicy::merge_policies() {
  for (std::size_t i = 0; i < change_.policies.size(); ++i) upserted_.emplace(change_.policies[i][0]->policy, i);
  has_slot_.resize(rule_slot_count(slots_.rule_limit()));
  after_.policies = before_.policies;
  after_.rule_count = before_.rule_count;
  if (!replace_all_ && stale_.empty() && change_.policies.empty() && change_.policy_removals.empty()) return {};
  auto policies = std::make_shared<Policies>();
  if (!replace_all_) *policies = *before_.policies;
  for (const std::string& name : change_.policy_removals) policies->erase(name);
  for (const PolicySpec& spec : change_.policies) policies->try_emplace(spec[0]->policy);
  if (policies->size() > kMaxPolicies) {
    return net::resource_exhausted(
        fmt::format("upsert_policies: {} policies in all; the switch holds {}", policies->size(), kMaxPolicies));
  }
  after_.rule_count = 0;
  for (auto& [name, live] : *policies) {
    const auto known = before_.policies->find(name);
    const std::shared_ptr<const LivePolicy> before = known == before_.policies->end() ? nullptr : known->second;
    const auto upserted = upserted_.find(name);
    LivePolicy next;
    for (unsigned i = 0; i < kDirections; ++i) {
      const RulesPtr rules = before == nullptr ? nullptr : (*before)[i];
      auto bound = bind(upserted == upserted_.end() ? rules->spec : change_.policies[upserted->second][i], rules);
      if (!bound) return bound.error();
      next[i] = std::move(bound).value();
    }
    live = before != nullptr && *before == next ? before : std::make_shared<const LivePolicy>(std::move(next));
  }
  if (*policies != *before_.policies) after_.policies = std::move(policies);
  return {};
}

bool less_address(const policy::Endpoint& a, const policy::Endpoint& b) { return a.address < b.address; }
bool same_endpoint(const policy::Endpoint& a, const policy::Endpoint& b) {
  return a.address == b.address && a.identity == b.identity;
}

Result<void> NextPolicy::merge_endpoints() {
  after_.endpoints = before_.endpoints;
  if (!replace_all_ && change_.endpoints.empty() && change_.endpoint_removals.empty()) return {};
  std::vector<policy::Endpoint> sorted = change_.endpoints;
  std::sort(sorted.begin(), sorted.end(), less_address);
  if (!replace_all_) {
    std::vector<policy::Endpoint> gone;
    for (const net::IpAddress& address : change_.endpoint_removals) gone.push_back({address, policy::kNoIdentity});
    std::sort(gone.begin(), gone.end(), less_address);
    std::vector<policy::Endpoint> kept, merged;
    const auto& all = before_.endpoints->sorted;
    std::set_difference(all.begin(), all.end(), gone.begin(), gone.end(), std::back_inserter(kept), less_address);
    // Of two with one address the first is taken: that of the request.
    std::set_union(sorted.begin(), sorted.end(), kept.begin(), kept.end(), std::back_inserter(merged), less_address);
    sorted = std::move(merged);
  }
  const auto& all = before_.endpoints->sorted;
  if (std::equal(sorted.begin(), sorted.end(), all.begin(), all.end(), same_endpoint)) return {};
  auto table = policy::IdentityTable::build(sorted);
  if (!table) { return net::Error{table.error().code, fmt::format("upsert_endpoints: {}", table.error().message)}; }
  after_.endpoints = std::make_shared<const EndpointState>(EndpointState{std::move(sorted), std::move(table).value()});
  return {};
}

Result<void> NextPolicy::check_names(std::size_t index, unsigned direction) const {
  const auto& [port, lists] = change_.port_policies[index];
  const std::vector<std::string>& names = (*lists)[direction];
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (after_.policies->contains(names[i])) continue;
    return net::invalid_argument(
        fmt::format("upsert_port_policies[{}].{}[{}]: port \"{}\" names policy {}, which is not there", index,
                    name_of(direction), i, port, quoted(names[i])));
  }
  return {};
}

Result<void> NextPolicy::check_port_policies() const {
  std::unordered_set<std::string_view> named;
  for (std::size_t i = 0; i < change_.port_policies.size(); ++i) {
    const std::string& port = change_.port_policies[i].first;
    named.insert(port);
    if (const auto found = base_.ports.find(port);
        found != base_.ports.end() && found->second != datapath::PortKind::kPod) {
      return net::invalid_argument(
          fmt::format("upsert_port_policies[{}].port: \"{}\" is not a pod's; allowed: PORT_KIND_POD alone", i, port));
    }
    for (unsigned direction = 0; direction < kDirections; ++direction) {
      if (auto checked = check_names(i, direction); !checked) return checked;
    }
  }
  if (replace_all_ || change_.policy_removals.empty()) return {};
  std::unordered_map<std::string_view, std::size_t> gone;
  for (std::size_t i = 0; i < change_.policy_removals.size(); ++i) gone.emplace(change_.policy_removals[i], i);
  const auto all = merge_port_policies(base_.port_policies, change_, replace_all_);
  for (const auto& [port, lists] : *all) {
    if (named.contains(port) || !base_.ports.contains(port)) continue;
    for (const std::vector<std::string>& list : *lists) {
      for (const std::string& name : list) {
        const auto found = gone.find(name);
        if (found == gone.end()) continue;
        return net::invalid_argument(fmt::format("remove_policies[{}]: {} is named by the policies of port \"{}\"",
                                                 found->second, quoted(name), port));
      }
    }
  }
  return {};
}

Result<void> NextPolicy::build_sets() {
  const auto all = merge_port_policies(base_.port_policies, change_, replace_all_);
  auto sets = std::make_shared<RuleSets>();
  for (const auto& [port, lists] : *all) {
    const auto kind = base_.ports.find(port);
    if (kind == base_.ports.end() || kind->second != datapath::PortKind::kPod) continue;
    for (unsigned direction = 0; direction < kDirections; ++direction) {
      const std::vector<std::string>& list = (*lists)[direction];
      if (list.empty()) continue;
      const auto [at, is_new] = sets->try_emplace(RuleSetKey{static_cast<Direction>(direction), list});
      if (!is_new) continue;
      const auto known = before_.rule_sets->find(at->first);
      const std::shared_ptr<const LiveRuleSet> before = known == before_.rule_sets->end() ? nullptr : known->second;
      std::vector<RulesPtr> parts;
      for (const std::string& name : list) parts.push_back((*after_.policies->at(name))[direction]);
      at->second = before != nullptr && before->parts == parts ? before : build_rule_set(std::move(parts));
      const bool was_closed = before != nullptr && !before->failure.empty();
      if (at->second->failure.empty() || replace_all_ || was_closed) continue;
      return net::resource_exhausted(
          fmt::format("{} of port \"{}\": {}", name_of(direction), port, at->second->failure));
    }
  }
  after_.rule_sets = *sets == *before_.rule_sets ? before_.rule_sets : std::move(sets);
  return {};
}

}  // namespace

Result<std::shared_ptr<const PolicyState>> next_policy(const PolicyBase& base, const PolicyChange& change,
                                                       bool replace_all, RuleSlots& slots) {
  if (change.empty() && !replace_all) return base.policy;
  return NextPolicy(base, change, replace_all, slots).make();
}

}  // namespace millrace::control::switchd
