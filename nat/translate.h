/// Translation: rewriting the tuple of a packet, and of the packet quoted in an ICMP error.
///
/// Shape:   deltas are computed once, when a flow is made; a packet then costs the stores and two incremental checksums.
///          TCP, UDP: header checksum over the pseudo header and ports; 0 of UDP over IPv4 stays 0. ICMP: identifier;
///          ICMPv6: identifier and the pseudo header. SCTP: CRC32c over the ports only: computed anew when a port
///          changes, and left when it does not. A checksum left to offload (Offload::checksum_partial, or the field
///          holds the pseudo header's sum) is kept so: mark_partial() before, the pseudo header's sum is updated.
///          A fragment that is not the first has no L4 header: addresses alone.
/// Errors:  false: the packet was not changed (SCTP that does not lie wholly in its first segment).
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 1624 eq. 3, RFC 768, RFC 8200 8.1, RFC 9260, RFC 5508 section 4 (ICMP errors through a NAT).
#pragma once

#include <cstdint>
#include <optional>

#include "nat/flow_line.h"
#include "net/packet.h"

namespace millrace::nat {

/// Fills to, l3_delta, l4_delta and kTranslates of a line from its key and the tuple it shall leave with.
void set_translation(FlowLineV4& line, const Translation<net::Ipv4>& to) noexcept;
void set_translation(FlowLineV6& line, const Translation<net::Ipv6>& to) noexcept;

/// Notes in packet.offload a checksum that the sender left to its device (net/checksum.h). Once, before translate().
void mark_partial(net::Packet& packet) noexcept;

/// Rewrites the packet as its line says; headers.source_port and destination_port follow.
/// Precondition: parsed; the packet's tuple is line.key (or it is a later fragment of such a packet).
bool translate(net::Packet& packet, const FlowLineV4& line) noexcept;
bool translate(net::Packet& packet, const FlowLineV6& line) noexcept;

/// The tuple of the packet that an ICMP or ICMPv6 error quotes, as quoted; nullopt when it is no error, or quotes less
/// than IP header and ports (RFC 792: 8 bytes), or a fragment that is not the first.
std::optional<net::FlowKeyV4> quoted_tuple_v4(const net::Packet& packet) noexcept;
std::optional<net::FlowKeyV6> quoted_tuple_v6(const net::Packet& packet) noexcept;

/// Rewrites an ICMP error on its way back along a flow. `line` is the line the quoted packet's replies go by (its key is
/// the reverse of the quoted tuple): the quoted packet becomes what its sender sent, the error's destination follows it,
/// and its source too when the error comes from the translated endpoint itself. All three checksums are kept right; the
/// quoted L4 checksum is updated where it is there.
void translate_icmp_error(net::Packet& packet, const FlowLineV4& line) noexcept;
void translate_icmp_error(net::Packet& packet, const FlowLineV6& line) noexcept;

}  // namespace millrace::nat
