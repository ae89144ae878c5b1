#include "control/switch/device_plan.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "control/switch/parallel.h"

namespace millrace::control::switchd {
namespace {

std::unordered_map<std::string, std::shared_ptr<Device>> by_interface(const LivePorts& alive) {
  std::unordered_map<std::string, std::shared_ptr<Device>> open;
  for (const auto& [name, port] : alive) open[port.device->open.interface] = port.device;
  return open;
}

net::Result<std::shared_ptr<Device>> open_device(const std::string& interface, PortOpener& opener) {
  auto opened = opener.open(interface);
  if (!opened) return opened.error();
  auto device = std::make_shared<Device>();
  device->open = std::move(opened).value();
  return device;
}

}  // namespace

std::vector<std::string> missing_interfaces(const DesiredState& desired, const LivePorts& alive) {
  const auto open = by_interface(alive);
  std::vector<std::string> missing;
  for (const auto& [name, port] : desired.ports) {
    if (!open.contains(port.interface)) missing.push_back(port.interface);
  }
  return missing;
}

OpenedDevices open_devices(const std::vector<std::string>& interfaces, PortOpener& opener,
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
  for (std::size_t i = 0; i < interfaces.size(); ++i) opened.emplace(interfaces[i], *std::move(results[i]));
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
    plan.devices[name] = found->second;
    ++load[found->second->worker];
  }
  for (const PortConfig* port : missing) {
    auto found = opened.find(port->interface);
    // It died after it was looked for: seldom enough to be opened while others wait.
    if (found == opened.end()) found = opened.emplace(port->interface, open_device(port->interface, opener)).first;
    if (!found->second) {
      plan.failures.emplace_back(port->name, found->second.error());
      continue;
    }
    const auto least = std::min_element(load.begin(), load.end());
    ++*least;
    (*found->second)->worker = static_cast<datapath::WorkerId>(least - load.begin());
    plan.devices[port->name] = *found->second;
  }
  return plan;
}

void close_devices(std::vector<std::shared_ptr<Device>> devices) {
  for_each_parallel(devices.size(), [&](std::size_t i) { devices[i].reset(); });
}

}  // namespace millrace::control::switchd
