#include "datapath/uplink_filter.h"

#include "net/icmp.h"
#include "net/ip_header.h"
#include "net/quote.h"

namespace millrace::datapath {
namespace {

using net::Headers;
namespace ip_protocol = net::ip_protocol;

net::Ipv4 own_vtep(const Underlay& underlay, net::Ipv4) noexcept { return underlay.ipv4; }
const net::Ipv6& own_vtep(const Underlay& underlay, const net::Ipv6&) noexcept { return underlay.ipv6; }

bool has_ports(std::uint8_t protocol) noexcept {
  return protocol == ip_protocol::kTcp || protocol == ip_protocol::kUdp || protocol == ip_protocol::kSctp;
}
bool is_icmp(const Headers& headers) noexcept {
  return headers.l4_protocol == (headers.l3 == net::L3::kIpv4 ? ip_protocol::kIcmp : ip_protocol::kIcmpv6);
}

template <typename Address>
bool is_vtep(const Snapshot& snapshot, const Address& address, std::uint16_t port) noexcept {
  const Underlay& underlay = snapshot.underlay;
  return underlay.udp_port != 0 && port == underlay.udp_port && address == own_vtep(underlay, address) &&
         !address.is_unspecified();
}

/// Addresses of the service ranges are not the outside's to use.
template <typename Address>
bool is_frontend(const Snapshot& snapshot, const Address& address, std::uint8_t protocol, std::uint16_t port) noexcept {
  return snapshot.services->service_of(net::IpAddress::from(address), protocol, port) != nullptr &&
         snapshot.nat.service_prefixes.lookup(address) == net::kNoPort;
}

/// A pod of this node, where packets come to it without encapsulation.
template <typename Address>
bool is_local_pod(const Snapshot& snapshot, const Address& address) noexcept {
  if (!snapshot.has_plain_tunnels) return false;
  const net::PortId out = snapshot.routes.lookup(address);
  return out != net::kNoPort && snapshot.ports[out].kind == PortKind::kPod;
}

/// An ICMP error about a packet that `own`, the destination of the error, sent from an end of the switch's.
template <typename Header, typename Address>
bool quotes_ours(const net::Packet& packet, const Snapshot& snapshot, const Address& own) noexcept {
  const auto quote = net::parse_quote(packet);
  if (!quote || !quote->has_l4) return false;
  if (net::view<Header>(packet.data + quote->l3_offset).source != own) return false;
  if (has_ports(quote->l4_protocol)) {
    return snapshot.nat.holds(own, quote->source_port) ||
           is_frontend(snapshot, own, quote->l4_protocol, quote->source_port);
  }
  const std::uint8_t request =
      quote->l3 == net::L3::kIpv4 ? net::icmp_type::kEchoRequest : net::icmpv6_type::kEchoRequest;
  return is_icmp(*quote) && quote->icmp_type == request && snapshot.nat.holds(own, quote->source_port);
}

template <typename Header, typename Address>
bool is_transport_ours(const net::Packet& packet, const Snapshot& snapshot, const Address& destination) noexcept {
  const Headers& headers = packet.headers;
  if (!headers.has_l4) return false;
  const std::uint16_t port = headers.destination_port;
  if (has_ports(headers.l4_protocol)) {
    if (headers.l4_protocol == ip_protocol::kUdp && is_vtep(snapshot, destination, port)) return true;
    return snapshot.nat.holds(destination, port) || is_frontend(snapshot, destination, headers.l4_protocol, port);
  }
  if (!is_icmp(headers)) return false;
  const std::uint8_t reply = headers.l3 == net::L3::kIpv4 ? net::icmp_type::kEchoReply : net::icmpv6_type::kEchoReply;
  if (headers.icmp_type == reply) return snapshot.nat.holds(destination, port);
  return quotes_ours<Header>(packet, snapshot, destination);
}

template <typename Header>
bool is_ours(const net::Packet& packet, const Header& ip, const Snapshot& snapshot, nat::FragmentTable& fragments,
             nat::TickMs now) noexcept {
  if (is_local_pod(snapshot, ip.destination)) return true;
  const Headers& headers = packet.headers;
  if (headers.is_fragment && !headers.is_first_fragment) return fragments.knows(packet, now);
  const bool ours = is_transport_ours<Header>(packet, snapshot, ip.destination);
  if (!headers.is_fragment) [[likely]]
    return ours;
  if (ours) {
    fragments.note_first(packet, now);
  } else {
    fragments.forget(packet);
  }
  return ours;
}

}  // namespace

bool is_for_switch(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot,
                   nat::FragmentTable& fragments, nat::TickMs now) noexcept {
  if (packet.headers.vlan_count != 0 || net::ethernet(packet).destination != in.mac) return false;
  switch (packet.headers.l3) {
    case net::L3::kIpv4: return is_ours(packet, net::ipv4(packet), snapshot, fragments, now);
    case net::L3::kIpv6: return is_ours(packet, net::ipv6(packet), snapshot, fragments, now);
    case net::L3::kArp:
    case net::L3::kNone: break;
  }
  return false;
}

}  // namespace millrace::datapath
