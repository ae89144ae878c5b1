/// The stages of parse() that both IP families share or that lie in their own file. Included by parser*.cc and
/// quote.cc only.
///
/// Shape:   `end` is the first byte behind what may be read of the IP packet: inside the frame's first segment, and not
///          in the Ethernet padding. Every stage needs headers.l3_offset and l3_length set.
/// Source:  see parser.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "net/parser.h"
#include "net/wire.h"

namespace millrace::net::parser {

/// IPv6 from headers.l3_offset on, extension headers and L4 included.
Drop parse_ipv6(std::span<const std::uint8_t> frame, std::uint32_t total_length, Headers& headers) noexcept;

/// The IPv6 extension headers from headers.l4_offset on, the first of kind l4_protocol; moves both to what follows
/// them. Stops behind the fragment header of a fragment that is not the first.
Drop parse_ipv6_extensions(std::span<const std::uint8_t> frame, std::uint32_t end, Headers& headers) noexcept;

inline std::uint32_t readable_end(std::span<const std::uint8_t> frame, const Headers& headers) noexcept {
  return std::min(static_cast<std::uint32_t>(frame.size()), headers.l3_offset + headers.l3_length);
}

/// Bytes of the smallest header of a protocol the parser knows, else 0.
inline std::uint32_t smallest_l4_header_bytes(L3 l3, std::uint8_t protocol) noexcept {
  switch (protocol) {
    case ip_protocol::kTcp: return sizeof(TcpHeader);
    case ip_protocol::kUdp: return sizeof(UdpHeader);
    case ip_protocol::kSctp: return sizeof(SctpHeader);
    case ip_protocol::kIcmp: return l3 == L3::kIpv4 ? sizeof(IcmpHeader) : 0;
    case ip_protocol::kIcmpv6: return l3 == L3::kIpv6 ? sizeof(IcmpHeader) : 0;
    default: return 0;
  }
}

/// Sets the fragment fields and checks offset and length. `unit_bytes` are the bytes of the datagram this fragment
/// carries, `fixed_bytes` those in front that all fragments repeat and that count to the 65535 of the whole.
inline Drop check_fragment(std::uint32_t offset_bytes, bool more, std::uint32_t unit_bytes, std::uint32_t fixed_bytes,
                           Headers& headers) noexcept {
  headers.is_fragment = true;
  headers.is_first_fragment = offset_bytes == 0;
  if (unit_bytes == 0) return Drop::kFragmentBad;
  if (more && unit_bytes % 8 != 0) return Drop::kFragmentBad;
  if (fixed_bytes + offset_bytes + unit_bytes > 0xffff) return Drop::kFragmentBad;  // "ping of death"
  // RFC 1858 and RFC 3128: a fragment that starts inside the L4 header could overwrite what a policy has seen of it.
  if (offset_bytes != 0 && offset_bytes < smallest_l4_header_bytes(headers.l3, headers.l4_protocol)) {
    return Drop::kFragmentBad;
  }
  return Drop::kNone;
}

/// A header that does not fit: in a first fragment that is the tiny fragment of RFC 1858 (and RFC 7112 for IPv6).
inline Drop l4_truncated(const Headers& headers) noexcept {
  return headers.is_fragment ? Drop::kFragmentBad : Drop::kL4Truncated;
}

inline Drop parse_tcp(std::span<const std::uint8_t> frame, std::uint32_t room, Headers& headers) noexcept {
  if (room < sizeof(TcpHeader)) [[unlikely]]
    return l4_truncated(headers);
  const auto& tcp = view<TcpHeader>(frame.data() + headers.l4_offset);
  if (tcp.header_bytes() < sizeof(TcpHeader)) [[unlikely]]
    return Drop::kL4BadHeader;
  if (tcp.header_bytes() > room) [[unlikely]]
    return l4_truncated(headers);
  headers.source_port = tcp.source_port.host();
  headers.destination_port = tcp.destination_port.host();
  headers.payload_offset = static_cast<std::uint16_t>(headers.l4_offset + tcp.header_bytes());
  headers.has_l4 = true;
  return Drop::kNone;
}

/// The length must hold the header and lie inside the IP packet, which may be longer (RFC 9868 puts options there). 0,
/// which RFC 2675 gives to jumbograms, is refused: the switch carries none, and without a length nobody can check it.
inline Drop parse_udp(std::span<const std::uint8_t> frame, std::uint32_t room, Headers& headers) noexcept {
  if (room < sizeof(UdpHeader)) [[unlikely]]
    return l4_truncated(headers);
  const auto& udp = view<UdpHeader>(frame.data() + headers.l4_offset);
  const std::uint32_t length_bytes = udp.length.host();
  const std::uint32_t ip_payload_bytes = headers.l3_offset + headers.l3_length - headers.l4_offset;
  if (length_bytes < sizeof(UdpHeader)) [[unlikely]]
    return Drop::kL4BadHeader;
  if (length_bytes > ip_payload_bytes && !headers.is_fragment) [[unlikely]]
    return Drop::kL4BadHeader;
  headers.source_port = udp.source_port.host();
  headers.destination_port = udp.destination_port.host();
  headers.payload_offset = static_cast<std::uint16_t>(headers.l4_offset + sizeof(UdpHeader));
  headers.has_l4 = true;
  return Drop::kNone;
}

inline Drop parse_sctp(std::span<const std::uint8_t> frame, std::uint32_t room, Headers& headers) noexcept {
  if (room < sizeof(SctpHeader)) [[unlikely]]
    return l4_truncated(headers);
  const auto& sctp = view<SctpHeader>(frame.data() + headers.l4_offset);
  headers.source_port = sctp.source_port.host();
  headers.destination_port = sctp.destination_port.host();
  headers.payload_offset = static_cast<std::uint16_t>(headers.l4_offset + sizeof(SctpHeader));
  headers.has_l4 = true;
  return Drop::kNone;
}

/// ICMP and ICMPv6. `echo_request` and `echo_reply` are the types whose identifier stands for a port.
inline Drop parse_icmp(std::span<const std::uint8_t> frame, std::uint32_t room, std::uint8_t echo_request,
                       std::uint8_t echo_reply, Headers& headers) noexcept {
  if (room < sizeof(IcmpHeader)) [[unlikely]]
    return l4_truncated(headers);
  const auto& icmp = view<IcmpHeader>(frame.data() + headers.l4_offset);
  headers.icmp_type = icmp.type;
  headers.icmp_code = icmp.code;
  if (icmp.type == echo_request || icmp.type == echo_reply) {
    headers.source_port = icmp.identifier.host();
    headers.destination_port = headers.source_port;
  }
  headers.payload_offset = static_cast<std::uint16_t>(headers.l4_offset + sizeof(IcmpHeader));
  headers.has_l4 = true;
  return Drop::kNone;
}

/// The header at headers.l4_offset <= end. ICMP inside IPv6 and ICMPv6 inside IPv4 mean nothing and are not read.
inline Drop parse_l4(std::span<const std::uint8_t> frame, std::uint32_t end, Headers& headers) noexcept {
  const std::uint32_t room = end - headers.l4_offset;
  const std::uint8_t protocol = headers.l4_protocol;
  if (protocol == ip_protocol::kTcp) return parse_tcp(frame, room, headers);
  if (protocol == ip_protocol::kUdp) return parse_udp(frame, room, headers);
  headers.payload_offset = headers.l4_offset;
  if (protocol == ip_protocol::kSctp) return parse_sctp(frame, room, headers);
  if (protocol == ip_protocol::kIcmp && headers.l3 == L3::kIpv4) {
    return parse_icmp(frame, room, icmp_type::kEchoRequest, icmp_type::kEchoReply, headers);
  }
  if (protocol == ip_protocol::kIcmpv6 && headers.l3 == L3::kIpv6) {
    return parse_icmp(frame, room, icmpv6_type::kEchoRequest, icmpv6_type::kEchoReply, headers);
  }
  return Drop::kNone;
}

}  // namespace millrace::net::parser
