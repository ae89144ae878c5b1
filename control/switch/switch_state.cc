#include "control/switch/switch_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "control/switch/ack_wait.h"
#include "control/switch/policy_reports.h"
#include "control/switch/uplink_rules.h"
#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {
namespace {

/// The port's field in the request, for the message; the port itself when the request does not name it.
std::string blame(const api::ApplyRequest& request, const std::string& name) {
  for (int i = 0; i < request.upsert_ports_size(); ++i) {
    if (request.upsert_ports(i).name() != name) continue;
    return fmt::format("upsert_ports[{}].{}", i,
                       request.upsert_ports(i).has_vhost_user() ? "vhost_user.path" : "interface");
  }
  return fmt::format("port \"{}\"", name);
}

}  // namespace

SwitchState::SwitchState(const Limits& limits, PortOpener& opener, Underlay& underlay, WorkerAccess workers)
    : limits_(limits),
      opener_(opener),
      underlay_(underlay),
      workers_(std::move(workers)),
      slots_(limits.port_limit),
      tunnel_slots_(kTunnelLimit),
      rule_slots_(limits.rule_limit, workers_.counters) {}

net::Result<std::unique_ptr<SwitchState>> SwitchState::create(const Limits& limits, const datapath::Gateway& gateway,
                                                              PortOpener& opener, Underlay& underlay,
                                                              WorkerAccess workers) {
  std::unique_ptr<SwitchState> state(new SwitchState(limits, opener, underlay, std::move(workers)));
  DesiredState rules{gateway,
                     {},
                     std::make_shared<const ServiceState>(),
                     std::make_shared<const PolicyState>(),
                     std::make_shared<const PortPolicies>(),
                     std::make_shared<const TunnelSet>(),
                     {}};
  rules.nat.ports = limits.nat_ports;
  state->rules_ = rules;
  if (auto published = state->publish(rules, {}); !published) return published.error();
  return state;
}

SwitchState::~SwitchState() = default;

net::Result<api::ApplyReply> SwitchState::apply(const api::ApplyRequest& request) {
  auto change = parse_apply(request, limits_, services()->by_name, *policy());
  if (!change) return change.error();
  const ApplyClaims::Claim claim = claims_.take(keys_of(*change));
  if (request.dry_run()) {
    claim.wait_for_policy_turn();
    return try_out(*change);
  }
  close_abandoned();
  auto opened = open_for(*change);
  if (!opened) return opened.error();
  claim.wait_for_policy_turn();
  auto planned = plan_policy(*change);

  api::ApplyReply reply;
  const auto published = planned ? change_state(request, *change, std::move(planned).value(), *opened, reply)
                                 : net::Result<Published>(planned.error());
  claim.end_policy_turn();
  Devices unused;
  for (auto& [interface, device] : *opened) {
    if (device) unused.push_back(std::move(device).value());
  }
  opened->clear();
  close_devices(std::move(unused));  // those that are in force now stay open
  if (!published) return published.error();
  if (auto settled = settle(*published); !settled) return settled.error();
  reply.set_generation(published->last);
  return reply;
}

ClaimKeys SwitchState::keys_of(const Change& change) const {
  ClaimKeys keys;
  keys.everything = change.replace_all || change.tunnels.underlay.has_value();
  keys.policy = !change.policy.empty();
  for (const auto& [port, lists] : change.policy.port_policies) keys.ports.insert(port);
  keys.ports.insert(change.policy.port_policy_removals.begin(), change.policy.port_policy_removals.end());
  keys.ports.insert(change.removals.begin(), change.removals.end());
  keys.services.insert(change.services.removals.begin(), change.services.removals.end());
  for (const auto& [name, service] : change.services.upserts) keys.services.insert(name);
  keys.tunnels.insert(change.tunnels.removals.begin(), change.tunnels.removals.end());
  for (const TunnelConfig& tunnel : change.tunnels.upserts) keys.tunnels.insert(tunnel.name);
  for (const PortConfig& port : change.upserts) {
    keys.ports.insert(port.name);
    keys.interfaces.insert(port.interface);
  }
  // What the change may close, another must not open at that time.
  const std::lock_guard lock(state_mutex_);
  for (const std::string& name : keys.ports) {
    if (const auto found = ports_.find(name); found != ports_.end())
      keys.interfaces.insert(found->second.config.interface);
  }
  return keys;
}

LivePorts SwitchState::alive_ports() const {
  LivePorts alive;
  for (const auto& [name, port] : ports_) {
    if (!opener_.is_dead(port.device->open)) alive.emplace(name, port);
  }
  return alive;
}

DesiredState SwitchState::live_state() const {
  const std::lock_guard lock(state_mutex_);
  DesiredState live = rules_;
  for (const auto& [name, port] : ports_) {
    if (!opener_.is_dead(port.device->open)) live.ports.emplace(name, port.config);
  }
  return live;
}

net::Result<OpenedDevices> SwitchState::open_for(const Change& change) {
  if (stopping_) return net::unavailable("the switch is shutting down");
  const DesiredState before = live_state();
  const auto desired = merge(before, change, limits_);
  if (!desired) return desired.error();
  return open_devices(missing_interfaces(*desired, before), opener_, stopping_);
}

net::Result<SwitchState::Published> SwitchState::change_state(const api::ApplyRequest& request, const Change& change,
                                                              std::shared_ptr<const PolicyState> policy,
                                                              OpenedDevices& opened, api::ApplyReply& reply) {
  const std::lock_guard apply_lock(apply_mutex_);
  if (stopping_) return net::unavailable("the switch is shutting down");
  free_ids();
  // Ports whose interface went away are no longer wanted unless this request names them again.
  const LivePorts alive = alive_ports();
  DesiredState before = rules_;
  for (const auto& [name, port] : alive) before.ports.emplace(name, port.config);
  auto desired = merge(before, change, limits_);
  if (!desired) return desired.error();
  // Of a request that is not about policy: another may have changed it since.
  if (change.replace_all || !change.policy.empty()) desired->policy = std::move(policy);

  const DevicePlan plan = plan_devices(*desired, alive, opened, opener_, workers_.publisher->worker_count());
  for (const auto& [name, error] : plan.failures) {
    const std::string message = fmt::format("{}: {}", blame(request, name), error.message);
    if (!change.replace_all) return net::Error{error.code, message};
    api::PortFailure* failure = reply.add_failures();
    failure->set_name(name);
    failure->set_message(message);
  }
  follow_remotes(*desired, plan);
  auto published = commit(std::move(desired).value(), plan);
  if (published && (change.replace_all || !change.policy.empty())) add_failures(ports_, reply);
  return published;
}

net::Result<void> SwitchState::close() {
  stopping_ = true;
  ClaimKeys all;
  all.everything = true;
  const ApplyClaims::Claim claim = claims_.take(std::move(all));
  net::Result<Published> published = Published{};
  {
    const std::lock_guard apply_lock(apply_mutex_);
    published = commit(rules_, DevicePlan{});
  }
  if (!published) return published.error();
  return settle(*published);
}

}  // namespace millrace::control::switchd
