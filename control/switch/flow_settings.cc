#include "control/switch/flow_settings.h"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {
namespace {

net::Result<std::uint64_t> random_seed() {
  std::uint64_t seed = 0;
  // So few bytes come whole, or not at all (getrandom(2)).
  if (::getrandom(&seed, sizeof seed, 0) == sizeof seed) return seed;
  return net::internal_error(fmt::format("getrandom: {}", std::strerror(errno)));
}

}  // namespace

nat::PortRange nat_ports(const config::Config& config) {
  return {config.nat.port_first, std::uint32_t{config.nat.port_last} - config.nat.port_first + 1};
}

net::Result<std::vector<datapath::FlowSettings>> flow_settings(const config::Config& config, unsigned worker_count) {
  const nat::PortRange ports = nat_ports(config);
  if (ports.count < worker_count) {
    return net::invalid_argument(fmt::format("nat.portRange: {} ports for {} workers; allowed: at least one a worker",
                                             ports.count, worker_count));
  }
  datapath::FlowSettings settings;
  settings.limit = std::max<std::size_t>((config.flows.limit + worker_count - 1) / worker_count, nat::kMinFlowLimit);
  settings.timeouts = config.flows.timeouts;
  settings.pick_up_tcp = config.flows.pick_up_tcp;
  settings.mapped_inbound = config.nat.inbound == config::NatInbound::kMapped;
  std::vector<datapath::FlowSettings> all;
  for (unsigned worker = 0; worker < worker_count; ++worker) {
    const auto seed = random_seed();
    if (!seed) return seed.error();
    settings.seed = *seed;
    settings.ports = datapath::ports_of_worker(ports, worker_count, static_cast<datapath::WorkerId>(worker));
    all.push_back(settings);
  }
  return all;
}

}  // namespace millrace::control::switchd
