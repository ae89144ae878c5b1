// What SwitchState tells: ports, counters, interfaces that went away.
#include <fmt/core.h>

#include <optional>
#include <utility>

#include "control/switch/field_checks.h"
#include "control/switch/policy_reports.h"
#include "control/switch/switch_state.h"
#include "control/switch/table_reports.h"
#include "control/switch/trace.h"
#include "control/switch/uplink_socket.h"

namespace millrace::control::switchd {

namespace {

void fill(const VhostGuest& guest, api::PortStatus& status) {
  api::VhostUserStatus& told = *status.mutable_vhost_user();
  told.set_connected(guest.is_connected);
  told.set_queue_pairs(guest.queue_pairs);
  told.set_packed_rings(guest.has_packed_rings);
  told.set_memory_lost(guest.has_lost_memory);
  told.set_memory_losses(guest.memory_losses);
  told.set_refusals(guest.refusals);
  if (!guest.is_connected) status.set_state(api::PORT_STATE_NO_GUEST);
  if (guest.has_lost_memory) status.set_state(api::PORT_STATE_MEMORY_LOST);
}

/// None: the port has no vhost-user socket, and others are not asked for what costs more.
std::optional<VhostGuest> guest_of(const PortOpener& opener, const OpenPort& open) {
  return open.vhost || is_uplink_socket(open.device) ? opener.inspect(open).guest : std::nullopt;
}

}  // namespace

std::uint64_t SwitchState::generation() const {
  const std::lock_guard lock(state_mutex_);
  return generation_;
}

std::size_t SwitchState::port_count() const {
  const std::lock_guard lock(state_mutex_);
  return ports_.size();
}

std::shared_ptr<const ServiceState> SwitchState::services() const {
  const std::lock_guard lock(state_mutex_);
  return rules_.services;
}

std::shared_ptr<const PolicyState> SwitchState::policy() const {
  const std::lock_guard lock(state_mutex_);
  return rules_.policy;
}

std::vector<api::TableStatus> SwitchState::tables() const {
  std::vector<api::TableStatus> rows = table_status(workers_.counters, *services());
  add_policy_tables(*policy(), limits_.rule_limit, rows);
  const std::lock_guard lock(state_mutex_);
  rows.push_back(table_row("tunnels", tunnels_.size(), kTunnelLimit));
  rows.push_back(table_row("tunnel_prefixes", rules_.tunnels->by_prefix.size(), kTunnelPrefixLimit));
  return rows;
}

net::Result<api::PortPolicyStatus> SwitchState::port_policy(const std::string& port) const {
  api::PortPolicyStatus status;
  PortRules rules;
  {
    const std::lock_guard lock(state_mutex_);
    const auto found = ports_.find(port);
    if (found == ports_.end()) return net::not_found(fmt::format("port: there is no port {}", quoted(port)));
    rules = found->second.rules;
    status.set_generation(generation_);
  }
  status.set_port(port);
  fill(rules, rule_slots_, status);
  return status;
}

api::ListRuleCountersReply SwitchState::rule_counters() const { return list_rule_counters(*policy(), rule_slots_); }

PortView SwitchState::port_view() const {
  const std::lock_guard lock(state_mutex_);
  return make_port_view(generation_, ports_, first_tunnel(), tunnels_, rules_.services);
}

net::Result<api::TraceReply> SwitchState::trace(const TraceQuestion& question) const {
  const std::lock_guard apply_lock(apply_mutex_);
  return switchd::trace(*workers_.publisher->current(), ports_, tunnels_, question);
}

std::vector<std::string> SwitchState::port_names() const {
  std::vector<std::string> names(limits_.port_limit + kTunnelLimit);
  const std::lock_guard lock(state_mutex_);
  for (const auto& [name, port] : ports_) {
    for (const net::PortId id : port.ids) names[id] = name;
  }
  for (const auto& [name, tunnel] : tunnels_) names[first_tunnel() + std::size_t{tunnel.index}] = name;
  return names;
}

api::ListPortsReply SwitchState::list_ports() const {
  api::ListPortsReply reply;
  const std::lock_guard lock(state_mutex_);
  for (const auto& [name, port] : ports_) {
    const DeviceStatus device = opener_.inspect(port.device->open);
    api::PortStatus* status = reply.add_ports();
    *status->mutable_spec() = to_proto(port.config);
    status->set_id(port.id());
    status->set_worker(port.device->workers.front());
    for (const datapath::WorkerId worker : port.device->workers) status->add_workers(worker);
    status->set_xdp_mode(device.xdp_mode);
    status->set_kernel_dropped(device.kernel_dropped);
    if (const auto& mac = port.device->open.mac) status->set_device_mac(mac->bytes.data(), mac->bytes.size());
    status->set_state(device.dead ? api::PORT_STATE_INTERFACE_GONE : api::PORT_STATE_UP);
    if (device.guest) fill(*device.guest, *status);
    PortSums sums;
    for (const net::PortId id : port.ids) sums.add(row_sums(id));
    *status->mutable_totals() = to_proto(sums);
  }
  return reply;
}

api::GetCountersReply SwitchState::counters() const {
  api::GetCountersReply reply;
  const std::lock_guard lock(state_mutex_);
  PortSums removed = removed_;
  for (const Retired& entry : retired_) {
    if (entry.id != net::kNoPort) removed.add(row_sums(entry.id));
  }
  for (std::size_t i = 0; i < workers_.counters.size(); ++i) {
    const datapath::WorkerCounters& counters = *workers_.counters[i];
    removed.add(counters.gone_ports());
    api::WorkerCounters* worker = reply.add_workers();
    worker->set_worker(static_cast<std::uint32_t>(i));
    worker->set_cpu(workers_.cpus[i]);
    worker->set_loops(counters.loops.get());
    worker->set_busy_loops(counters.busy_loops.get());
    worker->set_sleeps(counters.sleeps.get());
    worker->set_wakeups(counters.wakeups.get());
    fill(counters.flows, *worker->mutable_flows());
    for (const auto& [name, port] : ports_) {
      PortSums sums;
      for (const net::PortId id : port.ids) sums.add(counters.port(id));
      api::PortCounters* row = worker->add_ports();
      row->set_port(name);
      *row->mutable_totals() = to_proto(sums);
    }
  }
  *reply.mutable_removed_ports() = to_proto(removed);
  for (const auto& [name, port] : ports_) {
    const auto guest = guest_of(opener_, port.device->open);
    if (!guest) continue;
    (*reply.mutable_guest_memory_losses())[name] = guest->memory_losses;
    (*reply.mutable_guest_refusals())[name] = guest->refusals;
  }
  for (std::size_t i = 1; i < net::kDropCount; ++i) {
    const auto drop = static_cast<net::Drop>(i);
    (*reply.mutable_drop_texts())[std::string(net::drop_name(drop))] = std::string(net::drop_text(drop));
  }
  return reply;
}

std::vector<std::string> SwitchState::take_dead_ports() {
  std::vector<std::string> names;
  const std::lock_guard lock(state_mutex_);
  for (const auto& [name, port] : ports_) {
    if (port.device->death_told || !opener_.is_dead(port.device->open)) continue;
    port.device->death_told = true;
    names.push_back(name);
  }
  return names;
}

std::vector<std::string> SwitchState::take_memory_losses() {
  std::vector<std::string> names;
  const std::lock_guard lock(state_mutex_);
  for (const auto& [name, port] : ports_) {
    const auto guest = guest_of(opener_, port.device->open);
    if (!guest || std::exchange(port.device->losses_told, guest->memory_losses) == guest->memory_losses) continue;
    names.push_back(name);
  }
  return names;
}

}  // namespace millrace::control::switchd
