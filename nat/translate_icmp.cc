// ICMP errors through a translation (RFC 5508 section 4): the error's own addresses, and the packet it quotes.
//
// Every word that changes adds its difference to the sum of what covers it: the quoted L4 checksum covers the quoted
// addresses and ports, the error's checksum covers the whole quote, that checksum included. So nothing is summed anew,
// the error may end anywhere, and damage to it stays visible.

#include "nat/translate.h"
#include "net/icmp.h"
#include "net/quote.h"

namespace millrace::nat {
namespace {

using namespace net;

/// Writes `to`; what that adds to a sum the field is part of.
template <typename Field>
Sum replace(Field& field, Field to) noexcept {
  const Sum change = difference(field, to);
  field = to;
  return change;
}

/// A checksum field of the quote, and whether the quote goes so far.
template <typename Header>
bool has_checksum(const Headers& quote, std::uint32_t end) noexcept {
  return quote.l4_offset + offsetof(Header, checksum) + sizeof(Header::checksum) <= end;
}

Sum update_quoted_checksum(Packet& packet, const Headers& quote, Sum covered) noexcept {
  std::uint8_t* l4 = packet.data + quote.l4_offset;
  const std::uint16_t delta = fold_difference(covered);
  if (quote.l4_protocol == ip_protocol::kTcp) {
    if (!has_checksum<TcpHeader>(quote, quote_end(packet))) return 0;
    Be16& field = view<TcpHeader>(l4).checksum;
    return replace(field, add_difference(field, delta));
  }
  if (quote.l4_protocol != ip_protocol::kUdp) {
    Be16& field = view<IcmpHeader>(l4).checksum;  // in the 8 bytes that are always there, as that of UDP
    return replace(field, add_difference(field, delta));
  }
  Be16& field = view<UdpHeader>(l4).checksum;
  if (field == Be16()) return 0;  // RFC 768: none was computed
  const Be16 updated = add_difference(field, delta);
  return replace(field, updated == Be16() ? Be16(0xffff) : updated);
}

template <typename Line>
Sum restore_quoted_sctp(Packet& packet, const Headers& quote, const Line& line) noexcept {
  auto& sctp = view<SctpHeader>(packet.data + quote.l4_offset);
  const Be32 before = view<Be32>(packet.data + quote.l4_offset);
  Sum change = replace(sctp.source_port, Be16(line.to.destination_port));
  change += replace(sctp.destination_port, Be16(line.to.source_port));
  const bool has_crc = has_checksum<SctpHeader>(quote, quote_end(packet)) && sctp.checksum != Be32();
  if (!has_crc || quote.is_fragment) return change;
  // The CRC is that of the whole packet, however little of it is quoted.
  const std::uint32_t sctp_bytes = quote.l3_offset + quote.l3_length - quote.l4_offset;
  const Be32 after = view<Be32>(packet.data + quote.l4_offset);
  return change + replace(sctp.checksum, update_sctp_checksum(sctp.checksum, before, after, sctp_bytes));
}

/// The ports or identifier as their sender sent them. `addresses`: what the quoted addresses have added to a sum.
template <typename Line>
Sum restore_quoted_l4(Packet& packet, const Headers& quote, const Line& line, Sum addresses) noexcept {
  if (!quote.has_l4) return 0;
  if (quote.l4_protocol == ip_protocol::kSctp) return restore_quoted_sctp(packet, quote, line);
  std::uint8_t* l4 = packet.data + quote.l4_offset;
  Sum covered = quote.l4_protocol == ip_protocol::kIcmp ? 0 : addresses;  // RFC 792: no pseudo header
  Sum change = 0;
  if (quote.l4_protocol == ip_protocol::kTcp || quote.l4_protocol == ip_protocol::kUdp) {
    auto& ports = view<internal::Ports>(l4);
    change = replace(ports.source, Be16(line.to.destination_port));
    change += replace(ports.destination, Be16(line.to.source_port));
  } else if (is_echo(quote)) {
    change = replace(view<IcmpHeader>(l4).identifier, Be16(line.to.destination_port));
  }
  return change + update_quoted_checksum(packet, quote, covered + change);
}

void update_header_checksum(Ipv4Header& ip, Sum addresses) noexcept {
  ip.checksum = add_difference(ip.checksum, fold_difference(addresses));
}
void update_header_checksum(Ipv6Header&, Sum) noexcept {}

template <typename Header, typename Line>
void translate_error(Packet& packet, const Line& line) noexcept {
  const auto quote = parse_quote(packet);
  if (!quote) return;
  // What changes in a quoted IPv4 header, its checksum included, adds nothing: its sum is what it was.
  auto& quoted = view<Header>(packet.data + quote->l3_offset);
  const Sum quoted_addresses =
      replace(quoted.source, line.to.destination) + replace(quoted.destination, line.to.source);
  update_header_checksum(quoted, quoted_addresses);
  Sum change = restore_quoted_l4(packet, *quote, line, quoted_addresses);

  auto& ip = view<Header>(packet.data + packet.headers.l3_offset);
  Sum addresses = replace(ip.destination, line.to.destination);
  if (ip.source == line.key.source) addresses += replace(ip.source, line.to.source);
  update_header_checksum(ip, addresses);
  // ICMPv6 has both: the quoted addresses in its payload, the error's own in its pseudo header.
  if constexpr (std::is_same_v<Header, Ipv6Header>) change += quoted_addresses + addresses;
  auto& icmp = view<IcmpHeader>(packet.data + packet.headers.l4_offset);
  icmp.checksum = add_difference(icmp.checksum, fold_difference(change));
}

template <typename Key, typename Header>
std::optional<Key> quoted_tuple(const Packet& packet) noexcept {
  const auto quote = parse_quote(packet);
  if (!quote) return std::nullopt;
  const auto& ip = view<Header>(static_cast<const std::uint8_t*>(packet.data) + quote->l3_offset);
  return Key{ip.source, ip.destination, quote->source_port, quote->destination_port, quote->l4_protocol};
}

}  // namespace

std::optional<FlowKeyV4> quoted_tuple_v4(const Packet& packet) noexcept {
  if (packet.headers.l3 != L3::kIpv4) return std::nullopt;
  return quoted_tuple<FlowKeyV4, Ipv4Header>(packet);
}

std::optional<FlowKeyV6> quoted_tuple_v6(const Packet& packet) noexcept {
  if (packet.headers.l3 != L3::kIpv6) return std::nullopt;
  return quoted_tuple<FlowKeyV6, Ipv6Header>(packet);
}

void translate_icmp_error(Packet& packet, const FlowLineV4& line) noexcept {
  translate_error<Ipv4Header>(packet, line);
}
void translate_icmp_error(Packet& packet, const FlowLineV6& line) noexcept {
  translate_error<Ipv6Header>(packet, line);
}

}  // namespace millrace::nat
