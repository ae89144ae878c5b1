#include "datapath/dhcp.h"

#include "datapath/forward.h"
#include "datapath/guard.h"
#include "datapath/rewrite.h"
#include "net/ip_header.h"

namespace millrace::datapath {
namespace {

using net::DhcpMessage;
using net::Drop;

constexpr net::Mac kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

bool has_ports(const net::Headers& headers, std::uint16_t source, std::uint16_t destination) noexcept {
  return headers.l3 == net::L3::kIpv4 && headers.l4_protocol == net::ip_protocol::kUdp && headers.has_l4 &&
         !headers.is_fragment && headers.source_port == source && headers.destination_port == destination;
}

/// The message in the packet; nullptr: it is truncated, or not one over Ethernet in this direction.
const DhcpMessage* message_of(const net::Packet& packet, std::uint8_t op) noexcept {
  const auto* udp = net::at<net::UdpHeader>(packet.head(), packet.headers.l4_offset);
  const auto* message = net::at<DhcpMessage>(packet.head(), packet.headers.payload_offset);
  if (udp == nullptr || message == nullptr) return nullptr;
  if (udp->length.host() < sizeof(net::UdpHeader) + sizeof(DhcpMessage)) return nullptr;
  const bool is_right = message->op == op && message->hardware_type == DhcpMessage::kEthernet &&
                        message->hardware_length == sizeof(net::Mac) &&
                        message->cookie == net::Be32(DhcpMessage::kCookie);
  return is_right ? message : nullptr;
}

template <typename Predicate>
net::PortId find_port(const Snapshot& snapshot, Predicate is_it) noexcept {
  for (std::size_t id = 0; id < snapshot.ports.size(); ++id) {
    const PortEntry& entry = snapshot.ports[id];
    if (entry.port != nullptr && is_it(entry)) return static_cast<net::PortId>(id);
  }
  return net::kNoPort;
}

Drop send(net::Packet& packet, net::PortId to, const net::Mac& mac, const Snapshot& snapshot) noexcept {
  if (to == net::kNoPort) return Drop::kDhcpNoPort;
  packet.out_port = to;
  if (needs_fragments(packet, snapshot.ports[to])) return Drop::kPacketTooBig;
  complete_checksum(packet);
  net::set_macs(packet, mac, snapshot.gateway.mac);
  return Drop::kNone;
}

Drop carry_from_client(net::Packet& packet, const PortEntry& in, const Snapshot& snapshot, RateLimiter& limiter,
                       std::uint64_t now_ns) noexcept {
  const net::EthernetHeader& ethernet = net::ethernet(packet);
  const auto may_have = [&](net::Ipv4 address) { return address.is_unspecified() || owns(in, address); };
  if (packet.headers.vlan_count != 0) return Drop::kVlanOnPod;
  if (ethernet.source != in.mac) return Drop::kSpoofedMac;
  if (!may_have(net::ipv4(packet).source)) return Drop::kSpoofedAddress;
  const DhcpMessage* const message = message_of(packet, DhcpMessage::kFromClient);
  if (message == nullptr || ethernet.destination != kBroadcast) return Drop::kDhcpBad;
  if (message->hops != 0 || !message->giaddr.is_unspecified()) return Drop::kDhcpBad;
  if (message->chaddr != in.mac) return Drop::kSpoofedMac;
  if (!may_have(message->ciaddr)) return Drop::kSpoofedAddress;
  if (!limiter.allow(now_ns)) return Drop::kDhcpRateLimited;
  const net::PortId host = find_port(snapshot, [](const PortEntry& port) { return port.kind == PortKind::kHost; });
  return send(packet, host, kBroadcast, snapshot);
}

Drop carry_from_server(net::Packet& packet, const PortEntry& in, const Snapshot& snapshot) noexcept {
  const net::EthernetHeader& ethernet = net::ethernet(packet);
  const net::Ipv4Header& ip = net::ipv4(packet);
  if (packet.headers.vlan_count != 0) return Drop::kVlanOnPod;
  if (ethernet.source != in.mac) return Drop::kSpoofedMac;
  if (const Drop drop = guard_host_source(ip.source); drop != Drop::kNone) return drop;
  const DhcpMessage* const message = message_of(packet, DhcpMessage::kFromServer);
  if (message == nullptr) return Drop::kDhcpBad;
  const net::Mac client = message->chaddr;
  const net::PortId to = find_port(snapshot, [&](const PortEntry& port) { return port.dhcp && port.mac == client; });
  if (to == net::kNoPort) return Drop::kDhcpNoPort;
  if (ethernet.destination != kBroadcast && ethernet.destination != client) return Drop::kNotForGateway;
  const bool is_clients =
      ip.destination.is_broadcast() || ip.destination == message->yiaddr || ip.destination == message->ciaddr;
  if (!is_clients) return Drop::kDhcpBad;
  return send(packet, to, client, snapshot);
}

}  // namespace

Drop carry_dhcp(net::Packet& packet, const Snapshot& snapshot, RateLimiter& limiter, std::uint64_t now_ns) noexcept {
  const PortEntry& in = snapshot.ports[packet.in_port];
  if (in.dhcp) {
    if (!has_ports(packet.headers, DhcpMessage::kClientPort, DhcpMessage::kServerPort)) return Drop::kNone;
    if (!net::ipv4(packet).destination.is_broadcast()) return Drop::kNone;
    return carry_from_client(packet, in, snapshot, limiter, now_ns);
  }
  if (!has_ports(packet.headers, DhcpMessage::kServerPort, DhcpMessage::kClientPort)) return Drop::kNone;
  if (net::ethernet(packet).destination == snapshot.gateway.mac) return Drop::kNone;
  return carry_from_server(packet, in, snapshot);
}

}  // namespace millrace::datapath
