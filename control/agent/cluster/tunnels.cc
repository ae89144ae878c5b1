#include "control/agent/cluster/tunnels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "control/agent/requests.h"

namespace millrace::control::agent::cluster {
namespace {

api::Encapsulation encapsulation_of(const config::Config& config) {
  switch (config.encapsulation) {
    case config::Encapsulation::kVxlan: return api::ENCAPSULATION_VXLAN;
    case config::Encapsulation::kCrossSubnet: return api::ENCAPSULATION_CROSS_SUBNET;
    case config::Encapsulation::kNone: return api::ENCAPSULATION_NONE;
  }
  return api::ENCAPSULATION_UNSPECIFIED;
}

std::optional<net::IpAddress> first_of(const NodeRecord& node, std::uint8_t family) {
  const auto found = std::ranges::find(node.addresses, family, &net::IpAddress::family);
  return found == node.addresses.end() ? std::nullopt : std::optional(*found);
}

/// Where a tunnel leads: nullopt when the two have no family in common.
std::optional<net::IpAddress> remote_of(const NodeRecord& self, const NodeRecord& other) {
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    const auto remote = first_of(other, family);
    if (remote && first_of(self, family)) return remote;
  }
  return std::nullopt;
}

net::Prefix host_prefix(const net::IpAddress& address) { return {address, static_cast<std::uint8_t>(address.bits())}; }

void add_prefix(const net::Prefix& prefix, api::RoutePrefix& message) {
  message.set_address(to_bytes(prefix.address));
  message.set_length(prefix.length_bits);
}

/// Those that are there, the oldest key first.
std::vector<SeenNode> nodes_of(const Keys& keys, const std::vector<etcd::KeyValue>& items, const std::string& self) {
  std::vector<SeenNode> nodes;
  for (const etcd::KeyValue& item : items) {
    const auto key = keys.parse(item.key);
    auto record = parse_node(item.value);
    if (!key || !record || *key != Key(NodeKey{record->name}) || record->name == self) continue;
    nodes.push_back({*std::move(record), item.create_revision});
  }
  std::ranges::sort(nodes, {}, [](const SeenNode& node) { return std::pair(node.create_revision, node.record.name); });
  return nodes;
}

/// Whether the pools are cut so that there is such a block: no key takes more than one from anybody.
bool is_block(const config::Config& config, const net::Prefix& prefix) {
  const auto& pool = prefix.address.is_v4() ? config.ipam.ipv4 : config.ipam.ipv6;
  return pool && prefix.length_bits == pool->block_bits && pool->prefix.contains(prefix.address);
}

std::map<std::string, std::vector<net::Prefix>> held_blocks(const config::Config& config, const Keys& keys,
                                                            const std::vector<etcd::KeyValue>& items, Ways& ways) {
  std::map<std::string, std::vector<net::Prefix>> held;
  for (const etcd::KeyValue& item : items) {
    const auto key = keys.parse(item.key);
    const auto record = parse_block(item.value);
    if (!key || !record || !std::holds_alternative<BlockKey>(*key) || record->state != BlockState::kHeld) continue;
    const net::Prefix& prefix = std::get<BlockKey>(*key).prefix;
    if (is_block(config, prefix)) {
      held[record->node].push_back(prefix);
    } else {
      ways.warnings.push_back(fmt::format("node {}: {} is no block of the pool", record->node, prefix.to_string()));
    }
  }
  return held;
}

/// Its prefixes, without those that somebody before it has.
void add_prefixes(const NodeRecord& record, const std::vector<net::Prefix>& blocks, std::set<net::Prefix>& taken,
                  api::Tunnel& tunnel, Ways& ways) {
  std::vector<net::Prefix> wanted = blocks;
  for (const net::IpAddress& address : record.addresses) wanted.push_back(host_prefix(address));
  for (const net::Prefix& prefix : wanted) {
    if (tunnel.prefixes_size() == static_cast<int>(kTunnelPrefixLimit)) {
      ways.warnings.push_back(fmt::format("node {}: has more than {} prefixes", record.name, kTunnelPrefixLimit));
      return;
    }
    if (taken.insert(prefix).second) {
      add_prefix(prefix, *tunnel.add_prefixes());
    } else {
      ways.warnings.push_back(fmt::format("node {}: {} is another node's", record.name, prefix.to_string()));
    }
  }
}

}  // namespace

api::Underlay underlay(const config::Config& config, const NodeRecord& self, const std::vector<net::Prefix>& blocks) {
  api::Underlay message;
  if (const auto ipv4 = first_of(self, 4)) message.set_ipv4(to_bytes(*ipv4));
  if (const auto ipv6 = first_of(self, 6)) message.set_ipv6(to_bytes(*ipv6));
  message.set_vtep_mac(to_bytes(self.vtep_mac));
  message.set_vni(config.vxlan.vni);
  message.set_udp_port(config.vxlan.port);
  for (const net::Prefix& block : blocks) add_prefix(block, *message.add_local_prefixes());
  return message;
}

Ways ways_to_others(const config::Config& config, const Keys& keys, const NodeRecord& self,
                    const std::vector<net::Prefix>& own_blocks, const std::vector<etcd::KeyValue>& nodes,
                    const std::vector<etcd::KeyValue>& blocks) {
  Ways ways;
  std::set<net::Prefix> taken(own_blocks.begin(), own_blocks.end());
  for (const net::IpAddress& address : self.addresses) taken.insert(host_prefix(address));
  std::set<net::IpAddress> remotes(self.addresses.begin(), self.addresses.end());
  const auto held = held_blocks(config, keys, blocks, ways);
  for (const SeenNode& node : nodes_of(keys, nodes, self.name)) {
    const NodeRecord& record = node.record;
    const auto remote = remote_of(self, record);
    if (!remote) {
      ways.warnings.push_back(fmt::format("node {}: has no address of a family that this node has", record.name));
      continue;
    }
    if (!remotes.insert(*remote).second) {
      ways.warnings.push_back(
          fmt::format("node {}: its address {} is another node's", record.name, remote->to_string()));
      continue;
    }
    if (ways.tunnels.size() == kTunnelLimit) {
      ways.warnings.push_back(fmt::format("node {}: there are more than {} others", record.name, kTunnelLimit));
      continue;
    }
    api::Tunnel tunnel;
    tunnel.set_name(record.name);
    tunnel.set_remote(to_bytes(*remote));
    tunnel.set_remote_vtep_mac(to_bytes(record.vtep_mac));
    tunnel.set_encapsulation(encapsulation_of(config));
    const auto its = held.find(record.name);
    add_prefixes(record, its == held.end() ? std::vector<net::Prefix>() : its->second, taken, tunnel, ways);
    ways.tunnels.push_back(std::move(tunnel));
  }
  std::ranges::sort(ways.tunnels, {}, [](const api::Tunnel& tunnel) { return tunnel.name(); });
  return ways;
}

}  // namespace millrace::control::agent::cluster
