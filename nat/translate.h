/// Translation: rewriting the tuple of a packet, and of the packet quoted in an ICMP error.
///
/// Shape:   deltas are computed once, when a flow is made; a packet then costs the stores and two incremental
///          checksums. TCP, UDP: a checksum over the pseudo header and ports; 0 of UDP stays 0. ICMP: the identifier;
///          ICMPv6: the identifier and the pseudo header. SCTP: CRC32c over the ports but not the addresses, updated
///          without reading the payload. So damage on the way stays visible to the receiver in all of them. A checksum
///          left to offload (Offload::checksum_partial: the field holds the pseudo header's sum, SCTP's holds 0) stays
///          left: addresses change that sum, ports do not. A fragment that is not the first has no L4 header: addresses
///          alone.
/// Errors:  false: the packet was not changed. A fragment of SCTP whose port changes: the length of the whole, which
///          the CRC needs, is not in its first fragment.
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 1624 eq. 3, RFC 768, RFC 8200 8.1, RFC 9260, RFC 5508 section 4 (ICMP errors through a NAT).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "nat/flow_line.h"
#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::nat {

/// Fills to, l3_delta, l4_delta and kTranslates of a line from its key and the tuple it shall leave with. l3_delta is
/// what the addresses add, for IPv6 too, where only checksums left to offload use it.
/// Precondition: ICMP echo has its identifier in both ports of key and `to`.
void set_translation(FlowLineV4& line, const Translation<net::Ipv4>& to) noexcept;
void set_translation(FlowLineV6& line, const Translation<net::Ipv6>& to) noexcept;

/// Notes in packet.offload a checksum that the sender left to its device (net/checksum.h), and that it is known now.
/// Before the first translate(), after which the field alone does not say it.
void mark_partial(net::Packet& packet) noexcept;

/// Rewrites the packet as its line says; headers.source_port and destination_port follow.
/// Precondition: parsed; the packet's tuple is line.key (or it is a later fragment of such a packet).
bool translate(net::Packet& packet, const FlowLineV4& line) noexcept;
bool translate(net::Packet& packet, const FlowLineV6& line) noexcept;

/// The tuple of the packet that an ICMP or ICMPv6 error quotes, as quoted; nullopt where net::parse_quote() has none.
std::optional<net::FlowKeyV4> quoted_tuple_v4(const net::Packet& packet) noexcept;
std::optional<net::FlowKeyV6> quoted_tuple_v6(const net::Packet& packet) noexcept;

/// Rewrites an ICMP error on its way back along a flow. `line` is the line the quoted packet's replies go by (its key
/// is the reverse of the quoted tuple): the quoted packet becomes what its sender sent, the error's destination follows
/// it, and its source too when the error comes from the translated endpoint itself. All three checksums are kept right;
/// the quoted L4 checksum is updated where it is there. No error, or one without a tuple: nothing is changed.
void translate_icmp_error(net::Packet& packet, const FlowLineV4& line) noexcept;
void translate_icmp_error(net::Packet& packet, const FlowLineV6& line) noexcept;

namespace internal {

/// Whatever is not TCP or UDP with its header.
bool translate_unusual(net::Packet& packet, const FlowLineV4& line) noexcept;
bool translate_unusual(net::Packet& packet, const FlowLineV6& line) noexcept;

inline void set_addresses(net::Packet& packet, const FlowLineV4& line) noexcept {
  net::Ipv4Header& ip = net::ipv4(packet);
  ip.source = line.to.source;
  ip.destination = line.to.destination;
  ip.checksum = net::add_difference(ip.checksum, line.l3_delta);
}
inline void set_addresses(net::Packet& packet, const FlowLineV6& line) noexcept {
  net::Ipv6Header& ip = net::ipv6(packet);
  ip.source = line.to.source;
  ip.destination = line.to.destination;
}

/// The ports of TCP, UDP and SCTP are the first four bytes of their headers.
struct Ports {
  net::Be16 source;
  net::Be16 destination;
};
static_assert(sizeof(Ports) == 4 && net::WireFormat<Ports>);

template <typename Line>
[[gnu::always_inline]] inline bool translate(net::Packet& packet, const Line& line) noexcept {
  if (!line.translates()) return true;
  net::Headers& headers = packet.headers;
  const bool is_tcp = headers.l4_protocol == net::ip_protocol::kTcp;
  const bool is_udp = headers.l4_protocol == net::ip_protocol::kUdp;
  if (!(is_tcp || is_udp) || !headers.has_l4) [[unlikely]]
    return translate_unusual(packet, line);
  set_addresses(packet, line);
  std::uint8_t* l4 = packet.data + headers.l4_offset;
  net::view<Ports>(l4) = {net::Be16(line.to.source_port), net::Be16(line.to.destination_port)};
  headers.source_port = line.to.source_port;
  headers.destination_port = line.to.destination_port;
  auto& field =
      net::view<net::Be16>(l4 + (is_tcp ? offsetof(net::TcpHeader, checksum) : offsetof(net::UdpHeader, checksum)));
  const std::uint16_t old = field.raw();
  if (is_udp && old == 0) return true;  // RFC 768: none was computed
  // A complete checksum is the complement of the sum, one left to offload is a sum, and of the pseudo header alone.
  const bool is_partial = packet.offload.checksum_partial;
  const auto complement = static_cast<std::uint16_t>(is_partial ? 0 : 0xffff);
  const std::uint16_t delta = is_partial ? line.l3_delta : line.l4_delta;
  auto now =
      static_cast<std::uint16_t>(net::add_words(static_cast<std::uint16_t>(old ^ complement), delta) ^ complement);
  if (is_udp && now == 0) now = 0xffff;
  field = net::Be16::from_raw(now);
  return true;
}

}  // namespace internal

inline bool translate(net::Packet& packet, const FlowLineV4& line) noexcept {
  return internal::translate<FlowLineV4>(packet, line);
}
inline bool translate(net::Packet& packet, const FlowLineV6& line) noexcept {
  return internal::translate<FlowLineV6>(packet, line);
}

}  // namespace millrace::nat
