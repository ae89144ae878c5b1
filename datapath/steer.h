/// Steering: which worker owns a packet (DESIGN.md section 3).
///
/// Shape:   what a pod sends belongs to the pod's worker. What comes by the host port or an uplink:
///            to a local pod                              the worker of the pod's port
///            to a masquerade port                        the worker that owns the port's block
///            an ICMP error to the masquerade address     the owner of the packet it quotes
///            anything else (frontends, transit)          the worker of the port its answers leave by
///          and what a worker has forwarded goes to the worker of the out port, which alone writes its TX, or to that
///          of the masquerade port it is sent to. So a reply always meets its request's state: owner(request, seen from
///          either end) == owner(reply).
/// Thread:  pure functions, any worker.
#pragma once

#include "datapath/snapshot.h"
#include "nat/translate.h"
#include "net/ip_header.h"

namespace millrace::datapath {

/// Precondition: the snapshot has a port under `out_port`.
inline WorkerId owner(const Snapshot& snapshot, net::PortId out_port) noexcept {
  return snapshot.ports[out_port].worker;
}

/// Where a forwarded packet goes.
template <typename Address>
WorkerId owner_of_destination(const Snapshot& snapshot, const Address& destination, std::uint16_t destination_port,
                              net::PortId out_port) noexcept {
  if (snapshot.nat.holds(destination, destination_port)) [[unlikely]]
    return snapshot.nat.worker_of(destination_port);
  return owner(snapshot, out_port);
}

namespace internal {

inline std::optional<net::FlowKeyV4> quoted_tuple(const net::Packet& packet, net::Ipv4) noexcept {
  return nat::quoted_tuple_v4(packet);
}
inline std::optional<net::FlowKeyV6> quoted_tuple(const net::Packet& packet, const net::Ipv6&) noexcept {
  return nat::quoted_tuple_v6(packet);
}

template <typename Header>
WorkerId steer(const net::Packet& packet, const Header& ip, const Snapshot& snapshot, WorkerId self) noexcept {
  const net::PortId out = snapshot.routes.lookup(ip.destination);
  if (out != net::kNoPort && snapshot.ports[out].kind == PortKind::kPod) return owner(snapshot, out);
  if (ip.destination == snapshot.nat.masquerade(ip.destination)) {
    if (snapshot.nat.holds(ip.destination, packet.headers.destination_port)) {
      return snapshot.nat.worker_of(packet.headers.destination_port);
    }
    const auto quoted = quoted_tuple(packet, ip.destination);
    if (quoted && snapshot.nat.holds(quoted->source, quoted->source_port)) {
      return snapshot.nat.worker_of(quoted->source_port);
    }
  }
  const net::PortId back = snapshot.routes.lookup(ip.source);
  return back != net::kNoPort ? owner(snapshot, back) : self;
}

}  // namespace internal

/// Who tracks a packet that came in by `in`, whose worker is `self`. Precondition: parsed, IPv4 or IPv6, and the ports
/// of a later fragment are known (nat/fragment_table.h).
inline WorkerId steer(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot,
                      WorkerId self) noexcept {
  if (in.kind == PortKind::kPod) [[likely]]
    return self;
  if (packet.headers.l3 == net::L3::kIpv4) return internal::steer(packet, net::ipv4(packet), snapshot, self);
  return internal::steer(packet, net::ipv6(packet), snapshot, self);
}

}  // namespace millrace::datapath
