// How SwitchState publishes: ids, snapshots, and what is freed when every worker has passed.
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "control/switch/ack_wait.h"
#include "control/switch/switch_state.h"
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
  spec.mac = port.mac();
  spec.addresses = port.config.addresses;
  spec.prefixes = port.config.prefixes;
  spec.masquerade = port.config.masquerade;
  spec.dhcp = port.config.dhcp;
  spec.is_filtered = !port.config.device.empty();
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
         a.tunnels == b.tunnels && a.policy == b.policy && *a.port_policies == *b.port_policies;
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
  // New ports and tunnels need ids of their own. When those of the removed ones are needed for that, they go first.
  std::size_t needed = 0;
  std::size_t needed_tunnels = 0;
  for (const auto& [name, tunnel] : desired.tunnels->by_name) needed_tunnels += tunnels_.contains(name) ? 0 : 1;
  for (const auto& [name, device] : plan.devices) {
    const auto found = kept.find(name);
    const std::size_t had = found == kept.end() ? 0 : found->second.ids.size();
    needed += device->open.queues.size() - std::min(had, device->open.queues.size());
  }
  if (needed > slots_.free_count() || needed_tunnels > tunnel_slots_.free_count()) {
    DesiredState smaller = rules_;
    smaller.tunnels = restrict_tunnels(rules_.tunnels, *desired.tunnels);
    if (auto removed = publish(smaller, kept); !removed) return removed.error();
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
  Uplinks uplinks = uplinks_of(ports);
  LiveTunnels tunnels = plan_tunnels(rules, uplinks);
  spec.tunnel_limit = kTunnelLimit;
  if (rules.tunnels->underlay) spec.underlay = rules.tunnels->underlay->node;
  for (const auto& [name, tunnel] : tunnels) spec.tunnels.push_back(to_snapshot(tunnel));
  spec.uplinks = std::move(uplinks.specs);
  auto snapshot = datapath::build_snapshot(spec, workers_.publisher->current());
  auto widened = snapshot ? widen_uplinks(rules, ports) : net::Result<void>(snapshot.error());
  if (!widened) {
    give_back_new(tunnels);
    return widened;
  }

  workers_.publisher->publish(std::move(snapshot).value());
  const std::lock_guard lock(state_mutex_);
  generation_ = spec.generation;
  rules_.gateway = rules.gateway;
  rules_.nat = rules.nat;
  rules_.services = rules.services;
  rules_.tunnels = rules.tunnels;
  replace_tunnels(std::move(tunnels));
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
  if (has_uplink == has_uplink_ && same_nat(rules.nat, rules_.nat) && rules.services == rules_.services &&
      rules.tunnels == rules_.tunnels) {
    return {};
  }
  auto next = uplink_rules(rules, has_uplink);
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
    std::erase_if(retired_tunnels_, [&](const auto& entry) {
      if (!workers_.publisher->seen_by_all(entry.first)) return false;
      for (datapath::WorkerCounters* counters : workers_.counters) counters->tunnel(entry.second).reset();
      tunnel_slots_.give_back(entry.second);
      return true;
    });
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
