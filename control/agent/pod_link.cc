#include "control/agent/pod_link.h"

#include <algorithm>
#include <set>

#include "control/agent/offload.h"
#include "control/agent/sysctl.h"

namespace millrace::control::agent {
namespace {

net::Prefix host_prefix(const net::IpAddress& address) { return {address, static_cast<std::uint8_t>(address.bits())}; }

net::Prefix default_prefix(std::uint8_t family) {
  net::Prefix prefix;
  prefix.address.family = family;
  return prefix;
}

bool has_ipv6_address(const PodLink& link) {
  return std::any_of(link.addresses.begin(), link.addresses.end(), [](const auto& a) { return !a.is_v4(); });
}

/// Before the link is up: what the kernel does by itself when it comes up is decided by these.
net::Result<void> set_pod_sysctls(const PodLink& link) {
  if (!has_ipv6_address(link)) return {};
  const std::string conf = "ipv6/conf/" + link.pod.name + "/";
  // Some runtimes switch IPv6 off in each new namespace.
  for (const auto& [name, value] : {std::pair{"disable_ipv6", "0"}, std::pair{"accept_ra", "0"},
                                    std::pair{"accept_dad", "0"}, std::pair{"dad_transmits", "0"}}) {
    if (auto written = write_sysctl(conf + name, value); !written) return written;
  }
  return {};
}

/// pod_routes() without those that another of the pod's interfaces has: of two that lead to the same, the first that
/// was made stays, as CNI's own plugins have it. A gateway's own route may be among them, so it is taken to be on the
/// link.
net::Result<std::vector<netlink::LinkRoute>> free_routes(netlink::Netlink& netlink, int index, const PodLink& link) {
  std::vector<netlink::LinkRoute> free;
  bool gateway_is_elsewhere = false;
  for (netlink::LinkRoute route : pod_routes(link)) {
    auto taken = netlink.has_route_elsewhere(index, route.destination, route.priority);
    if (!taken) return taken.error();
    if (*taken) {
      gateway_is_elsewhere = gateway_is_elsewhere || !route.gateway;
      continue;
    }
    route.gateway_on_link = route.gateway && gateway_is_elsewhere;
    free.push_back(route);
  }
  return free;
}

/// Addresses, then the routes that need them.
net::Result<void> add_addresses(netlink::Netlink& netlink, int index, const PodLink& link) {
  for (const net::IpAddress& address : link.addresses) {
    if (auto added = netlink.add_address(index, address); !added) return added;
  }
  auto routes = free_routes(netlink, index, link);
  if (!routes) return routes.error();
  for (const netlink::LinkRoute& route : *routes) {
    if (auto set = netlink.set_route(index, route); !set) return set;
  }
  return {};
}

/// In the pod's namespace.
net::Result<void> configure_pod_end(const PodLink& link) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto info = netlink->link(link.pod.name);
  if (!info) return info.error();
  if (auto set = set_pod_sysctls(link); !set) return set;
  if (auto gro = enable_gro(link.pod.name); !gro) return gro;
  if (auto up = netlink->set_up(info->index); !up) return up;
  return add_addresses(*netlink, info->index, link);
}

net::Result<void> configure_node_end(netlink::Netlink& netlink, const PodLink& link) {
  auto info = netlink.link(link.node.name);
  if (!info) return info.error();
  auto off = write_sysctl("ipv6/conf/" + link.node.name + "/disable_ipv6", "1");
  if (!off && off.error().code != net::ErrorCode::kNotFound) return off;
  return netlink.set_up(info->index);
}

net::Error differs(const std::string& what) { return net::failed_precondition("the pod's interface differs: " + what); }

/// In the pod's namespace.
net::Result<void> check_pod_end(const PodLink& link) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto info = netlink->link(link.pod.name);
  if (!info) return differs(info.error().message);
  if (!info->up) return differs(link.pod.name + " is down");
  if (info->mac != link.pod.mac) return differs("MAC " + info->mac.to_string() + " is not " + link.pod.mac.to_string());
  if (info->mtu != link.mtu) {
    return differs("mtu " + std::to_string(info->mtu) + " is not " + std::to_string(link.mtu));
  }
  auto addresses = netlink->addresses(info->index);
  if (!addresses) return addresses.error();
  for (const net::IpAddress& address : link.addresses) {
    if (std::find(addresses->begin(), addresses->end(), address) == addresses->end()) {
      return differs("address " + address.to_string() + " is missing");
    }
  }
  std::vector<netlink::LinkRoute> present;
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    auto routes = netlink->routes(info->index, family);
    if (!routes) return routes.error();
    present.insert(present.end(), routes->begin(), routes->end());
  }
  auto wanted = free_routes(*netlink, info->index, link);
  if (!wanted) return wanted.error();
  for (const netlink::LinkRoute& route : *wanted) {
    if (std::find(present.begin(), present.end(), route) == present.end()) {
      return differs("route " + route.destination.to_string() + " is missing");
    }
  }
  return {};
}

}  // namespace

std::vector<netlink::LinkRoute> pod_routes(const PodLink& link) {
  std::vector<netlink::LinkRoute> routes;
  std::set<std::uint8_t> done;
  for (const net::IpAddress& address : link.addresses) {
    if (!done.insert(address.family).second) continue;
    const net::IpAddress gateway = link.gateway_for(address);
    // IPv6 takes a link-local next hop as it is (RFC 4861 s.5.2: link-local prefixes are always on the link).
    const bool needs_route = address.is_v4() || !gateway.v6().is_link_local();
    if (needs_route) routes.push_back({.destination = host_prefix(gateway), .gateway = {}, .source = {}});
    const net::Prefix everything = default_prefix(address.family);
    const auto replaces = [&](const ExtraRoute& extra) {
      return extra.destination == everything && extra.priority == 0;
    };
    if (std::any_of(link.routes.begin(), link.routes.end(), replaces)) continue;
    routes.push_back({.destination = everything, .gateway = gateway, .source = {}});
  }
  for (const ExtraRoute& extra : link.routes) {
    routes.push_back({.destination = extra.destination,
                      .gateway = link.gateway_for(extra.destination.address),
                      .source = {},
                      .mtu_bytes = extra.mtu_bytes,
                      .advmss_bytes = extra.advmss_bytes,
                      .priority = extra.priority});
  }
  return routes;
}

net::Result<void> create_pod_link(const Netns& netns, const PodLink& link) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  if (auto made = netlink->add_veth(link.node, link.pod, netns.fd(), link.mtu); !made) return made;
  // The node's end first: the pod's end then has carrier as it comes up.
  auto configured = configure_node_end(*netlink, link);
  if (configured) configured = netns.run([&] { return configure_pod_end(link); });
  if (!configured) static_cast<void>(netlink->remove_link(link.node.name));
  return configured;
}

net::Result<void> configure_pod_addresses(const Netns& netns, const PodLink& link) {
  return netns.run([&]() -> net::Result<void> {
    auto netlink = netlink::Netlink::open();
    if (!netlink) return netlink.error();
    auto info = netlink->link(link.pod.name);
    if (!info) return info.error();
    if (auto set = set_pod_sysctls(link); !set) return set;
    return add_addresses(*netlink, info->index, link);
  });
}

net::Result<void> check_pod_link(const Netns& netns, const PodLink& link) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return netlink.error();
  auto node = netlink->link(link.node.name);
  if (!node) return differs(node.error().message);
  if (!node->up) return differs(link.node.name + " is down");
  return netns.run([&] { return check_pod_end(link); });
}

}  // namespace millrace::control::agent
