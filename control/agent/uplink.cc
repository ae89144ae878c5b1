#include "control/agent/uplink.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/node_link.h"
#include "control/agent/requests.h"
#include "control/config/mtu.h"
#include "control/netlink/netlink.h"
#include "control/netlink/uplink_link.h"

namespace millrace::control::agent {
namespace {

void add_prefix(const net::Prefix& prefix, api::RoutePrefix& message) {
  message.set_address(to_bytes(prefix.address));
  message.set_length(prefix.length_bits);
}

const net::IpAddress* first_of(const std::vector<net::IpAddress>& addresses, std::uint8_t family) {
  const auto found = std::ranges::find(addresses, family, &net::IpAddress::family);
  return found == addresses.end() ? nullptr : &*found;
}

/// Without those of the host port, which are the agent's doing and lie in the pods' ranges.
net::Result<std::vector<net::IpAddress>> local_addresses(netlink::Netlink& netlink, const std::string& host_port) {
  auto all = netlink.addresses(0);
  if (!all) return all.error();
  std::vector<net::IpAddress> own;
  if (auto link = netlink.link(host_port)) {
    auto addresses = netlink.addresses(link->index);
    if (!addresses) return addresses.error();
    own = std::move(*addresses);
  }
  std::erase_if(*all, [&](const net::IpAddress& it) {
    return std::ranges::find(own, it) != own.end() || (it.is_v4() ? it.v4().is_loopback() : it.v6().is_loopback());
  });
  if (all->size() > kLocalAddressLimit) {
    spdlog::warn("uplink: this node has {} addresses; pods reach the first {} of them", all->size(),
                 kLocalAddressLimit);
    all->resize(kLocalAddressLimit);
  }
  return all;
}

}  // namespace

net::Result<NodeNetwork> find_node_network(const config::Config& config) {
  NodeNetwork node;
  node.addresses = config.node_addresses;
  if (config.uplink.empty()) return node;
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto found = netlink::find_uplink(*netlink, config.uplink, config.host_port);
  if (!found) return found.error();
  if (!*found) {
    spdlog::info("uplink: auto: there is no default route: pods leave with their own addresses");
    return node;
  }
  const netlink::LinkInfo& link = **found;
  node.uplink = Uplink{.interface = link.name, .mac = link.mac, .mtu = link.mtu, .index = link.index};
  auto local = local_addresses(*netlink, config.host_port);
  if (!local) return local.error();
  node.local = std::move(*local);
  if (!node.addresses.empty()) return node;
  auto addresses = netlink->addresses(link.index);
  if (!addresses) return addresses.error();
  node.addresses = std::move(*addresses);
  if (node.addresses.size() > config::kNodeAddressLimit) node.addresses.resize(config::kNodeAddressLimit);
  return node;
}

std::vector<api::PortSpec> uplink_ports(const config::Config& config, const Uplink& uplink) {
  api::PortSpec port;
  port.set_name(kUplinkPort);
  port.set_kind(api::PORT_KIND_UPLINK);
  port.set_interface(uplink.interface);
  port.set_mac(to_bytes(uplink.mac));
  // The switch's frames hold pods' packets, encapsulated ones, too; a larger one is none for them, and stays the
  // kernel's.
  port.set_mtu(std::min(uplink.mtu, config::frame_mtu(config, uplink.mtu)));
  port.set_description("uplink of node " + config.node_name);
  if (config.uplink_device.empty()) return {port};
  port.set_device(config.uplink_device);
  return {port, node_link_port(config, port)};
}

net::Result<std::uint32_t> pod_mtu_of(const config::Config& config, const NodeNetwork& node) {
  const bool over_ipv4 = first_of(node.addresses, 4) != nullptr;
  return config::pod_mtu(config, node.uplink ? std::optional(node.uplink->mtu) : std::nullopt, over_ipv4);
}

api::Nat nat_of(const config::Config& config, const NodeNetwork& node, const std::vector<AddressBlock>& blocks) {
  api::Nat nat;
  for (const net::IpAddress& address : node.addresses) nat.add_node_addresses(to_bytes(address));
  for (const AddressBlock& block : blocks) {
    const std::uint8_t family = block.family();
    const net::IpAddress host = block.host();
    const net::IpAddress* own = first_of(node.addresses, family);
    (family == 4 ? *nat.mutable_masquerade_ipv4() : *nat.mutable_masquerade_ipv6()) = to_bytes(own ? *own : host);
    nat.add_node_addresses(to_bytes(host));
    const auto& pool = family == 4 ? config.ipam.ipv4 : config.ipam.ipv6;
    // A port's packets are masqueraded or not for both families: one that is not has no outside.
    const net::Prefix inside = pool->nat_outgoing ? pool->prefix : net::Prefix::of(pool->prefix.address, 0);
    add_prefix(inside, *nat.add_not_masqueraded());
    const auto& services = family == 4 ? config.services.ipv4 : config.services.ipv6;
    if (services) add_prefix(*services, *nat.add_service_prefixes());
  }
  std::vector<net::Prefix> excluded = config.nat.excluded;
  for (const std::vector<net::IpAddress>* addresses : {&node.addresses, &node.local}) {
    for (const net::IpAddress& address : *addresses)
      excluded.push_back(net::Prefix::of(address, address.is_v4() ? 32 : 128));
  }
  for (auto it = excluded.begin(); it != excluded.end(); ++it) {
    if (std::find(excluded.begin(), it, *it) == it) add_prefix(*it, *nat.add_not_masqueraded());
  }
  return nat;
}

}  // namespace millrace::control::agent
