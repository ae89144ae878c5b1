#include "control/netlink/ways.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "control/netlink/follower.h"
#include "control/netlink/nl_object.h"

namespace millrace::control::netlink {
namespace {

constexpr int kMacBytes = 6;

struct FreeMessage {
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};

std::optional<net::IpAddress> address_of(nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const int family = nl_addr_get_family(address);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  const auto prefix = from_nl(address, family == AF_INET ? 4 : 6);
  return prefix ? std::optional(prefix->address) : std::nullopt;
}

std::optional<net::Mac> mac_of(rtnl_neigh* neighbor) {
  nl_addr* address = rtnl_neigh_get_lladdr(neighbor);
  if (address == nullptr || nl_addr_get_len(address) != kMacBytes) return std::nullopt;
  net::Mac mac;
  std::copy_n(static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address)), kMacBytes, mac.bytes.begin());
  return mac;
}

/// libnl knows no flags beyond the first eight: the message is put together here.
net::Result<void> tell(nl_sock* socket, int link, const net::IpAddress& address, std::uint32_t flags, int mode) {
  const std::unique_ptr<nl_msg, FreeMessage> message(nlmsg_alloc_simple(RTM_NEWNEIGH, mode));
  if (!message) return nl_out_of_memory();
  ndmsg header{};
  header.ndm_family = static_cast<std::uint8_t>(nl_family(address.family));
  header.ndm_ifindex = link;
  header.ndm_state = NUD_NONE;
  header.ndm_flags = NTF_USE;
  const auto raw = address.raw();
  if (nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) < 0 ||
      nla_put(message.get(), NDA_DST, static_cast<int>(raw.size()), raw.data()) < 0 ||
      nla_put_u32(message.get(), NDA_FLAGS_EXT, flags) < 0) {
    return nl_out_of_memory();
  }
  nl_complete_msg(socket, message.get());
  int code = nl_send(socket, message.get());
  if (code >= 0) code = nl_wait_for_ack(socket);
  if (code < 0) return nl_error(fmt::format("neighbour {} of interface {}", address.to_string(), link), code);
  return {};
}

}  // namespace

net::Result<Way> way_to(Netlink& netlink, const net::IpAddress& address) {
  const auto destination = to_nl(address);
  if (!destination) return nl_out_of_memory();
  rtnl_route* found = nullptr;
  if (const int code = rtnl_route_lookup(netlink.socket(), destination.get(), &found); code < 0) {
    // The kernel's EHOSTUNREACH, ENETUNREACH, EACCES and EINVAL: whatever the reason, no packet goes there.
    return net::not_found(fmt::format("way to {}: {}", address.to_string(), nl_geterror(code)));
  }
  const NlPtr<rtnl_route> route(found);
  rtnl_nexthop* hop = rtnl_route_get_nnexthops(found) == 0 ? nullptr : rtnl_route_nexthop_n(found, 0);
  if (hop == nullptr) return net::not_found(fmt::format("way to {}: no next hop", address.to_string()));
  Way way;
  way.link = rtnl_route_nh_get_ifindex(hop);
  way.gateway = address_of(rtnl_route_nh_get_gateway(hop));
  if (!way.gateway) way.gateway = address_of(rtnl_route_nh_get_via(hop));
  if (rtnl_route_get_metric(found, RTAX_MTU, &way.mtu_bytes) < 0) way.mtu_bytes = 0;
  return way;
}

net::Result<std::vector<Neighbor>> neighbors(Netlink& netlink) {
  nl_cache* all = nullptr;
  if (const int code = rtnl_neigh_alloc_cache(netlink.socket(), &all); code < 0) {
    return nl_error("listing neighbours", code);
  }
  const NlPtr<nl_cache> cache(all);
  std::vector<Neighbor> found;
  for (nl_object* object = nl_cache_get_first(all); object != nullptr; object = nl_cache_get_next(object)) {
    auto* neighbor = reinterpret_cast<rtnl_neigh*>(object);
    const auto address = address_of(rtnl_neigh_get_dst(neighbor));
    const int state = rtnl_neigh_get_state(neighbor);
    const auto mac = state > 0 && (state & kKnownStates) != 0 ? mac_of(neighbor) : std::nullopt;
    if (address && mac)
      found.push_back({rtnl_neigh_get_ifindex(neighbor), *address, mac, (state & kStaticStates) != 0});
  }
  return found;
}

net::Result<void> keep_neighbor(Netlink& netlink, int link, const net::IpAddress& address) {
  return tell(netlink.socket(), link, address, NTF_EXT_MANAGED, NLM_F_CREATE | NLM_F_REPLACE);
}

net::Result<void> leave_neighbor(Netlink& netlink, int link, const net::IpAddress& address) {
  auto left = tell(netlink.socket(), link, address, 0, NLM_F_REPLACE);
  if (!left && left.error().code == net::ErrorCode::kNotFound) return {};
  return left;
}

}  // namespace millrace::control::netlink
