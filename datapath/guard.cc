#include "datapath/guard.h"

#include "net/arp.h"
#include "net/ndp.h"

namespace millrace::datapath {
namespace {

using net::Drop;

bool is_link_local_multicast(const net::Ipv6& address) noexcept {
  return address.is_multicast() && (address.bytes[1] & 0x0f) == 2;  // scope 2, RFC 4291 2.7
}

/// What an advertisement claims must be the sender's: its own addresses at its own MAC.
Drop guard_advertisement(const net::Packet& packet, const PortEntry& in) noexcept {
  const auto* message = net::at<net::NeighborMessage>(packet.head(), packet.headers.l4_offset);
  if (message == nullptr) return Drop::kL4Truncated;
  if (in.kind == PortKind::kPod && !owns(in, message->target) && !message->target.is_link_local()) {
    return Drop::kSpoofedAddress;
  }
  const auto* option =
      net::at<net::LinkLayerOption>(packet.head(), packet.headers.l4_offset + sizeof(net::NeighborMessage));
  if (option != nullptr && option->type == net::LinkLayerOption::kTarget && option->mac != in.mac) {
    return Drop::kSpoofedMac;
  }
  return Drop::kNone;
}

Drop guard_neighbor_discovery(const net::Packet& packet, const PortEntry& in) noexcept {
  if (packet.headers.icmp_type == net::icmpv6_type::kNeighborAdvertisement) return guard_advertisement(packet, in);
  const auto solicitation = net::read_neighbor_solicitation(packet);
  if (solicitation && solicitation->source_mac && *solicitation->source_mac != in.mac) return Drop::kSpoofedMac;
  return Drop::kNone;
}

}  // namespace

Drop guard_arp(const net::Packet& packet, const PortEntry& in) noexcept {
  const net::ArpPacket& arp = net::arp(packet);
  if (arp.sender_mac != in.mac) return Drop::kSpoofedMac;
  if (net::is_arp_probe(arp)) return Drop::kNone;
  if (in.kind == PortKind::kHost) return guard_host_source(arp.sender_ip);
  return owns(in, arp.sender_ip) ? Drop::kNone : Drop::kSpoofedAddress;
}

Drop guard_host_source(net::Ipv4 source) noexcept {
  const bool is_bad = source.is_multicast() || source.is_broadcast() || source.is_loopback() || source.is_unspecified();
  return is_bad ? Drop::kBadSource : Drop::kNone;
}

Drop guard_ipv6_special(const net::Packet& packet, const PortEntry& in, const Gateway& gateway) noexcept {
  const net::Ipv6Header& ip = net::ipv6(packet);
  const bool is_icmp = packet.headers.l4_protocol == net::ip_protocol::kIcmpv6;
  const bool is_discovery = is_neighbor_discovery(packet.headers);
  if (ip.source.is_unspecified()) {
    if (!is_icmp || !is_link_local_multicast(ip.destination)) {
      return in.kind == PortKind::kPod ? Drop::kSpoofedAddress : Drop::kBadSource;
    }
  } else if (ip.source.is_multicast() || ip.source.is_loopback()) {
    return Drop::kBadSource;
  } else if (ip.source == gateway.ipv6) {
    return Drop::kSpoofedAddress;
  } else if (ip.source.is_link_local()) {
    const bool stays_on_link =
        is_discovery || ip.destination == gateway.ipv6 || is_link_local_multicast(ip.destination);
    if (!is_icmp || !stays_on_link) return Drop::kLinkLocal;
  } else if (in.kind == PortKind::kPod && !owns(in, ip.source)) {
    return Drop::kSpoofedAddress;
  }
  return is_discovery ? guard_neighbor_discovery(packet, in) : Drop::kNone;
}

Drop guard_uplink(const net::Packet& packet, const PortEntry& in, const Gateway& gateway) noexcept {
  if (packet.headers.vlan_count != 0) return Drop::kVlanOnPod;
  if (packet.headers.l3 == net::L3::kIpv4) {
    // The gateway is a neighbour of pods and the node, of nobody behind an uplink.
    if (net::ipv4(packet).destination == gateway.ipv4) return Drop::kGatewayProtocol;
    return guard_host_source(net::ipv4(packet).source);
  }
  if (packet.headers.l3 != net::L3::kIpv6) return Drop::kUnknownEtherType;
  const net::Ipv6& source = net::ipv6(packet).source;
  if (net::ipv6(packet).destination == gateway.ipv6) return Drop::kGatewayProtocol;
  if (source.is_unspecified() || is_neighbor_discovery(packet.headers)) return Drop::kBadSource;
  return guard_ipv6_special(packet, in, gateway);
}

}  // namespace millrace::datapath
