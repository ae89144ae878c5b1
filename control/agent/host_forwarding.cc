#include "control/agent/host_forwarding.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>

#include "control/agent/sysctl.h"

namespace millrace::control::agent {
namespace {

bool is_on(const std::string& sysctl) {
  auto value = read_sysctl(sysctl);
  return value && *value != "0";
}

void write_or_warn(const std::string& sysctl, const std::string& value) {
  if (auto written = write_sysctl(sysctl, value); !written) spdlog::warn("hostForwarding: {}", written.error().message);
}

void keep_router_advertisements() {
  for (const std::string& interface : ipv6_interfaces()) {
    auto value = read_sysctl("ipv6/conf/" + interface + "/accept_ra");
    if (value && *value == "1") write_or_warn("ipv6/conf/" + interface + "/accept_ra", "2");
  }
}

}  // namespace

void set_host_forwarding(bool enable, const std::vector<AddressBlock>& blocks) {
  for (const AddressBlock& block : blocks) {
    const std::string sysctl = block.family() == 4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding";
    if (is_on(sysctl)) continue;
    if (!enable) {
      spdlog::warn("hostForwarding is false and net/{} is 0: pods reach this node and one another, nothing beyond",
                   sysctl);
      continue;
    }
    if (block.family() == 6) keep_router_advertisements();
    write_or_warn(sysctl, "1");
    spdlog::info("hostForwarding: net/{} is now 1", sysctl);
  }
}

}  // namespace millrace::control::agent
