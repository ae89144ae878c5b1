#include "control/switch/policy_reports.h"

#include <span>

#include "control/switch/table_reports.h"

namespace millrace::control::switchd {
namespace {

api::PolicyDirection to_proto(Direction direction) {
  return direction == Direction::kIngress ? api::POLICY_DIRECTION_INGRESS : api::POLICY_DIRECTION_EGRESS;
}

void fill(const net::Prefix& prefix, api::RoutePrefix& wire) {
  const auto raw = prefix.address.raw();
  wire.set_address(std::string(raw.begin(), raw.end()));
  wire.set_length(prefix.length_bits);
}

void fill(const policy::IpBlock& block, api::IpBlock& wire) {
  fill(block.cidr, *wire.mutable_cidr());
  for (const net::Prefix& except : block.except) fill(except, *wire.add_except());
}

void fill(const RuleSpec& rule, api::PolicyRuleStatus& status) {
  status.set_index(rule.index);
  status.set_any_peer(rule.rule.any_peer);
  for (const policy::IpBlock& block : rule.rule.blocks) fill(block, *status.add_blocks());
  for (const policy::PortRange& range : rule.rule.ports) {
    api::PolicyPort* port = status.add_ports();
    port->set_protocol(range.protocol);
    port->set_first(range.first);
    port->set_last(range.last);
  }
}

void fill(const LiveRules& part, const RuleSlots& slots, api::PolicyStatus& status) {
  status.set_name(part.spec->policy);
  status.set_object(part.spec->object);
  for (std::size_t i = 0; i < part.spec->rules.size(); ++i) {
    api::PolicyRuleStatus* rule = status.add_rules();
    fill(part.spec->rules[i], *rule);
    if (!part.failure.empty()) continue;  // it has no groups and no counter
    for (const auto& group : part.groups[i]) {
      api::PeerGroupStatus* peer = rule->add_groups();
      peer->set_name(group->name);
      peer->set_identity_count(group->identities->size());
    }
    rule->set_flows(slots.count(part.slots[i]->number()));
  }
}

void fill(const LiveRuleSet* set, std::uint64_t since_generation, const RuleSlots& slots,
          api::PolicyDirectionStatus& status) {
  status.set_isolated(set != nullptr);
  status.set_since_generation(since_generation);
  if (set == nullptr) return;
  status.set_failure(set->failure);
  for (const auto& part : set->parts) fill(*part, slots, *status.add_policies());
}

}  // namespace

void add_failures(const LivePorts& ports, api::ApplyReply& reply) {
  std::map<const LiveRuleSet*, api::PolicyFailure*> told;
  for (const auto& [name, port] : ports) {
    for (unsigned i = 0; i < kDirections; ++i) {
      const LiveRuleSet* set = port.rules.sets[i].get();
      if (set == nullptr || set->failure.empty()) continue;
      api::PolicyFailure*& failure = told[set];
      if (failure == nullptr) {
        failure = reply.add_policy_failures();
        failure->set_direction(to_proto(static_cast<Direction>(i)));
        failure->set_message(set->failure);
        for (const auto& part : set->parts) failure->add_policies(part->spec->policy);
      }
      failure->add_ports(name);
    }
  }
}

void fill(const PortRules& rules, const RuleSlots& slots, api::PortPolicyStatus& status) {
  status.set_awaits_policy(rules.awaits_policy);
  fill(rules.sets[0].get(), rules.since_generation[0], slots, *status.mutable_ingress());
  fill(rules.sets[1].get(), rules.since_generation[1], slots, *status.mutable_egress());
}

api::ListRuleCountersReply list_rule_counters(const PolicyState& policy, const RuleSlots& slots) {
  std::map<RuleKey, std::uint32_t> numbers;
  for (const auto& [name, live] : *policy.policies) {
    for (const auto& rules : *live) {
      for (const auto& slot : rules->slots) numbers.emplace(slot->key(), slot->number());
    }
  }
  api::ListRuleCountersReply reply;
  for (const auto& [key, number] : numbers) {
    api::RuleCounter* counter = reply.add_rules();
    counter->set_object(key.object);
    counter->set_direction(to_proto(key.direction));
    counter->set_index(key.index);
    counter->set_flows(slots.count(number));
  }
  return reply;
}

void add_policy_tables(const PolicyState& policy, std::uint32_t rule_limit, std::vector<api::TableStatus>& rows) {
  rows.push_back(table_row("policies", policy.policies->size(), kMaxPolicies));
  rows.push_back(table_row("policy_groups", policy.groups->size(), kMaxGroups));
  rows.push_back(table_row("policy_endpoints", policy.endpoints->sorted.size(), policy::kMaxEndpoints));
  rows.push_back(table_row("policy_rules", policy.rule_count, rule_limit));
}

}  // namespace millrace::control::switchd
