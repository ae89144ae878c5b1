// Addresses and routes of netlink.h.
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>

#include <array>
#include <string>

#include "control/netlink/netlink.h"
#include "control/netlink/nl_object.h"

namespace millrace::control::netlink {
namespace {

net::Result<NlPtr<rtnl_addr>> make_address(int index, const net::IpAddress& address) {
  NlPtr<rtnl_addr> made(rtnl_addr_alloc());
  const auto local = to_nl(address);
  if (!made || !local) return nl_out_of_memory();
  rtnl_addr_set_ifindex(made.get(), index);
  if (const int code = rtnl_addr_set_local(made.get(), local.get()); code < 0) {
    return nl_error("address " + address.to_string(), code);
  }
  if (!address.is_v4()) rtnl_addr_set_flags(made.get(), IFA_F_NODAD);
  return made;
}

net::Result<NlPtr<rtnl_route>> make_route(int index, const LinkRoute& route) {
  NlPtr<rtnl_route> made(rtnl_route_alloc());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  const auto destination = to_nl(route.destination);
  if (!made || hop == nullptr || !destination) {
    if (hop != nullptr) rtnl_route_nh_free(hop);
    return nl_out_of_memory();
  }
  rtnl_route_nh_set_ifindex(hop, index);
  if (route.gateway) {
    const auto gateway = to_nl(*route.gateway);
    if (gateway) rtnl_route_nh_set_gateway(hop, gateway.get());
    if (route.gateway_on_link) rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
  }
  rtnl_route_set_dst(made.get(), destination.get());
  rtnl_route_set_table(made.get(), route.table == 0 ? RT_TABLE_MAIN : route.table);
  rtnl_route_set_protocol(made.get(), route.table == 0 ? RTPROT_STATIC : kRouteProtocol);
  rtnl_route_set_scope(made.get(), route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  if (route.source) {
    const auto source = to_nl(*route.source);
    if (source) rtnl_route_set_pref_src(made.get(), source.get());
  }
  rtnl_route_add_nexthop(made.get(), hop);
  if (route.priority != 0) rtnl_route_set_priority(made.get(), route.priority);
  for (const auto& [metric, value] :
       {std::pair{RTAX_MTU, route.mtu_bytes}, std::pair{RTAX_ADVMSS, route.advmss_bytes}}) {
    if (value == 0) continue;
    if (const int code = rtnl_route_set_metric(made.get(), metric, value); code < 0) {
      return nl_error("route " + route.destination.to_string(), code);
    }
  }
  return made;
}

std::uint32_t priority_of(rtnl_route* route, std::uint8_t family) {
  const std::uint32_t priority = rtnl_route_get_priority(route);
  return family == 6 && priority == kKernelPriorityIpv6 ? 0 : priority;
}

bool is_unicast_of_main(rtnl_route* route) {
  return rtnl_route_get_table(route) == RT_TABLE_MAIN && rtnl_route_get_type(route) == RTN_UNICAST;
}

/// The route as a LinkRoute when it is a unicast one of the main table whose only link is `index`.
std::optional<LinkRoute> describe(rtnl_route* route, int index, std::uint8_t family) {
  if (!is_unicast_of_main(route)) return std::nullopt;
  if (rtnl_route_get_nnexthops(route) != 1) return std::nullopt;
  rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
  if (rtnl_route_nh_get_ifindex(hop) != index) return std::nullopt;
  const auto destination = from_nl(rtnl_route_get_dst(route), family);
  if (!destination) return std::nullopt;
  LinkRoute found;
  found.destination = *destination;
  if (nl_addr* gateway = rtnl_route_nh_get_gateway(hop)) {
    if (auto address = from_nl(gateway, family)) found.gateway = address->address;
  }
  found.gateway_on_link = (rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK) != 0;
  // A metric that is not there leaves the value as it is.
  static_cast<void>(rtnl_route_get_metric(route, RTAX_MTU, &found.mtu_bytes));
  static_cast<void>(rtnl_route_get_metric(route, RTAX_ADVMSS, &found.advmss_bytes));
  found.priority = priority_of(route, family);
  return found;
}

}  // namespace

net::Result<void> Netlink::add_address(int index, const net::IpAddress& address) {
  auto made = make_address(index, address);
  if (!made) return made.error();
  const int code = rtnl_addr_add(socket_.get(), made->get(), NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0 && code != -NLE_EXIST) return nl_error("adding address " + address.to_string(), code);
  return {};
}

net::Result<void> Netlink::remove_address(int index, const net::IpAddress& address) {
  auto made = make_address(index, address);
  if (!made) return made.error();
  const int code = rtnl_addr_delete(socket_.get(), made->get(), 0);
  if (code < 0) return nl_error("removing address " + address.to_string(), code);
  return {};
}

net::Result<std::vector<net::IpAddress>> Netlink::addresses(int index) {
  nl_cache* all = nullptr;
  if (const int code = rtnl_addr_alloc_cache(socket_.get(), &all); code < 0) return nl_error("listing addresses", code);
  const NlPtr<nl_cache> cache(all);
  std::vector<net::IpAddress> found;
  for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
    auto* address = reinterpret_cast<rtnl_addr*>(object);
    if (index != 0 && rtnl_addr_get_ifindex(address) != index) continue;
    const auto prefix = from_nl(rtnl_addr_get_local(address), rtnl_addr_get_family(address) == AF_INET ? 4 : 6);
    if (!prefix || (!prefix->address.is_v4() && prefix->address.v6().is_link_local())) continue;
    found.push_back(prefix->address);
  }
  return found;
}

net::Result<void> Netlink::set_route(int index, const LinkRoute& route) {
  auto made = make_route(index, route);
  if (!made) return made.error();
  const int code = rtnl_route_add(socket_.get(), made->get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (code < 0) return nl_error("adding route " + route.destination.to_string(), code);
  return {};
}

net::Result<void> Netlink::remove_route(int index, const LinkRoute& route) {
  auto made = make_route(index, route);
  if (!made) return made.error();
  const int code = rtnl_route_delete(socket_.get(), made->get(), 0);
  if (code < 0) return nl_error("removing route " + route.destination.to_string(), code);
  return {};
}

net::Result<std::vector<LinkRoute>> Netlink::routes(int index, std::uint8_t family) {
  nl_cache* all = nullptr;
  if (const int code = rtnl_route_alloc_cache(socket_.get(), nl_family(family), 0, &all); code < 0) {
    return nl_error("listing routes", code);
  }
  const NlPtr<nl_cache> cache(all);
  std::vector<LinkRoute> found;
  for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
    if (auto route = describe(reinterpret_cast<rtnl_route*>(object), index, family)) found.push_back(*route);
  }
  return found;
}

net::Result<bool> Netlink::has_route_elsewhere(int index, const net::Prefix& destination, std::uint32_t priority) {
  const std::uint8_t family = destination.address.family;
  nl_cache* all = nullptr;
  if (const int code = rtnl_route_alloc_cache(socket_.get(), nl_family(family), 0, &all); code < 0) {
    return nl_error("listing routes", code);
  }
  const NlPtr<nl_cache> cache(all);
  for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
    auto* route = reinterpret_cast<rtnl_route*>(object);
    if (!is_unicast_of_main(route) || priority_of(route, family) != priority) continue;
    if (from_nl(rtnl_route_get_dst(route), family) != destination) continue;
    for (int hop = 0; hop < rtnl_route_get_nnexthops(route); ++hop) {
      if (rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, hop)) != index) return true;
    }
  }
  return false;
}

net::Result<std::string> Netlink::default_route_link(std::uint8_t family) {
  nl_cache* all = nullptr;
  if (const int code = rtnl_route_alloc_cache(socket_.get(), nl_family(family), 0, &all); code < 0) {
    return nl_error("listing routes", code);
  }
  const NlPtr<nl_cache> cache(all);
  std::string name;
  std::uint32_t metric = 0;
  for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
    auto* route = reinterpret_cast<rtnl_route*>(object);
    const auto destination = from_nl(rtnl_route_get_dst(route), family);
    if (rtnl_route_get_table(route) != RT_TABLE_MAIN || rtnl_route_get_type(route) != RTN_UNICAST) continue;
    if (!destination || destination->length_bits != 0 || rtnl_route_get_nnexthops(route) == 0) continue;
    std::array<char, IF_NAMESIZE> buffer{};
    const int index = rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0));
    if (index <= 0 || if_indextoname(static_cast<unsigned>(index), buffer.data()) == nullptr) continue;
    if (!name.empty() && rtnl_route_get_priority(route) >= metric) continue;
    name = buffer.data();
    metric = rtnl_route_get_priority(route);
  }
  return name;
}

}  // namespace millrace::control::netlink
