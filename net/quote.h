/// Quote: the packet that an ICMP or ICMPv6 error quotes, found and parsed as far as it goes.
///
/// Shape:   Headers of the quoted packet, offsets from the Ethernet header of the error, so that view<T>() works on
///          them. A quote ends where its router ended it: l3_length is what the quoted IP header says, often more than
///          is there; quote_end() is the first byte that is not. payload_offset is l4_offset, vlan_count 0.
///          Ports (of TCP, UDP, SCTP) or the identifier (ICMP echo, in both) are known when has_l4 is set; with a
///          protocol the parser does not look into it is not.
/// Errors:  nullopt: no error message (a redirect is none that anyone forwards); a quoted header that is cut or wrong;
///          less than 8 bytes behind it (RFC 792) where there are ports; a fragment that is not the first.
/// Thread:  pure functions, any thread.
/// Source:  RFC 792, RFC 1812 4.3.2.3, RFC 4443 section 3.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "net/packet.h"

namespace millrace::net {

/// Precondition: the packet was parsed.
std::optional<Headers> parse_quote(const Packet& packet) noexcept;

/// First byte behind what the first segment has of the quote. Precondition: `packet` is the error that quotes.
inline std::uint32_t quote_end(const Packet& packet) noexcept {
  return std::min(packet.head_bytes, packet.headers.l3_offset + packet.headers.l3_length);
}

}  // namespace millrace::net
