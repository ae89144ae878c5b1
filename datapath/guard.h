/// Guard: may this frame enter by this port? Anti-spoofing, and what no port may send.
///
/// A pod sends only from its own MAC and addresses, also inside ARP and neighbour discovery; a pod that is a router
/// sends from the prefixes behind it too, less what of them is routed elsewhere. The host port sends from its own MAC
/// and any address a single host can have: it carries what the node routes. Frames go to the gateway's MAC or to a
/// group. No port carries VLAN tags. IPv6 link-local sources stay on the link: only ICMPv6 to the gateway or to
/// link-local multicast, and neighbour discovery, which answer.h consumes (RFC 4291 2.5.6). IPv4 link-local addresses
/// are forwarded where a route says so: clusters serve node-local DNS and cloud metadata on 169.254.0.0/16.
///
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 2827 (ingress filtering), RFC 1122 3.2.1.3, RFC 4291 2.5, RFC 4862 5.4.2 (unspecified source),
///          RFC 5227.
#pragma once

#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::datapath {

inline bool owns(const PortEntry& port, net::Ipv4 address) noexcept {
  for (unsigned i = 0; i < port.ipv4_count; ++i) {
    if (port.ipv4[i] == address) return true;
  }
  return false;
}

inline bool owns(const PortEntry& port, const net::Ipv6& address) noexcept {
  for (unsigned i = 0; i < port.ipv6_count; ++i) {
    if (port.ipv6[i] == address) return true;
  }
  return false;
}

/// ICMPv6 types 133..137: never forwarded.
inline bool is_neighbor_discovery(const net::Headers& headers) noexcept {
  return headers.l4_protocol == net::ip_protocol::kIcmpv6 && headers.has_l4 &&
         headers.icmp_type >= net::icmpv6_type::kRouterSolicitation && headers.icmp_type <= net::icmpv6_type::kRedirect;
}

/// Parts of guard() that most packets do not need.
net::Drop guard_arp(const net::Packet& packet, const PortEntry& in) noexcept;
net::Drop guard_host_source(net::Ipv4 source) noexcept;
net::Drop guard_ipv6_special(const net::Packet& packet, const PortEntry& in, const Gateway& gateway) noexcept;

/// Whether `address` lies in a prefix behind the pod that the packet came from.
template <typename Address>
bool is_behind(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot,
               const Address& address) noexcept {
  return in.has_prefixes && snapshot.routes.lookup(address) == packet.in_port;
}

inline net::Drop guard_ipv4(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot) noexcept {
  const net::Ipv4 source = net::ipv4(packet).source;
  if (in.kind != PortKind::kPod) return guard_host_source(source);
  const bool is_own = owns(in, source) || is_behind(packet, in, snapshot, source);
  return is_own ? net::Drop::kNone : net::Drop::kSpoofedAddress;
}

inline net::Drop guard_ipv6(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot) noexcept {
  const net::Ipv6& source = net::ipv6(packet).source;
  if ((owns(in, source) || is_behind(packet, in, snapshot, source)) && !is_neighbor_discovery(packet.headers))
      [[likely]]
    return net::Drop::kNone;
  return guard_ipv6_special(packet, in, snapshot.gateway);
}

/// What the uplink's filter took is for the switch: any MAC, any source that one host can have.
net::Drop guard_uplink(const net::Packet& packet, const PortEntry& in, const Gateway& gateway) noexcept;

/// kNone: the frame may enter. Precondition: the packet was parsed and its in_port, which is `in`, set.
inline net::Drop guard(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot) noexcept {
  const Gateway& gateway = snapshot.gateway;
  const net::EthernetHeader& ethernet = net::ethernet(packet);
  if (in.kind == PortKind::kUplink) return guard_uplink(packet, in, gateway);
  if (packet.headers.vlan_count != 0) return net::Drop::kVlanOnPod;
  if (ethernet.source != in.mac) return net::Drop::kSpoofedMac;
  if (ethernet.destination != gateway.mac && !ethernet.destination.is_multicast()) return net::Drop::kNotForGateway;
  switch (packet.headers.l3) {
    case net::L3::kIpv4: return guard_ipv4(packet, in, snapshot);
    case net::L3::kIpv6: return guard_ipv6(packet, in, snapshot);
    case net::L3::kArp: return guard_arp(packet, in);
    case net::L3::kNone: break;
  }
  return net::Drop::kUnknownEtherType;
}

}  // namespace millrace::datapath
