#include "net/icmp.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::net {
namespace {

constexpr std::uint8_t kTtl = 64;                  // RFC 1700
constexpr std::uint8_t kErrorTos = 0xc0;           // RFC 1812 4.3.2.5: precedence 6, internetwork control
constexpr std::uint32_t kMostErrorBytesV4 = 576;   // RFC 1812 4.3.2.3
constexpr std::uint32_t kMostErrorBytesV6 = 1280;  // RFC 4443 2.4 c
constexpr std::uint32_t kErrorHeadersV4 = sizeof(Ipv4Header) + sizeof(IcmpHeader);
constexpr std::uint32_t kErrorHeadersV6 = sizeof(Ipv6Header) + sizeof(IcmpHeader);

struct TypeCode {
  std::uint8_t type;
  std::uint8_t code;
};

TypeCode type_code_v4(IcmpErrorKind kind) noexcept {
  switch (kind) {
    case IcmpErrorKind::kTimeExceeded: return {icmp_type::kTimeExceeded, 0};
    case IcmpErrorKind::kPacketTooBig: return {icmp_type::kUnreachable, 4};
    case IcmpErrorKind::kNoRoute: return {icmp_type::kUnreachable, 0};
    case IcmpErrorKind::kHostUnreachable: return {icmp_type::kUnreachable, 1};
    case IcmpErrorKind::kPortUnreachable: return {icmp_type::kUnreachable, 3};
    case IcmpErrorKind::kProhibited: break;
  }
  return {icmp_type::kUnreachable, 13};
}

TypeCode type_code_v6(IcmpErrorKind kind) noexcept {
  switch (kind) {
    case IcmpErrorKind::kTimeExceeded: return {icmpv6_type::kTimeExceeded, 0};
    case IcmpErrorKind::kPacketTooBig: return {icmpv6_type::kPacketTooBig, 0};
    case IcmpErrorKind::kNoRoute: return {icmpv6_type::kUnreachable, 0};
    case IcmpErrorKind::kHostUnreachable: return {icmpv6_type::kUnreachable, 3};
    case IcmpErrorKind::kPortUnreachable: return {icmpv6_type::kUnreachable, 4};
    case IcmpErrorKind::kProhibited: break;
  }
  return {icmpv6_type::kUnreachable, 1};
}

/// RFC 1812 4.3.2.7: the source must define one host: not zero, loopback, broadcast, multicast or class E.
bool is_single_host(Ipv4 address) noexcept {
  return (address.value.host() >> 24) != 0 && !address.is_loopback() && (address.value.host() >> 28) < 0xe;
}

bool is_single_host(const Ipv6& address) noexcept {
  return !address.is_multicast() && !address.is_unspecified() && !address.is_loopback();
}

/// Errors, and types nobody has defined: they may be errors.
bool is_icmpv4_error(std::uint8_t type) noexcept {
  constexpr std::uint8_t kLastOfRfc1122 = 18;  // address mask reply
  switch (type) {
    case icmp_type::kUnreachable:
    case icmp_type::kSourceQuench:
    case icmp_type::kRedirect:
    case icmp_type::kTimeExceeded:
    case icmp_type::kParameterProblem: return true;
    default: return type > kLastOfRfc1122;
  }
}

bool is_icmpv6_error(std::uint8_t type) noexcept {
  return type < icmpv6_type::kFirstInformational || type == icmpv6_type::kRedirect;
}

bool ipv4_allows_error(const Packet& packet) noexcept {
  const Ipv4Header& ip = ipv4(packet);
  if (!is_single_host(ip.source) || ip.destination.is_multicast() || ip.destination.is_broadcast()) return false;
  if (ethernet(packet).destination.is_multicast()) return false;
  return ip.protocol != ip_protocol::kIcmp || !is_icmpv4_error(packet.headers.icmp_type);
}

bool ipv6_allows_error(const Packet& packet, IcmpErrorKind kind) noexcept {
  const Ipv6Header& ip = ipv6(packet);
  if (!is_single_host(ip.source)) return false;
  const bool to_many = ip.destination.is_multicast() || ethernet(packet).destination.is_multicast();
  if (to_many && kind != IcmpErrorKind::kPacketTooBig) return false;
  return packet.headers.l4_protocol != ip_protocol::kIcmpv6 || !is_icmpv6_error(packet.headers.icmp_type);
}

/// Puts the Ethernet header and its tags `bytes` further to the front, cuts the packet behind `quote_bytes` of IP, and
/// turns the frame round. What lies between is for the caller to fill.
void open_in_front(Packet& packet, std::uint32_t bytes, std::uint32_t quote_bytes, const Mac& own) noexcept {
  std::memmove(packet.data - bytes, packet.data, packet.headers.l3_offset);
  packet.data -= bytes;
  packet.head_bytes = packet.headers.l3_offset + bytes + quote_bytes;
  packet.length_bytes = packet.head_bytes;
  packet.offload = {};
  set_macs(packet, ethernet(packet).source, own);
}

IcmpHeader icmp_error_header(TypeCode type_code, const IcmpError& error) noexcept {
  // Both families have the MTU in the last two bytes: RFC 1191 section 4, and the low half of RFC 4443 3.2's field.
  const std::uint16_t mtu_bytes = error.kind == IcmpErrorKind::kPacketTooBig ? error.mtu_bytes : std::uint16_t{0};
  return {
      .type = type_code.type, .code = type_code.code, .checksum = {}, .identifier = {}, .sequence = Be16(mtu_bytes)};
}

void build_ipv4_error(Packet& packet, const IcmpError& error, const IcmpSource& source, std::uint32_t quote) noexcept {
  const Ipv4 destination = ipv4(packet).source;
  open_in_front(packet, kErrorHeadersV4, quote, source.mac);
  Ipv4Header& ip = ipv4(packet);
  ip = {.version_ihl = 0x45,
        .tos = kErrorTos,
        .total_length = Be16(static_cast<std::uint16_t>(kErrorHeadersV4 + quote)),
        .id = Be16(0),  // RFC 6864: without fragments it says nothing
        .flags_offset = Be16(Ipv4Header::kDontFragment),
        .ttl = kTtl,
        .protocol = ip_protocol::kIcmp,
        .checksum = {},
        .source = source.ipv4,
        .destination = destination};
  set_ipv4_checksum(ip);
  view<IcmpHeader>(packet.data + packet.headers.l3_offset + sizeof(Ipv4Header)) =
      icmp_error_header(type_code_v4(error.kind), error);
}

void build_ipv6_error(Packet& packet, const IcmpError& error, const IcmpSource& source, std::uint32_t quote) noexcept {
  const Ipv6 destination = ipv6(packet).source;
  open_in_front(packet, kErrorHeadersV6, quote, source.mac);
  ipv6(packet) = {.version_class_flow = Be32(6u << 28),
                  .payload_length = Be16(static_cast<std::uint16_t>(sizeof(IcmpHeader) + quote)),
                  .next_header = ip_protocol::kIcmpv6,
                  .hop_limit = kTtl,
                  .source = source.ipv6,
                  .destination = destination};
  view<IcmpHeader>(packet.data + packet.headers.l3_offset + sizeof(Ipv6Header)) =
      icmp_error_header(type_code_v6(error.kind), error);
}

}  // namespace

bool is_icmp_error(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  if (!headers.has_l4) return false;
  if (headers.l4_protocol == ip_protocol::kIcmp) return is_icmpv4_error(headers.icmp_type);
  return headers.l4_protocol == ip_protocol::kIcmpv6 && is_icmpv6_error(headers.icmp_type);
}

bool is_echo_request(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  if (!headers.has_l4 || headers.is_fragment || headers.icmp_code != 0) return false;
  const EthernetHeader& frame = ethernet(packet);
  if (frame.source.is_multicast() || frame.destination.is_multicast()) return false;
  // With options or extension headers the reply would need its own (RFC 1122 3.2.2.6); nobody pings a gateway so.
  if (headers.l3 == L3::kIpv4) {
    const Ipv4Header& ip = ipv4(packet);
    return headers.l4_protocol == ip_protocol::kIcmp && headers.icmp_type == icmp_type::kEchoRequest &&
           ip.version_ihl == 0x45 && is_single_host(ip.source) && is_single_host(ip.destination);
  }
  if (headers.l3 != L3::kIpv6 || headers.l4_protocol != ip_protocol::kIcmpv6) return false;
  const Ipv6Header& ip = ipv6(packet);
  return headers.icmp_type == icmpv6_type::kEchoRequest &&
         headers.l4_offset == headers.l3_offset + sizeof(Ipv6Header) && is_single_host(ip.source) &&
         is_single_host(ip.destination);
}

bool make_echo_reply(Packet& packet) noexcept {
  if (!is_echo_request(packet)) return false;
  const bool is_v4 = packet.headers.l3 == L3::kIpv4;
  set_macs(packet, ethernet(packet).source, ethernet(packet).destination);
  if (is_v4) {
    Ipv4Header& ip = ipv4(packet);
    std::swap(ip.source, ip.destination);
    ip.ttl = kTtl;
    set_ipv4_checksum(ip);
  } else {
    Ipv6Header& ip = ipv6(packet);
    std::swap(ip.source, ip.destination);
    ip.hop_limit = kTtl;
  }
  auto& icmp = view<IcmpHeader>(packet.data + packet.headers.l4_offset);
  const auto type_word = [&icmp] { return Be16(static_cast<std::uint16_t>(icmp.type << 8 | icmp.code)); };
  const Be16 old_word = type_word();
  icmp.type = is_v4 ? icmp_type::kEchoReply : icmpv6_type::kEchoReply;
  // A checksum left to offload holds the pseudo-header sum, which is the same with the addresses swapped.
  if (!packet.offload.checksum_partial) icmp.checksum = update_checksum(icmp.checksum, old_word, type_word());
  packet.headers.icmp_type = icmp.type;
  packet.headers.ttl = kTtl;
  return true;
}

bool may_answer_with_error(const Packet& packet, IcmpErrorKind kind) noexcept {
  const Headers& headers = packet.headers;
  if (headers.is_fragment && !headers.is_first_fragment) return false;
  if (headers.l3 != L3::kIpv4 && headers.l3 != L3::kIpv6) return false;
  if (ethernet(packet).source.is_multicast()) return false;
  return headers.l3 == L3::kIpv4 ? ipv4_allows_error(packet) : ipv6_allows_error(packet, kind);
}

bool make_icmp_error(Packet& packet, const IcmpError& error, const IcmpSource& source) noexcept {
  if (!may_answer_with_error(packet, error.kind)) return false;
  const bool is_v4 = packet.headers.l3 == L3::kIpv4;
  if (is_v4 ? !is_single_host(source.ipv4) : !is_single_host(source.ipv6)) return false;
  const std::uint32_t header_bytes = is_v4 ? kErrorHeadersV4 : kErrorHeadersV6;
  if (packet.headroom_bytes() < header_bytes) return false;

  const std::uint32_t most_bytes = is_v4 ? kMostErrorBytesV4 : kMostErrorBytesV6;
  const std::uint32_t l3_bytes_here = packet.head_bytes - packet.headers.l3_offset;
  const std::uint32_t quote = std::min({packet.headers.l3_length, l3_bytes_here, most_bytes - header_bytes});
  if (is_v4) {
    build_ipv4_error(packet, error, source, quote);
  } else {
    build_ipv6_error(packet, error, source, quote);
  }
  return parse(packet.head(), packet.length_bytes, packet.headers) == Drop::kNone &&
         complete_l4_checksum(packet.head(), packet.headers);
}

}  // namespace millrace::net
