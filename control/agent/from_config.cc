#include "control/agent/from_config.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/sysctl.h"

namespace millrace::control::agent {

std::vector<config::AddressPool> pools_in_use(const config::Config& config) {
  std::vector<config::AddressPool> pools;
  for (const auto& pool : {config.ipam.ipv4, config.ipam.ipv6}) {
    if (!pool) continue;
    if (pool->prefix.address.family == 6 && !has_ipv6()) {
      spdlog::warn("ipam.ipv6: this kernel has IPv6 switched off: pods get IPv4 addresses only");
      continue;
    }
    pools.push_back(*pool);
  }
  return pools;
}

net::Result<std::vector<AddressBlock>> configured_blocks(const config::Config& config) {
  std::vector<AddressBlock> blocks;
  for (const config::AddressPool& pool : pools_in_use(config)) {
    auto block = AddressBlock::make(pool.prefix, pool.block_bits, config.ipam.block_index);
    if (!block) return block.error();
    blocks.push_back(*block);
  }
  return blocks;
}

HostPort host_port_of(const config::Config& config, std::vector<AddressBlock> first,
                      const std::vector<AddressBlock>& all) {
  HostPort port{.name = config.host_port,
                .mtu = config.mtu,
                .gateway_ipv4 = config.gateway.ipv4,
                .gateway_ipv6 = config.gateway.ipv6,
                .blocks = std::move(first),
                .more_blocks = {},
                .extra_pods = {},
                .services = {}};
  const auto is_first = [&](const net::Prefix& prefix) {
    return std::ranges::find(port.blocks, prefix, &AddressBlock::block) != port.blocks.end();
  };
  for (const AddressBlock& block : all) {
    if (!is_first(block.block())) port.more_blocks.push_back(block.block());
  }
  for (const AddressBlock& block : port.blocks) {
    const auto& range = block.family() == 4 ? config.services.ipv4 : config.services.ipv6;
    if (range) port.services.push_back(*range);
  }
  return port;
}

ServiceRanges service_ranges_of(const config::Config& config) {
  return {.ipv4 = config.services.ipv4,
          .ipv6 = config.services.ipv6,
          .first_node_port = config.services.node_port_first,
          .last_node_port = config.services.node_port_last};
}

services::NodePortTable node_ports_of(const config::Config& config, const HostPort& host) {
  return {host.name, config.services.node_ports_from_node ? host.services : std::vector<net::Prefix>()};
}

kube::Node self_of(const config::Config& config, const std::vector<AddressBlock>& blocks) {
  kube::Node self;
  self.meta.name = config.node_name;
  for (const AddressBlock& block : blocks) self.pod_cidrs.push_back(block.block());
  return self;
}

cluster::ClusterLink::Options cluster_link_of(const config::Config& config) {
  const auto& etcd = config.etcd;
  return {.etcd = {.endpoints = etcd.endpoints,
                   .ca_file = etcd.ca_file,
                   .cert_file = etcd.cert_file,
                   .key_file = etcd.key_file,
                   .user = etcd.user,
                   .password_file = etcd.password_file},
          .prefix = etcd.prefix,
          .cache_file = config.state_dir + "/cluster.db",
          .times = {}};
}

}  // namespace millrace::control::agent
