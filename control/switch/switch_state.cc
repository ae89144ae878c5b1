#include "control/switch/switch_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "control/switch/ack_wait.h"
#include "control/switch/policy_reports.h"
#include "control/switch/uplink_rules.h"
#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {
namespace {

datapath::PortSpec to_snapshot(const LivePort& port, std::size_t queue) {
  datapath::PortSpec spec;
  spec.id = port.ids[queue];
  spec.name = port.config.name;
  spec.port = port.device->open.queues[queue].get();
  spec.kind = port.config.kind;
  spec.worker = port.device->workers[queue];
  spec.mtu_bytes = port.config.mtu_bytes;
  spec.mac = port.config.mac;
  spec.addresses = port.config.addresses;
  spec.prefixes = port.config.prefixes;
  spec.masquerade = port.config.masquerade;
  spec.dhcp = port.config.dhcp;
  spec.awaits_policy = port.rules.awaits_policy;
  const auto& [ingress, egress] = port.rules.sets;
  spec.ingress = ingress == nullptr ? nullptr : ingress->rules;
  spec.egress = egress == nullptr ? nullptr : egress->rules;
  return spec;
}

bool same_gateway(const datapath::Gateway& a, const datapath::Gateway& b) {
  return a.mac == b.mac && a.ipv4 == b.ipv4 && a.ipv6 == b.ipv6 && a.icmp_source_v4 == b.icmp_source_v4 &&
         a.icmp_source_v6 == b.icmp_source_v6;
}

bool same_nat(const datapath::NatSpec& a, const datapath::NatSpec& b) {
  return a.masquerade_v4 == b.masquerade_v4 && a.masquerade_v6 == b.masquerade_v6 &&
         a.not_masqueraded == b.not_masqueraded && a.service_prefixes == b.service_prefixes &&
         a.node_addresses == b.node_addresses;  // the ports never change
}

/// All but the ports. Services and policy that are the same stay the same object (desired_state.h).
bool same_rules(const DesiredState& a, const DesiredState& b) {
  return same_gateway(a.gateway, b.gateway) && same_nat(a.nat, b.nat) && a.services == b.services &&
         a.policy == b.policy && *a.port_policies == *b.port_policies;
}

/// The port's field in the request, for the message; the port itself when the request does not name it.
std::string blame(const api::ApplyRequest& request, const std::string& name) {
  for (int i = 0; i < request.upsert_ports_size(); ++i) {
    if (request.upsert_ports(i).name() == name) return fmt::format("upsert_ports[{}].interface", i);
  }
  return fmt::format("port \"{}\"", name);
}

bool is_unchanged(const LivePorts& live, const DesiredState& desired, const DevicePlan& plan) {
  if (live.size() != plan.devices.size()) return false;
  for (const auto& [name, device] : plan.devices) {
    const auto found = live.find(name);
    if (found == live.end() || found->second.device != device) return false;
    if (!(found->second.config == desired.ports.at(name))) return false;
  }
  return true;
}

}  // namespace

SwitchState::SwitchState(const Limits& limits, PortOpener& opener, WorkerAccess workers)
    : limits_(limits),
      opener_(opener),
      workers_(std::move(workers)),
      slots_(limits.port_limit),
      rule_slots_(limits.rule_limit, workers_.counters) {}

net::Result<std::unique_ptr<SwitchState>> SwitchState::create(const Limits& limits, const datapath::Gateway& gateway,
                                                              PortOpener& opener, WorkerAccess workers) {
  std::unique_ptr<SwitchState> state(new SwitchState(limits, opener, std::move(workers)));
  DesiredState rules{gateway,
                     {},
                     std::make_shared<const ServiceState>(),
                     std::make_shared<const PolicyState>(),
                     std::make_shared<const PortPolicies>(),
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
  keys.everything = change.replace_all;
  keys.policy = !change.policy.empty();
  for (const auto& [port, lists] : change.policy.port_policies) keys.ports.insert(port);
  keys.ports.insert(change.policy.port_policy_removals.begin(), change.policy.port_policy_removals.end());
  keys.ports.insert(change.removals.begin(), change.removals.end());
  keys.services.insert(change.services.removals.begin(), change.services.removals.end());
  for (const auto& [name, service] : change.services.upserts) keys.services.insert(name);
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

net::Result<OpenedDevices> SwitchState::open_for(const Change& change) {
  if (stopping_) return net::unavailable("the switch is shutting down");
  DesiredState before;
  LivePorts alive;
  {
    const std::lock_guard lock(state_mutex_);
    before = rules_;
    alive = alive_ports();
  }
  for (const auto& [name, port] : alive) before.ports.emplace(name, port.config);
  const auto desired = merge(before, change, limits_);
  if (!desired) return desired.error();
  return open_devices(missing_interfaces(*desired, alive), opener_, stopping_);
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

net::Result<SwitchState::Published> SwitchState::commit(DesiredState desired, const DevicePlan& plan) {
  const std::uint64_t first = generation_ + 1;
  desired.port_policies = restrict_port_policies(desired.port_policies,
                                                 [&](const std::string& name) { return plan.devices.contains(name); });
  if (same_rules(rules_, desired) && is_unchanged(ports_, desired, plan)) { return Published{first, generation_}; }
  LivePorts kept;
  for (const auto& [name, port] : ports_) {
    if (plan.devices.contains(name)) kept.emplace(name, port);
  }
  if (const std::size_t queues = plan.queue_count(); queues > limits_.port_limit) {
    return net::resource_exhausted(fmt::format("upsert_ports: {} queues of {} ports; portLimit of the switch is {}",
                                               queues, plan.devices.size(), limits_.port_limit));
  }
  // New ports need ids of their own. When those of the removed ones are needed for that, they go first.
  std::size_t needed = 0;
  for (const auto& [name, device] : plan.devices) {
    const auto found = kept.find(name);
    const std::size_t had = found == kept.end() ? 0 : found->second.ids.size();
    needed += device->open.queues.size() - std::min(had, device->open.queues.size());
  }
  if (needed > slots_.free_count()) {
    if (auto removed = publish(rules_, kept); !removed) return removed.error();
    if (auto passed = wait_until_passed(workers_, generation_); !passed) {
      abandon({first, generation_});
      return passed.error();
    }
    free_ids();
  }
  LivePorts next;
  std::vector<net::PortId> taken;
  for (const auto& [name, device] : plan.devices) {
    const auto found = kept.find(name);
    std::vector<net::PortId> ids = found == kept.end() ? std::vector<net::PortId>() : found->second.ids;
    const std::size_t queues = device->open.queues.size();
    if (ids.size() > queues) ids.resize(queues);
    while (ids.size() < queues) taken.push_back(ids.emplace_back(*slots_.take()));
    next.emplace(name, LivePort{desired.ports.at(name), std::move(ids), device, {}});
  }
  if (auto published = publish(desired, std::move(next)); !published) {
    for (auto id = taken.rbegin(); id != taken.rend(); ++id) slots_.undo_take(*id);
    abandon({first, generation_});
    return published.error();
  }
  return Published{first, generation_};
}

net::Result<void> SwitchState::publish(const DesiredState& rules, LivePorts ports) {
  datapath::SnapshotSpec spec;
  spec.generation = generation_ + 1;
  spec.port_limit = limits_.port_limit;
  spec.worker_count = workers_.publisher->worker_count();
  spec.gateway = rules.gateway;
  spec.nat = rules.nat;
  spec.services = rules.services->table;
  spec.identities = rules.policy->endpoints->table;
  std::set<net::PortId> ids;
  std::set<const Device*> devices;
  for (auto& [name, port] : ports) {
    port.rules = rules_of_port(*rules.policy, *rules.port_policies, name, port.config.await_policy);
    const auto before = ports_.find(name);
    for (unsigned i = 0; i < kDirections; ++i) {
      const bool goes_on = before != ports_.end() && before->second.rules.sets[i] == port.rules.sets[i];
      port.rules.since_generation[i] = goes_on ? before->second.rules.since_generation[i] : spec.generation;
    }
    for (std::size_t queue = 0; queue < port.ids.size(); ++queue) {
      spec.ports.push_back(to_snapshot(port, queue));
      ids.insert(port.ids[queue]);
    }
    devices.insert(port.device.get());
  }
  auto snapshot = datapath::build_snapshot(spec, workers_.publisher->current());
  if (!snapshot) return snapshot.error();
  if (auto widened = widen_uplinks(rules, ports); !widened) return widened;

  workers_.publisher->publish(std::move(snapshot).value());
  const std::lock_guard lock(state_mutex_);
  generation_ = spec.generation;
  rules_.gateway = rules.gateway;
  rules_.nat = rules.nat;
  rules_.services = rules.services;
  if (rules_.policy != rules.policy)
    retired_policy_.emplace_back(generation_, std::exchange(rules_.policy, rules.policy));
  rules_.port_policies =
      restrict_port_policies(rules.port_policies, [&](const std::string& name) { return ports.contains(name); });
  for (auto& [name, port] : ports_) {
    for (const net::PortId id : port.ids) {
      if (!ids.contains(id)) retired_.push_back({generation_, id, nullptr, false});
    }
    if (!devices.contains(port.device.get())) retired_.push_back({generation_, net::kNoPort, port.device, false});
  }
  ports_ = std::move(ports);
  return {};
}

net::Result<void> SwitchState::widen_uplinks(const DesiredState& rules, const LivePorts& ports) {
  const bool has_uplink = std::any_of(ports.begin(), ports.end(), [](const auto& entry) {
    return entry.second.config.kind == datapath::PortKind::kUplink;
  });
  if (!has_uplink && !has_uplink_) return {};
  if (has_uplink == has_uplink_ && same_nat(rules.nat, rules_.nat) && rules.services == rules_.services) return {};
  auto next = uplink_rules(rules.nat, *rules.services, has_uplink);
  if (auto widened = opener_.widen_uplinks(next); !widened) return widened;
  has_uplink_ = has_uplink;
  uplink_rules_ = std::move(next);
  is_uplink_wide_ = true;
  return {};
}

net::Result<void> SwitchState::settle(const Published& published) {
  if (auto passed = wait_until_passed(workers_, published.last); !passed) {
    abandon(published);
    return passed;
  }
  {
    const std::lock_guard apply_lock(apply_mutex_);
    free_ids();
    if (std::exchange(is_uplink_wide_, false)) {
      if (auto narrowed = opener_.narrow_uplinks(uplink_rules_); !narrowed) return narrowed;
    }
  }
  close_devices(take_retired(published));
  return {};
}

void SwitchState::free_ids() {
  std::vector<std::shared_ptr<const PolicyState>> passed;  // ends with no lock of the reports held
  {
    const std::lock_guard lock(state_mutex_);
    for (Retired& entry : retired_) {
      if (entry.id == net::kNoPort || !workers_.publisher->seen_by_all(entry.generation)) continue;
      removed_.add(row_sums(entry.id));
      for (datapath::WorkerCounters* counters : workers_.counters) counters->port(entry.id).reset();
      slots_.give_back(std::exchange(entry.id, net::kNoPort));
    }
    std::erase_if(retired_policy_, [&](auto& entry) {
      if (!workers_.publisher->seen_by_all(entry.first)) return false;
      passed.push_back(std::move(entry.second));
      return true;
    });
  }
  workers_.publisher->reclaim();
}

void SwitchState::abandon(const Published& published) {
  const std::lock_guard lock(state_mutex_);
  for (Retired& entry : retired_) {
    if (entry.generation >= published.first && entry.generation <= published.last) entry.abandoned = true;
  }
}

void SwitchState::close_abandoned() {
  {
    const std::lock_guard lock(state_mutex_);
    if (std::none_of(retired_.begin(), retired_.end(), [](const Retired& entry) { return entry.abandoned; })) return;
  }
  {
    const std::lock_guard apply_lock(apply_mutex_);
    free_ids();
  }
  close_devices(take_retired({}));
}

SwitchState::Devices SwitchState::take_retired(const Published& published) {
  Devices devices;
  const std::lock_guard lock(state_mutex_);
  std::erase_if(retired_, [&](Retired& entry) {
    const bool own = entry.generation >= published.first && entry.generation <= published.last;
    if (!own && !entry.abandoned) return false;
    // Another Apply may have abandoned it after free_ids: then its id is still to be given back.
    if (entry.id != net::kNoPort || !workers_.publisher->seen_by_all(entry.generation)) return false;
    if (entry.device != nullptr) devices.push_back(std::move(entry.device));
    return true;
  });
  return devices;
}

PortSums SwitchState::row_sums(net::PortId id) const {
  PortSums sums;
  for (const datapath::WorkerCounters* counters : workers_.counters) sums.add(counters->port(id));
  return sums;
}

}  // namespace millrace::control::switchd
