// Routes that lead nowhere, of netlink.h.
#include <linux/rtnetlink.h>

#include "control/netlink/netlink.h"
#include "control/netlink/nl_object.h"

namespace millrace::control::netlink {
namespace {

net::Result<NlPtr<rtnl_route>> make_closed(const net::Prefix& prefix, std::uint32_t priority) {
  NlPtr<rtnl_route> route(rtnl_route_alloc());
  const auto destination = to_nl(prefix);
  if (!route || !destination) return nl_out_of_memory();
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(nl_family(prefix.address.family)));
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(route.get(), kRouteProtocol);
  rtnl_route_set_priority(route.get(), priority);
  if (rtnl_route_set_type(route.get(), RTN_UNREACHABLE) < 0) return nl_out_of_memory();
  if (rtnl_route_set_dst(route.get(), destination.get()) < 0) return nl_out_of_memory();
  return route;
}

}  // namespace

net::Result<void> Netlink::close_prefix(const net::Prefix& prefix, std::uint32_t priority) {
  auto made = make_closed(prefix, priority);
  if (!made) return made.error();
  const int code = rtnl_route_add(socket_.get(), made->get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (code < 0) return nl_error("closing " + prefix.to_string(), code);
  return {};
}

net::Result<void> Netlink::open_prefix(const net::Prefix& prefix, std::uint32_t priority) {
  auto made = make_closed(prefix, priority);
  if (!made) return made.error();
  const int code = rtnl_route_delete(socket_.get(), made->get(), 0);
  if (code < 0 && code != -NLE_OBJ_NOTFOUND) return nl_error("opening " + prefix.to_string(), code);
  return {};
}

net::Result<std::vector<net::Prefix>> Netlink::closed_prefixes(std::uint32_t priority) {
  std::vector<net::Prefix> found;
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    nl_cache* all = nullptr;
    const int code = rtnl_route_alloc_cache(socket_.get(), nl_family(family), 0, &all);
    if (code == -NLE_AF_NOSUPPORT) continue;  // a kernel without IPv6
    if (code < 0) return nl_error("listing routes", code);
    const NlPtr<nl_cache> cache(all);
    for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
      auto* route = reinterpret_cast<rtnl_route*>(object);
      if (rtnl_route_get_table(route) != RT_TABLE_MAIN || rtnl_route_get_type(route) != RTN_UNREACHABLE) continue;
      if (rtnl_route_get_protocol(route) != kRouteProtocol || rtnl_route_get_priority(route) != priority) continue;
      if (const auto prefix = from_nl(rtnl_route_get_dst(route), family)) found.push_back(*prefix);
    }
  }
  return found;
}

}  // namespace millrace::control::netlink
