#include "control/switch/switch_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "control/switch/ack_wait.h"
#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {
namespace {

datapath::PortSpec to_snapshot(const LivePort& port) {
  datapath::PortSpec spec;
  spec.id = port.id;
  spec.name = port.config.name;
  spec.port = port.device->open.port.get();
  spec.kind = port.config.kind;
  spec.worker = port.device->worker;
  spec.mtu_bytes = port.config.mtu_bytes;
  spec.mac = port.config.mac;
  spec.addresses = port.config.addresses;
  spec.prefixes = port.config.prefixes;
  return spec;
}

bool same_gateway(const datapath::Gateway& a, const datapath::Gateway& b) {
  return a.mac == b.mac && a.ipv4 == b.ipv4 && a.ipv6 == b.ipv6 && a.icmp_source_v4 == b.icmp_source_v4 &&
         a.icmp_source_v6 == b.icmp_source_v6;
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
    : limits_(limits), opener_(opener), workers_(std::move(workers)), slots_(limits.port_limit) {}

net::Result<std::unique_ptr<SwitchState>> SwitchState::create(const Limits& limits, const datapath::Gateway& gateway,
                                                              PortOpener& opener, WorkerAccess workers) {
  std::unique_ptr<SwitchState> state(new SwitchState(limits, opener, std::move(workers)));
  if (auto published = state->publish(gateway, {}); !published) return published.error();
  return state;
}

SwitchState::~SwitchState() = default;

net::Result<api::ApplyReply> SwitchState::apply(const api::ApplyRequest& request) {
  auto change = parse_apply(request, limits_);
  if (!change) return change.error();

  const std::lock_guard apply_lock(apply_mutex_);
  if (stopping_) return net::unavailable("the switch is shutting down");
  free_retired();
  // Ports whose interface went away are no longer wanted unless this request names them again.
  DesiredState before{gateway_, {}};
  for (const auto& [name, port] : ports_) {
    if (!opener_.is_dead(port.device->open)) before.ports.emplace(name, port.config);
  }
  auto desired = merge(before, *change, limits_);
  if (!desired) return desired.error();

  const DevicePlan plan = plan_devices(*desired, ports_, opener_, workers_.publisher->worker_count());
  api::ApplyReply reply;
  for (const auto& [name, error] : plan.failures) {
    const std::string message = fmt::format("{}: {}", blame(request, name), error.message);
    if (!change->replace_all) return net::Error{error.code, message};
    api::PortFailure* failure = reply.add_failures();
    failure->set_name(name);
    failure->set_message(message);
  }
  auto generation = commit(*desired, plan);
  if (!generation) return generation.error();
  reply.set_generation(*generation);
  return reply;
}

net::Result<void> SwitchState::close() {
  stopping_ = true;
  const std::lock_guard apply_lock(apply_mutex_);
  auto empty = commit(DesiredState{gateway_, {}}, DevicePlan{});
  if (!empty) return empty.error();
  return {};
}

net::Result<std::uint64_t> SwitchState::commit(const DesiredState& desired, const DevicePlan& plan) {
  if (!same_gateway(gateway_, desired.gateway) || !is_unchanged(ports_, desired, plan)) {
    LivePorts kept;
    for (const auto& [name, port] : ports_) {
      if (plan.devices.contains(name)) kept.emplace(name, port);
    }
    // New ports need ids of their own. When those of the removed ones are needed for that, they go first.
    const std::size_t needed = plan.devices.size() - kept.size();
    if (needed > slots_.free_count()) {
      if (auto first = publish(gateway_, kept); !first) return first.error();
      if (auto settled = settle(); !settled) return settled.error();
    }
    LivePorts next;
    std::vector<net::PortId> taken;
    for (const auto& [name, device] : plan.devices) {
      const auto found = kept.find(name);
      net::PortId id = found == kept.end() ? net::kNoPort : found->second.id;
      if (id == net::kNoPort) taken.push_back(id = *slots_.take());
      next.emplace(name, LivePort{desired.ports.at(name), id, device});
    }
    if (auto published = publish(desired.gateway, std::move(next)); !published) {
      for (auto id = taken.rbegin(); id != taken.rend(); ++id) slots_.undo_take(*id);
      return published.error();
    }
  }
  if (auto settled = settle(); !settled) return settled.error();
  return generation_;
}

net::Result<void> SwitchState::publish(const datapath::Gateway& gateway, LivePorts ports) {
  datapath::SnapshotSpec spec;
  spec.generation = generation_ + 1;
  spec.port_limit = limits_.port_limit;
  spec.worker_count = workers_.publisher->worker_count();
  spec.gateway = gateway;
  std::set<net::PortId> ids;
  std::set<const Device*> devices;
  for (const auto& [name, port] : ports) {
    spec.ports.push_back(to_snapshot(port));
    ids.insert(port.id);
    devices.insert(port.device.get());
  }
  auto snapshot = datapath::build_snapshot(spec, workers_.publisher->current());
  if (!snapshot) return snapshot.error();

  workers_.publisher->publish(std::move(snapshot).value());
  const std::lock_guard lock(state_mutex_);
  generation_ = spec.generation;
  gateway_ = gateway;
  for (auto& [name, port] : ports_) {
    const bool id_goes_on = ids.contains(port.id);
    const bool device_goes_on = devices.contains(port.device.get());
    if (id_goes_on && device_goes_on) continue;
    retired_.push_back({generation_, id_goes_on ? net::kNoPort : port.id, device_goes_on ? nullptr : port.device});
  }
  ports_ = std::move(ports);
  return {};
}

net::Result<void> SwitchState::settle() {
  if (auto passed = wait_until_passed(workers_, generation_); !passed) return passed;
  free_retired();
  return {};
}

void SwitchState::free_retired() {
  std::vector<Retired> passed;
  {
    const std::lock_guard lock(state_mutex_);
    const auto still_held = [this](const Retired& entry) { return !workers_.publisher->seen_by_all(entry.generation); };
    const auto first = std::stable_partition(retired_.begin(), retired_.end(), still_held);
    passed.assign(std::make_move_iterator(first), std::make_move_iterator(retired_.end()));
    retired_.erase(first, retired_.end());
    for (const Retired& entry : passed) {
      if (entry.id == net::kNoPort) continue;
      removed_.add(row_sums(entry.id));
      for (datapath::WorkerCounters* counters : workers_.counters) counters->port(entry.id).reset();
      slots_.give_back(entry.id);
    }
  }
  workers_.publisher->reclaim();
  // `passed` goes now and closes the devices, which takes milliseconds each: not under the lock.
}

PortSums SwitchState::row_sums(net::PortId id) const {
  PortSums sums;
  for (const datapath::WorkerCounters* counters : workers_.counters) sums.add(counters->port(id));
  return sums;
}

}  // namespace millrace::control::switchd
