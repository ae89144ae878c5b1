/// DHCPv4 of pods whose address is leased: carried between a pod's port and the host port, where a server or a relay of
/// the node listens. The one thing the switch does at layer 2.
///
/// Theory:  a client broadcasts from 0.0.0.0 before it has an address (and Debian's dhcp plugin for renewals and the
///          release too); routing and guard.h have no place for that. A port with `dhcp` may send such a frame when
///          nothing in it but the lease is in question: MAC and chaddr its own, source and ciaddr unspecified or its
///          own, no relay, no hop. It leaves as a broadcast by the host port alone, so no other pod hears a client or
///          can be the server. From the host port a server's message goes to the one port with `dhcp` whose MAC is the
///          chaddr. DHCP that is sent to the gateway's MAC, as a client with an address renews by unicast
///          (RFC 2131 4.4.5), is routed like any packet.
/// Shape:   before guard(): a server's frame has the pod's MAC as its destination. It makes no flow and passes no
///          later stage. No snapshot without such a port pays for it. The ports are scanned for the other end: of
///          clients at most kDhcpPerSecond a worker, and a server sends for each no more than an answer.
/// Errors:  kVlanOnPod, kSpoofedMac, kSpoofedAddress, kBadSource as in guard.h; kNotForGateway: a server's frame to a
///          MAC that is not the client's; kDhcpBad, kDhcpNoPort, kDhcpRateLimited; kPacketTooBig.
/// Thread:  a function on the packet's owner. Never allocates.
/// Source:  RFC 2131 sections 2, 4.1 and 4.4; RFC 1542 section 4.1 (what a relay adds).
#pragma once

#include <cstdint>

#include "datapath/rate_limiter.h"
#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Messages of clients that a worker carries. A lease takes two, a renewal one: 250 pods that all begin within a second
/// get theirs with the first retry at the latest (RFC 2131 4.1: after 4 s).
inline constexpr std::uint32_t kDhcpPerSecond = 100;
inline constexpr std::uint32_t kDhcpBurst = 250;

/// Whether frames of the port have to be shown to carry_dhcp().
inline bool may_be_dhcp(const PortEntry& in, const Snapshot& snapshot) noexcept {
  return in.dhcp || (snapshot.has_dhcp && in.kind == PortKind::kHost);
}

/// kNone with out_port set: ready to leave. kNone with out_port kNoPort: not such a frame, goes on to guard().
/// Precondition: parsed, in_port set, out_port == kNoPort, may_be_dhcp().
net::Drop carry_dhcp(net::Packet& packet, const Snapshot& snapshot, RateLimiter& limiter,
                     std::uint64_t now_ns) noexcept;

}  // namespace millrace::datapath
