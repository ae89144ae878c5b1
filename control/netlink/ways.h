/// The way to one address as the kernel would take it now, and who answers for the next hop.
///
/// Shape:   a way is what the kernel's routes and rules say of a packet of this node's own to the address, exceptions
///          that path MTU discovery has made among them. Of several equal next hops it is the one that the kernel would
///          choose for the address.
/// Errors:  kNotFound when there is no way (none at all, or one that forbids); else as netlink.h.
/// Thread:  as Netlink.
/// Source:  rtnetlink(7) RTM_GETROUTE, RTM_NEWNEIGH; kernel include/uapi/linux/neighbour.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "control/netlink/netlink.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::netlink {

struct Way {
  int link = 0;
  std::optional<net::IpAddress> gateway;  // none: the address is on the link. An IPv4 address may have one of IPv6
  std::uint32_t mtu_bytes = 0;            // of the route or of path MTU discovery; 0: the link's
};

/// An entry of the neighbour tables (ARP, RFC 826; ND, RFC 4861).
struct Neighbor {
  int link = 0;
  net::IpAddress address;
  std::optional<net::Mac> mac;  // none: gone, or nobody has answered
  bool is_static = false;       // an administrator's (NUD_PERMANENT), or of a link that needs none (NUD_NOARP)
};

net::Result<Way> way_to(Netlink& netlink, const net::IpAddress& address);
/// Those whose MAC is known.
net::Result<std::vector<Neighbor>> neighbors(Netlink& netlink);
/// Has the kernel ask for the neighbour's MAC (NTF_USE), and go on asking so that it does not grow old
/// (NTF_EXT_MANAGED, Linux 5.16; an earlier kernel asks once). The answer comes to a Follower. Not for a static one, of
/// which the kernel would forget the MAC.
net::Result<void> keep_neighbor(Netlink& netlink, int link, const net::IpAddress& address);
/// It may grow old again. Success when there is no such neighbour. Not for a static one either.
net::Result<void> leave_neighbor(Netlink& netlink, int link, const net::IpAddress& address);

}  // namespace millrace::control::netlink
