#include "datapath/answer.h"

#include <optional>

#include "datapath/rewrite.h"
#include "net/arp.h"
#include "net/icmp.h"
#include "net/ndp.h"
#include "net/tcp_reset.h"

namespace millrace::datapath {
namespace {

using net::Drop;

/// The answer goes back to where the question came from, complete: it passes no further stage.
Drop send_back(net::Packet& packet) noexcept {
  packet.out_port = packet.in_port;
  complete_checksum(packet);
  return Drop::kNone;
}

/// Whether the switch stands for `target` on the port that asks.
template <typename Address>
bool answers_for(const Address& target, const Address& gateway, const Snapshot& snapshot,
                 net::PortId in_port) noexcept {
  if (target.is_unspecified()) return false;
  if (target == gateway) return true;
  const net::PortId port = snapshot.routes.lookup(target);
  return port != net::kNoPort && port != in_port;
}

std::optional<net::IcmpError> error_for(const net::Packet& packet, const Snapshot& snapshot) noexcept {
  switch (packet.drop) {
    case Drop::kTtlExceeded: return net::IcmpError{net::IcmpErrorKind::kTimeExceeded};
    case Drop::kNoRoute: return net::IcmpError{net::IcmpErrorKind::kNoRoute};
    case Drop::kServiceNoBackend:
    case Drop::kServiceNoPort: return net::IcmpError{net::IcmpErrorKind::kPortUnreachable};
    // The host routes its pods' prefix here; an address of it that no port has comes back by the default route.
    case Drop::kSameRoute:
    case Drop::kTunnelTransit:
    case Drop::kTunnelUnresolved: return net::IcmpError{net::IcmpErrorKind::kHostUnreachable};
    case Drop::kPacketTooBig:
      return net::IcmpError{net::IcmpErrorKind::kPacketTooBig, snapshot.ports[packet.out_port].mtu_bytes};
    default: return std::nullopt;
  }
}

/// Where an error about the packet leaves: by the port or tunnel it came from. An uplink is the kernel's to send by:
/// for what it brought without a tunnel, the way of all answers, by the route to its sender. kNoPort: there is none.
net::PortId way_back(const net::Packet& packet, const Snapshot& snapshot) noexcept {
  if (snapshot.ports[packet.in_port].kind != PortKind::kUplink) return packet.in_port;
  if (packet.tunnel != net::kNoPort) return packet.tunnel;
  const net::PortId out = packet.headers.l3 == net::L3::kIpv4 ? snapshot.routes.lookup(net::ipv4(packet).source)
                                                              : snapshot.routes.lookup(net::ipv6(packet).source);
  if (is_tunnel(snapshot, out)) return snapshot.outside;  // past the tunnel it came
  return out != net::kNoPort && snapshot.ports[out].kind == PortKind::kUplink ? net::kNoPort : out;
}

/// The link-local gateway speaks for a switch that was given no routable address.
net::IcmpSource error_source(const Gateway& gateway) noexcept {
  return {gateway.mac, gateway.icmp_source_v4.is_unspecified() ? gateway.ipv4 : gateway.icmp_source_v4,
          gateway.icmp_source_v6.is_unspecified() ? gateway.ipv6 : gateway.icmp_source_v6};
}

}  // namespace

Drop answer_arp(net::Packet& packet, const Snapshot& snapshot) noexcept {
  if (!net::is_answerable_arp_request(packet)) return Drop::kArpIgnored;
  const net::ArpPacket& request = net::arp(packet);
  if (net::is_arp_probe(request)) return Drop::kArpIgnored;
  if (!answers_for(request.target_ip, snapshot.gateway.ipv4, snapshot, packet.in_port)) return Drop::kArpIgnored;
  if (!net::make_arp_reply(packet, snapshot.gateway.mac)) return Drop::kArpIgnored;
  return send_back(packet);
}

Drop answer_neighbor_discovery(net::Packet& packet, const Snapshot& snapshot) noexcept {
  const auto solicitation = net::read_neighbor_solicitation(packet);
  if (!solicitation || solicitation->is_duplicate_detection) return Drop::kNdIgnored;
  const net::Ipv6& target = solicitation->target;
  // Link-local addresses are each port's own affair; only the gateway's is ours, whatever the default route says.
  if (target.is_link_local() && target != snapshot.gateway.ipv6) return Drop::kNdIgnored;
  if (!answers_for(target, snapshot.gateway.ipv6, snapshot, packet.in_port)) return Drop::kNdIgnored;
  constexpr bool kIsRouter = true;  // it forwards; a proxied address may be the next hop of a delegated subnet
  if (!net::make_neighbor_advertisement(packet, snapshot.gateway.mac, kIsRouter)) return Drop::kNdIgnored;
  return send_back(packet);
}

Drop answer_to_gateway(net::Packet& packet) noexcept {
  return net::make_echo_reply(packet) ? send_back(packet) : Drop::kGatewayProtocol;
}

ErrorAnswer answer_with_error(net::Packet& packet, const Snapshot& snapshot, RateLimiter& limiter,
                              std::uint64_t now_ns) noexcept {
  const auto error = error_for(packet, snapshot);
  if (!error || !net::may_answer_with_error(packet, error->kind)) return ErrorAnswer::kNone;
  const net::PortId back = way_back(packet, snapshot);
  if (back == net::kNoPort) return ErrorAnswer::kNone;
  if (!limiter.allow(now_ns)) return ErrorAnswer::kLimited;
  const bool is_refused = error->kind == net::IcmpErrorKind::kPortUnreachable;
  const bool is_made = (is_refused && net::make_tcp_reset(packet, snapshot.gateway.mac)) ||
                       net::make_icmp_error(packet, *error, error_source(snapshot.gateway));
  if (!is_made) return ErrorAnswer::kNone;
  complete_checksum(packet);
  if (back != packet.in_port) net::set_macs(packet, snapshot.ports[back].mac, snapshot.gateway.mac);
  packet.out_port = back;
  return ErrorAnswer::kSent;
}

}  // namespace millrace::datapath
