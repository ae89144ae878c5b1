/// IPv4 fragmentation, and what the fragments of either family have in common.
///
/// Shape:   the packet lies wholly in its first segment, its L4 checksum is complete. Fragments are written to packets
///          the caller allocated; the original is not changed and stays the caller's. Each fragment carries the
///          original's Ethernet header and VLAN tags; the first all options, the others those with the copy bit.
/// Thread:  pure functions on the packets' owner. Never allocate.
/// Errors:  see fragment_ipv4. IPv6 is never fragmented on the way (RFC 8200 section 5).
/// Source:  RFC 791 section 3.2 (example procedure, page 26), RFC 8200 section 4.5.
#pragma once

#include <cstdint>
#include <span>

#include "net/packet.h"

namespace millrace::net {

/// How many fragments of at most `mtu_bytes` (IP header included) the packet makes; 1 when it fits as it is; 0 when it
/// may not or cannot be fragmented: not IPv4, don't fragment set, more than one segment, checksum left to offload, or
/// an MTU that holds no 8 bytes of payload.
unsigned count_ipv4_fragments(const Packet& packet, std::uint32_t mtu_bytes) noexcept;

/// Writes the fragments in order to out[0..n). Returns n, which is count_ipv4_fragments(). Fragments of a fragment keep
/// its place in the original datagram. `headers` of each are parsed; in_port and out_port are copied.
/// 0, and `out` is to be released: the count is 0, `out` is shorter than it, a packet of `out` has too little room, or
/// the MTU is so small that the first fragment would not hold the L4 header (RFC 1858 has receivers drop it).
unsigned fragment_ipv4(const Packet& packet, std::uint32_t mtu_bytes, std::span<Packet* const> out) noexcept;

/// The identification that the fragments of one packet share: 16 bits of IPv4, 32 of IPv6's fragment header.
/// Precondition: parsed, headers.is_fragment.
std::uint32_t fragment_id(const Packet& packet) noexcept;

}  // namespace millrace::net
