/// Answers: what the switch itself says to its ports: ARP, neighbour discovery, echo, ICMP errors.
///
/// Shape:   an answer is made in place of the packet that asks, complete with MACs and checksums; out_port is the port
///          it came from (of errors about what an uplink brought: the port by which answers leave). Proxy ARP and ND
///          answer with the gateway's MAC for the gateway and for every address that is routed to another port: pods
///          may hold on-link prefixes (delegated IPAM), and the host asks for pods. Never for the port's own addresses
///          and never to a probe or duplicate address detection, which would take the address away from the asker.
/// Thread:  functions on the packet's owner. Never allocate.
/// Source:  RFC 1027, RFC 5227, RFC 4861 7.2, RFC 4389, RFC 792, RFC 4443, RFC 1812 4.3.
#pragma once

#include <cstdint>

#include "datapath/guard.h"
#include "datapath/rate_limiter.h"
#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::datapath {

/// ICMP errors a worker sends (RFC 1812 4.3.2.8, RFC 4443 2.4 f): enough for a traceroute from every pod of a node.
inline constexpr std::uint32_t kIcmpErrorsPerSecond = 1000;
inline constexpr std::uint32_t kIcmpErrorBurst = 100;

/// Packets that are meant for the switch: out_port is set and kNone is returned when it answers, a Drop says why not.
net::Drop answer_arp(net::Packet& packet, const Snapshot& snapshot) noexcept;
net::Drop answer_neighbor_discovery(net::Packet& packet, const Snapshot& snapshot) noexcept;
net::Drop answer_to_gateway(net::Packet& packet) noexcept;

/// kNone with out_port still kNoPort: not for the switch, to be forwarded.
/// Precondition: parsed and guarded, in_port set, out_port == kNoPort.
inline net::Drop answer(net::Packet& packet, const Snapshot& snapshot) noexcept {
  switch (packet.headers.l3) {
    case net::L3::kIpv4:
      if (net::ipv4(packet).destination == snapshot.gateway.ipv4) [[unlikely]]
        return answer_to_gateway(packet);
      return net::Drop::kNone;
    case net::L3::kIpv6:
      if (is_neighbor_discovery(packet.headers)) [[unlikely]]
        return answer_neighbor_discovery(packet, snapshot);
      if (net::ipv6(packet).destination == snapshot.gateway.ipv6) [[unlikely]]
        return answer_to_gateway(packet);
      return net::Drop::kNone;
    case net::L3::kArp: return answer_arp(packet, snapshot);
    case net::L3::kNone: break;
  }
  return net::Drop::kUnknownEtherType;
}

enum class ErrorAnswer : std::uint8_t {
  kNone,     // none is due: the reason has none, or the packet is one nobody may answer so
  kSent,     // the packet has become the error, out_port is set
  kLimited,  // one was due, the limit kept it back
};

/// The ICMP error about a packet that was dropped for `packet.drop`. The packet is as it arrived; out_port is where the
/// route led (its MTU is reported), or kNoPort.
ErrorAnswer answer_with_error(net::Packet& packet, const Snapshot& snapshot, RateLimiter& limiter,
                              std::uint64_t now_ns) noexcept;

}  // namespace millrace::datapath
