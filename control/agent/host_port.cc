#include "control/agent/host_port.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/interface_name.h"
#include "control/agent/sysctl.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {
namespace {

net::Result<netlink::LinkInfo> find_or_make(netlink::Netlink& netlink, const HostPort& port) {
  auto found = netlink.link(port.name);
  if (!found && found.error().code == net::ErrorCode::kNotFound) {
    const AttachmentKey key{"", "", port.name};
    auto made = netlink.add_veth({port.name, mac_of(port.name, key, "host")},
                                 {port.switch_end(), mac_of(port.name, key, "switch")}, -1, port.mtu);
    if (!made) return made.error();
    return netlink.link(port.name);
  }
  if (!found) return found.error();
  auto other = netlink.link(port.switch_end());
  if (!found->is_veth || !other || other->index != found->peer_index) {
    return net::failed_precondition("hostPort: an interface " + port.name + " is there that is no veth pair with " +
                                    port.switch_end() + "; remove it or choose another name");
  }
  return found;
}

/// Settings of this interface alone. A setting that cannot be made is told and is no reason to leave pods without a
/// node.
void set_sysctls(const HostPort& port) {
  const std::string v4 = "ipv4/conf/" + port.name + "/";
  const std::string v6 = "ipv6/conf/" + port.name + "/";
  std::vector<std::pair<std::string, std::string>> settings = {
      {v4 + "forwarding", "1"},
      {v4 + "accept_local", "1"},
      {v4 + "rp_filter", "2"},  // loose, RFC 3704 s.2.4: a pod's answer may leave by another interface than it came
  };
  if (has_ipv6()) {
    settings.push_back({v6 + "disable_ipv6", "0"});
    settings.push_back({v6 + "accept_ra", "0"});
    settings.push_back({v6 + "accept_dad", "0"});
    settings.push_back({v6 + "forwarding", "1"});
    settings.push_back({"ipv6/conf/" + port.switch_end() + "/disable_ipv6", "1"});
  }
  for (const auto& [name, value] : settings) {
    if (auto written = write_sysctl(name, value); !written) spdlog::warn("{}", written.error().message);
  }
}

net::Result<void> set_addresses(netlink::Netlink& netlink, int index, const HostPort& port) {
  auto present = netlink.addresses(index);
  if (!present) return present.error();
  std::vector<net::IpAddress> wanted;
  for (const AddressBlock& block : port.blocks) wanted.push_back(block.host());
  for (const net::IpAddress& address : *present) {
    if (std::find(wanted.begin(), wanted.end(), address) != wanted.end()) continue;
    spdlog::info("{}: address {} is of an earlier configuration and goes", port.name, address.to_string());
    if (auto removed = netlink.remove_address(index, address); !removed) return removed;
  }
  for (const net::IpAddress& address : wanted) {
    if (auto added = netlink.add_address(index, address); !added) return added;
  }
  return {};
}

net::Result<void> set_routes(netlink::Netlink& netlink, int index, const HostPort& port) {
  std::vector<net::Prefix> wanted;
  for (const AddressBlock& block : port.blocks) wanted.push_back(block.block());
  wanted.insert(wanted.end(), port.more_blocks.begin(), port.more_blocks.end());
  for (const net::IpAddress& pod : port.extra_pods)
    wanted.push_back(net::Prefix::of(pod, static_cast<std::uint8_t>(pod.bits())));
  for (const net::Prefix& range : port.services) wanted.push_back(range);
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    if (family == 6 && !has_ipv6()) continue;
    auto present = netlink.routes(index, family);
    if (!present) return present.error();
    for (const netlink::LinkRoute& route : *present) {
      // Those without a gateway are the kernel's own (fe80::/64, the port's addresses).
      if (!route.gateway || std::find(wanted.begin(), wanted.end(), route.destination) != wanted.end()) continue;
      if (auto removed = netlink.remove_route(index, route); !removed) return removed;
    }
  }
  for (const net::Prefix& prefix : wanted) {
    if (auto set = netlink.set_route(index, route_by_host_port(port, prefix)); !set) return set;
  }
  return {};
}

}  // namespace

/// Above 255, where ip-route(8) and others count theirs from: "MR" and 16 bits of the name (FNV-1a).
std::uint32_t route_number(const std::string& host_port) {
  std::uint32_t hash = 2166136261u;
  for (const char letter : host_port) hash = (hash ^ static_cast<std::uint8_t>(letter)) * 16777619u;
  return 0x4d520000u | ((hash >> 16) ^ (hash & 0xffff));
}

/// By way of the gateway, so that one neighbour entry serves all pods; on-link, so that two instances on one node may
/// have the same gateway address.
netlink::LinkRoute route_by_host_port(const HostPort& port, const net::Prefix& destination) {
  const std::uint8_t family = destination.address.family;
  netlink::LinkRoute route;
  route.destination = destination;
  route.gateway = family == 4 ? net::IpAddress::from(port.gateway_ipv4) : net::IpAddress::from(port.gateway_ipv6);
  route.gateway_on_link = true;
  for (const AddressBlock& block : port.blocks) {
    if (block.family() == family) route.source = block.host();
  }
  return route;
}

net::Result<net::Mac> ensure_host_port(const HostPort& port) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto node_end = find_or_make(*netlink, port);
  if (!node_end) return node_end.error();
  auto switch_end = netlink->link(port.switch_end());
  if (!switch_end) return switch_end.error();
  set_sysctls(port);
  for (const netlink::LinkInfo* end : {&switch_end.value(), &node_end.value()}) {
    if (end->mtu != port.mtu) {
      if (auto set = netlink->set_mtu(end->index, port.mtu); !set) return set.error();
    }
    if (auto up = netlink->set_up(end->index); !up) return up.error();
  }
  if (auto set = set_addresses(*netlink, node_end->index, port); !set) return set.error();
  if (auto set = set_routes(*netlink, node_end->index, port); !set) return set.error();
  return node_end->mac;
}

net::Result<void> remove_host_port(const std::string& name) { return netlink::remove_link_if_there(name); }

net::Result<void> add_pod_route(const HostPort& port, const net::Prefix& pods) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto info = netlink->link(port.name);
  if (!info) return info.error();
  return netlink->set_route(info->index, route_by_host_port(port, pods));
}

net::Result<void> remove_pod_route(const HostPort& port, const net::Prefix& pods) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto info = netlink->link(port.name);
  if (!info) return info.error().code == net::ErrorCode::kNotFound ? net::Result<void>() : info.error();
  auto removed = netlink->remove_route(info->index, route_by_host_port(port, pods));
  if (!removed && removed.error().code == net::ErrorCode::kNotFound) return {};
  return removed;
}

}  // namespace millrace::control::agent
