// The part of SwitchState that is about policy: what a request makes of it, and whether a request would be taken.
#include "control/switch/policy_reports.h"
#include "control/switch/switch_state.h"

namespace millrace::control::switchd {

net::Result<std::shared_ptr<const PolicyState>> SwitchState::plan_policy(const Change& change) {
  if (change.policy.empty() && !change.replace_all) return policy();
  PolicyBase base;
  {
    const std::lock_guard lock(state_mutex_);
    base.policy = rules_.policy;
    base.port_policies = rules_.port_policies;
    for (const auto& [name, port] : ports_) {
      if (!change.replace_all) base.ports.emplace(name, port.config.kind);
    }
  }
  for (const std::string& name : change.removals) base.ports.erase(name);
  for (const PortConfig& port : change.upserts) base.ports.insert_or_assign(port.name, port.kind);
  return next_policy(base, change.policy, change.replace_all, rule_slots_);
}

net::Result<api::ApplyReply> SwitchState::try_out(const Change& change) {
  const auto desired = merge(live_state(), change, limits_);
  if (!desired) return desired.error();
  const auto policy = plan_policy(change);
  if (!policy) return policy.error();
  api::ApplyReply reply;
  reply.set_generation(generation());
  LivePorts ports;
  for (const auto& [name, config] : desired->ports) {
    ports[name].rules = rules_of_port(**policy, *desired->port_policies, name, config.await_policy);
  }
  add_failures(ports, reply);
  return reply;
}

}  // namespace millrace::control::switchd
