#include "control/switch/device_plan.h"

#include <algorithm>
#include <unordered_map>

namespace millrace::control::switchd {

DevicePlan plan_devices(const DesiredState& desired, const LivePorts& live, PortOpener& opener, unsigned worker_count) {
  std::unordered_map<std::string, std::shared_ptr<Device>> open;
  for (const auto& [name, port] : live) {
    if (!opener.is_dead(port.device->open)) open[port.device->open.interface] = port.device;
  }
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
    auto opened = opener.open(port->interface);
    if (!opened) {
      plan.failures.emplace_back(port->name, opened.error());
      continue;
    }
    const auto least = std::min_element(load.begin(), load.end());
    ++*least;
    auto device = std::make_shared<Device>();
    device->open = std::move(opened).value();
    device->worker = static_cast<datapath::WorkerId>(least - load.begin());
    plan.devices[port->name] = std::move(device);
  }
  return plan;
}

}  // namespace millrace::control::switchd
