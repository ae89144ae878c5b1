/// The kernel's links, addresses and routes, through libnl-route.
///
/// Shape:   a socket belongs to the network namespace of the thread that opened it, for all of its life.
/// Errors:  kNotFound, kAlreadyExists, kPermissionDenied, else kInternal; the sentence names the object and says what
///          libnl says.
/// Thread:  one object one thread; objects of different threads work at the same time.
/// Source:  rtnetlink(7), veth(4).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/result.h"

struct nl_sock;

namespace millrace::control::netlink {

struct LinkInfo {
  int index = 0;
  std::string name;
  net::Mac mac;
  std::uint32_t mtu = 0;
  bool up = false;
  bool is_veth = false;
  int peer_index = 0;  // of a veth; an index of the peer's own namespace
};

struct VethEnd {
  std::string name;
  net::Mac mac;
};

/// What the kernel makes of priority 0 of an IPv6 route (IP6_RT_PRIO_USER); read back as 0.
inline constexpr std::uint32_t kKernelPriorityIpv6 = 1024;

/// A route out of one link.
struct LinkRoute {
  net::Prefix destination;
  std::optional<net::IpAddress> gateway;  // none: the destination is on the link
  std::optional<net::IpAddress> source;   // of packets the node itself sends
  bool gateway_on_link = false;           // take the gateway to be on the link without a route to it
  std::uint32_t mtu_bytes = 0;            // RTAX_MTU; 0: the link's
  std::uint32_t advmss_bytes = 0;         // RTAX_ADVMSS; 0: what follows from the MTU
  std::uint32_t priority = 0;             // 0: the kernel's, of IPv6 kKernelPriorityIpv6
  std::uint32_t table = 0;                // 0: main
  friend bool operator==(const LinkRoute&, const LinkRoute&) = default;
};

/// "What this node itself sends to this address, protocol and port is routed by a table of its own": a rule of
/// ip-rule(8) with `iif lo to ADDRESS ipproto PROTOCOL dport PORT`.
struct PortRule {
  net::IpAddress destination;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  friend auto operator<=>(const PortRule&, const PortRule&) = default;
};

/// Author of rules and of routes in tables of their own (RTA_PROTOCOL, FRA_PROTOCOL), a number nobody else has.
inline constexpr std::uint8_t kRouteProtocol = 77;
/// Place of rules: behind the kernel's own addresses (0), before the main table (32766).
inline constexpr std::uint32_t kRulePriority = 1077;

class Netlink {
 public:
  /// Of the calling thread's network namespace.
  static net::Result<Netlink> open();

  net::Result<LinkInfo> link(const std::string& name);
  net::Result<LinkInfo> link(int index);

  /// Makes a veth pair, both ends down and with one queue; `peer_netns_fd` >= 0 puts the peer there at birth.
  net::Result<void> add_veth(const VethEnd& here, const VethEnd& peer, int peer_netns_fd, std::uint32_t mtu);
  net::Result<void> remove_link(const std::string& name);
  net::Result<void> set_up(int index);
  net::Result<void> set_mtu(int index, std::uint32_t mtu);
  net::Result<void> set_mac(int index, const net::Mac& mac);

  /// As a host address (/32, /128), IPv6 without duplicate address detection (RFC 4862 s.5.4).
  /// Success when it is there already.
  net::Result<void> add_address(int index, const net::IpAddress& address);
  net::Result<void> remove_address(int index, const net::IpAddress& address);
  /// Of one link, or with 0 of all; without IPv6 link-local ones.
  net::Result<std::vector<net::IpAddress>> addresses(int index);

  /// Adds the route, or puts it in the place of the one with the same destination and priority.
  net::Result<void> set_route(int index, const LinkRoute& route);
  net::Result<void> remove_route(int index, const LinkRoute& route);
  /// Unicast routes of the main table with `index` as their only link. `source` is left out.
  net::Result<std::vector<LinkRoute>> routes(int index, std::uint8_t family);
  /// Whether the main table has a unicast route of the same destination and priority by another link than `index`.
  net::Result<bool> has_route_elsewhere(int index, const net::Prefix& destination, std::uint32_t priority);
  /// Packets for the prefix are answered "unreachable", unless another route of it has a lower priority, or is longer.
  net::Result<void> close_prefix(const net::Prefix& prefix, std::uint32_t priority);
  /// Success when it is not closed.
  net::Result<void> open_prefix(const net::Prefix& prefix, std::uint32_t priority);
  /// Those that close_prefix() closed with this priority.
  net::Result<std::vector<net::Prefix>> closed_prefixes(std::uint32_t priority);
  /// Success when it is there already.
  net::Result<void> add_port_rule(const PortRule& rule, std::uint32_t table);
  /// Success when it is not there.
  net::Result<void> remove_port_rule(const PortRule& rule, std::uint32_t table);
  /// Rules of kRouteProtocol that lead to the table.
  net::Result<std::vector<PortRule>> port_rules(std::uint32_t table);
  /// Name of the link of the default route with the lowest metric; "" when there is none.
  net::Result<std::string> default_route_link(std::uint8_t family);

  /// For this room.
  nl_sock* socket() const noexcept { return socket_.get(); }

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  explicit Netlink(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Close> socket_;
};

/// Removes the interface of the calling thread's namespace; success when it is not there.
net::Result<void> remove_link_if_there(const std::string& name);

}  // namespace millrace::control::netlink
