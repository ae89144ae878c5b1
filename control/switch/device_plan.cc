#include "control/switch/device_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "control/switch/parallel.h"

namespace millrace::control::switchd {
namespace {

bool is_uplink(datapath::PortKind kind) { return kind == datapath::PortKind::kUplink; }

std::unordered_map<std::string, std::shared_ptr<Device>> by_interface(const LivePorts& alive) {
  std::unordered_map<std::string, std::shared_ptr<Device>> open;
  for (const auto& [name, port] : alive) open[port.device->open.interface] = port.device;
  return open;
}

PortRequest request_of(const PortConfig& port) {
  return {.interface = port.interface, .kind = port.kind, .device = port.device, .vhost = port.vhost};
}

net::Result<std::shared_ptr<Device>> open_device(const PortRequest& missing, PortOpener& opener) {
  auto opened = opener.open(missing);
  if (!opened) return opened.error();
  auto device = std::make_shared<Device>();
  device->open = std::move(opened).value();
  return device;
}

std::string text_of(const std::string& device) { return device.empty() ? "no device" : "device " + device; }

std::string text_of(const VhostSocket& socket) {
  return fmt::format("{} of {} queue pairs", socket.is_client ? "client" : "server", socket.queue_pairs);
}

/// Why the device in force cannot be `port`'s, which names the same interface.
net::Result<void> check_fits(const OpenPort& open, const PortConfig& port) {
  if (is_uplink(open.kind) != is_uplink(port.kind)) {
    return net::failed_precondition(fmt::format("interface {} is open as {}; remove that port first", port.interface,
                                                is_uplink(port.kind) ? "a pod's or the host's" : "an uplink"));
  }
  if (open.device != port.device) {
    return net::failed_precondition(
        fmt::format("interface {} is open with {}; remove that port first", port.interface, text_of(open.device)));
  }
  // A path and an interface's name are never the same, so both are sockets or none is.
  if (open.vhost != port.vhost) {
    return net::failed_precondition(fmt::format("vhost-user socket {} is open as {}; remove that port first",
                                                port.interface, text_of(*open.vhost)));
  }
  return {};
}

/// Of a new device; `load` has the queues of each worker.
void place(Device& device, std::vector<unsigned>& load) {
  const std::size_t queues = device.open.queues.size();
  for (std::size_t queue = 0; queue < queues; ++queue) {
    const auto least = std::min_element(load.begin(), load.end()) - load.begin();
    const std::size_t worker = queues == 1 ? static_cast<std::size_t>(least) : queue % load.size();
    device.workers.push_back(static_cast<datapath::WorkerId>(worker));
    ++load[worker];
  }
}

}  // namespace

std::vector<PortRequest> missing_interfaces(const DesiredState& desired, const DesiredState& live) {
  std::set<std::string_view> open;
  for (const auto& [name, port] : live.ports) open.insert(port.interface);
  std::vector<PortRequest> missing;
  for (const auto& [name, port] : desired.ports) {
    if (!open.contains(port.interface)) missing.push_back(request_of(port));
  }
  return missing;
}

OpenedDevices open_devices(const std::vector<PortRequest>& interfaces, PortOpener& opener,
                           const std::atomic<bool>& stopping) {
  std::vector<std::optional<net::Result<std::shared_ptr<Device>>>> results(interfaces.size());
  for_each_parallel(interfaces.size(), [&](std::size_t i) {
    if (stopping) {
      results[i].emplace(net::unavailable("the switch is shutting down"));
    } else {
      results[i].emplace(open_device(interfaces[i], opener));
    }
  });
  OpenedDevices opened;
  for (std::size_t i = 0; i < interfaces.size(); ++i) opened.emplace(interfaces[i].interface, *std::move(results[i]));
  return opened;
}

DevicePlan plan_devices(const DesiredState& desired, const LivePorts& alive, OpenedDevices& opened, PortOpener& opener,
                        unsigned worker_count) {
  const auto open = by_interface(alive);
  DevicePlan plan;
  std::vector<unsigned> load(worker_count, 0);
  std::vector<const PortConfig*> missing;
  for (const auto& [name, port] : desired.ports) {
    const auto found = open.find(port.interface);
    if (found == open.end()) {
      missing.push_back(&port);
      continue;
    }
    if (auto fits = check_fits(found->second->open, port); !fits) {
      plan.failures.emplace_back(name, fits.error());
      continue;
    }
    plan.devices[name] = found->second;
    for (const datapath::WorkerId worker : found->second->workers) ++load[worker];
  }
  for (const PortConfig* port : missing) {
    auto found = opened.find(port->interface);
    // It died after it was looked for: seldom enough to be opened while others wait.
    if (found == opened.end()) found = opened.emplace(port->interface, open_device(request_of(*port), opener)).first;
    if (!found->second) {
      plan.failures.emplace_back(port->name, found->second.error());
      continue;
    }
    place(**found->second, load);
    plan.devices[port->name] = *found->second;
  }
  return plan;
}

void close_devices(std::vector<std::shared_ptr<Device>> devices) {
  for_each_parallel(devices.size(), [&](std::size_t i) { devices[i].reset(); });
}

}  // namespace millrace::control::switchd
