#include "nat/translate.h"

#include "net/icmp.h"

namespace millrace::nat {
namespace {

using namespace net;

template <typename Line>
void set_translation_of(Line& line, const Translation<typename Line::Address>& to) noexcept {
  const auto& key = line.key;
  line.to = to;
  const Translation<typename Line::Address> as_it_is{key.source, key.destination, key.source_port,
                                                     key.destination_port};
  line.flags = static_cast<std::uint8_t>(to == as_it_is ? line.flags & ~line_flag::kTranslates
                                                        : line.flags | line_flag::kTranslates);
  const Sum addresses = difference(key.source, to.source) + difference(key.destination, to.destination);
  const Sum source_port = difference(Be16(key.source_port), Be16(to.source_port));
  const Sum destination_port = difference(Be16(key.destination_port), Be16(to.destination_port));
  line.l3_delta = fold_difference(addresses);
  switch (key.protocol) {
    case ip_protocol::kTcp:
    case ip_protocol::kUdp: line.l4_delta = fold_difference(addresses + source_port + destination_port); break;
    case ip_protocol::kIcmp: line.l4_delta = fold_difference(source_port); break;
    case ip_protocol::kIcmpv6: line.l4_delta = fold_difference(addresses + source_port); break;
    default: line.l4_delta = 0; break;  // SCTP: no sum; others: not looked into
  }
}

/// False: nothing was changed.
template <typename Line>
bool translate_sctp(Packet& packet, const Line& line) noexcept {
  const Headers& headers = packet.headers;
  auto& sctp = view<SctpHeader>(packet.data + headers.l4_offset);
  auto& ports = view<Be32>(packet.data + headers.l4_offset);
  const bool ports_change =
      line.to.source_port != line.key.source_port || line.to.destination_port != line.key.destination_port;
  if (!ports_change) return true;
  const bool is_left = packet.offload.checksum_partial || sctp.checksum == Be32();
  if (headers.is_fragment && !is_left) return false;
  const Be32 before = ports;
  sctp.source_port = Be16(line.to.source_port);
  sctp.destination_port = Be16(line.to.destination_port);
  if (is_left) return true;
  const std::uint32_t sctp_bytes = headers.l3_offset + headers.l3_length - headers.l4_offset;
  sctp.checksum = update_sctp_checksum(sctp.checksum, before, ports, sctp_bytes);
  return true;
}

template <typename Line>
bool translate_unusual_of(Packet& packet, const Line& line) noexcept {
  Headers& headers = packet.headers;
  const bool is_icmpv6 = headers.l4_protocol == ip_protocol::kIcmpv6 && headers.l3 == L3::kIpv6;
  if (headers.has_l4 && headers.l4_protocol == ip_protocol::kSctp) {
    if (!translate_sctp(packet, line)) return false;
  } else if (headers.has_l4) {
    auto& icmp = view<IcmpHeader>(packet.data + headers.l4_offset);
    if (is_echo(headers)) {
      icmp.identifier = Be16(line.to.source_port);
      icmp.checksum = add_difference(icmp.checksum, line.l4_delta);
    } else if (is_icmpv6) {  // no identifier: what the pseudo header adds
      icmp.checksum = add_difference(icmp.checksum, line.l3_delta);
    }
  }
  internal::set_addresses(packet, line);
  headers.source_port = line.to.source_port;
  headers.destination_port = line.to.destination_port;
  return true;
}

}  // namespace

namespace internal {

bool translate_unusual(Packet& packet, const FlowLineV4& line) noexcept { return translate_unusual_of(packet, line); }
bool translate_unusual(Packet& packet, const FlowLineV6& line) noexcept { return translate_unusual_of(packet, line); }

}  // namespace internal

void set_translation(FlowLineV4& line, const Translation<Ipv4>& to) noexcept { set_translation_of(line, to); }
void set_translation(FlowLineV6& line, const Translation<Ipv6>& to) noexcept { set_translation_of(line, to); }

void mark_partial(Packet& packet) noexcept {
  if (packet.offload.checksum_partial || packet.checksum_is_known) return;
  packet.checksum_is_known = true;
  packet.offload.checksum_partial = l4_checksum_is_partial(packet.head(), packet.headers);
}

}  // namespace millrace::nat
