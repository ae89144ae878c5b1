/// Forwarding: what every packet is asked before it goes on, whatever the routes and the flow say.
///
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 1812 5.2, 5.3; RFC 8200 section 5; RFC 4291 2.5.
#pragma once

#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/ip_header.h"
#include "net/offload.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Destinations no router may forward to, whatever the routes say. 0.0.0.0/8 is "this host" (RFC 1122 3.2.1.3), and
/// 127.0.0.0/8 must never be seen outside a host: with a default route to the node it would reach the node's own
/// sockets.
inline net::Drop check_destination(net::Ipv4 destination) noexcept {
  const std::uint32_t top = destination.value.host() >> 24;
  if (top - 1 < 126) [[likely]]
    return net::Drop::kNone;  // 1..126
  if (top == 0 || top == 127) return net::Drop::kNoRoute;
  return destination.is_multicast() || destination.is_broadcast() ? net::Drop::kMulticast : net::Drop::kNone;
}

inline net::Drop check_destination(const net::Ipv6& destination) noexcept {
  // Global unicast (2000::/3) and unique local (fc00::/7) need no closer look.
  if ((destination.bytes[0] & 0xe0) == 0x20 || (destination.bytes[0] & 0xfe) == 0xfc) [[likely]]
    return net::Drop::kNone;
  if (destination.is_multicast()) return net::Drop::kMulticast;
  if (destination.is_link_local()) return net::Drop::kLinkLocal;
  return destination.is_loopback() || destination.is_unspecified() ? net::Drop::kNoRoute : net::Drop::kNone;
}

/// Whether the packet, or one of those it stands for, must be fragmented to leave by the port.
inline bool needs_fragments(const net::Packet& packet, const PortEntry& out) noexcept {
  if (packet.headers.l3_length <= out.mtu_bytes) [[likely]]
    return false;
  return net::longest_l3_bytes(packet) > out.mtu_bytes;
}

/// Whether anything can: not by a tunnel that is not resolved. Precondition: needs_fragments().
inline bool can_leave(const PortEntry& out) noexcept { return out.mtu_bytes != 0; }

}  // namespace millrace::datapath
