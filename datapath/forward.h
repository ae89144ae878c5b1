/// Forwarding: one hop of an IP packet, from its destination to the port it leaves by.
///
/// Shape:   forward() sets out_port and counts the TTL or hop limit down; when it returns a Drop the bytes are as they
///          arrived, so that an ICMP error can quote them. kPacketTooBig leaves out_port set: its MTU is reported.
///          IPv4 without "don't fragment" may come out larger than the MTU: needs_fragments().
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 1812 5.2, 5.3; RFC 8200 section 5; RFC 4291 2.5.
#pragma once

#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/ip_header.h"
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

/// Whether the packet must be cut to leave by the port.
inline bool needs_fragments(const net::Packet& packet, const PortEntry& out) noexcept {
  return packet.headers.l3_length > out.mtu_bytes;
}

namespace internal {

template <typename Header>
net::Drop forward(net::Packet& packet, const Header& ip, bool may_fragment, const Snapshot& snapshot) noexcept {
  if (const net::Drop drop = check_destination(ip.destination); drop != net::Drop::kNone) return drop;
  // RFC 1812 5.3.4: what came as a link-layer broadcast is not forwarded.
  if (net::ethernet(packet).destination.is_multicast()) return net::Drop::kMulticast;
  const net::PortId out = snapshot.routes.lookup(ip.destination);
  if (out == net::kNoPort) return net::Drop::kNoRoute;
  if (out == packet.in_port) return net::Drop::kSameRoute;
  if (packet.headers.ttl <= 1) return net::Drop::kTtlExceeded;
  packet.out_port = out;
  if (needs_fragments(packet, snapshot.ports[out]) && !may_fragment) return net::Drop::kPacketTooBig;
  net::decrement_ttl(packet);
  return net::Drop::kNone;
}

}  // namespace internal

/// Precondition: parsed and guarded, IPv4 or IPv6, in_port set.
inline net::Drop forward(net::Packet& packet, const Snapshot& snapshot) noexcept {
  if (packet.headers.l3 == net::L3::kIpv4) [[likely]] {
    const net::Ipv4Header& ip = net::ipv4(packet);
    return internal::forward(packet, ip, !ip.dont_fragment(), snapshot);
  }
  const net::Ipv6Header& ip = net::ipv6(packet);
  if (ip.source.is_link_local()) return net::Drop::kLinkLocal;
  return internal::forward(packet, ip, false, snapshot);
}

}  // namespace millrace::datapath
