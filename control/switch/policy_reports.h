/// What is in force of policy, for those who ask: ports, counters of rules, tables, and what could not be built.
///
/// Thread:  any. Counters are whole numbers, not all of one instant.
#pragma once

#include <cstdint>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/device_plan.h"
#include "control/switch/policy_state.h"
#include "control/switch/rule_slots.h"

namespace millrace::control::switchd {

/// Lists of the ports' policies that are closed because they could not be built.
void add_failures(const LivePorts& ports, api::ApplyReply& reply);
void fill(const PortRules& rules, const RuleSlots& slots, api::PortPolicyStatus& status);
/// All rules that are counted, by object, direction and index.
api::ListRuleCountersReply list_rule_counters(const PolicyState& policy, const RuleSlots& slots);
/// "policies", "policy_groups", "policy_endpoints", "policy_rules".
void add_policy_tables(const PolicyState& policy, std::uint32_t rule_limit, std::vector<api::TableStatus>& rows);

}  // namespace millrace::control::switchd
