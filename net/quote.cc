#include "net/quote.h"

#include "net/icmp.h"
#include "net/parser_stages.h"
#include "net/wire.h"

namespace millrace::net {
namespace {

using Frame = std::span<const std::uint8_t>;

/// RFC 792: an error quotes at least so much behind the IP header.
constexpr std::uint32_t kLeastL4Bytes = 8;

bool is_error(const Headers& headers) noexcept {
  if (!headers.has_l4) return false;
  if (headers.l3 == L3::kIpv6) {
    return headers.l4_protocol == ip_protocol::kIcmpv6 && headers.icmp_type >= icmpv6_type::kUnreachable &&
           headers.icmp_type <= icmpv6_type::kParameterProblem;
  }
  if (headers.l4_protocol != ip_protocol::kIcmp) return false;
  return headers.icmp_type == icmp_type::kUnreachable || headers.icmp_type == icmp_type::kSourceQuench ||
         headers.icmp_type == icmp_type::kTimeExceeded || headers.icmp_type == icmp_type::kParameterProblem;
}

bool parse_quoted_ipv4(Frame frame, Headers& quote) noexcept {
  const auto* ip = at<Ipv4Header>(frame, quote.l3_offset);
  if (ip == nullptr || ip->version() != 4 || ip->header_bytes() < sizeof(Ipv4Header)) return false;
  if (frame.size() - quote.l3_offset < ip->header_bytes()) return false;
  quote.l3_length = ip->total_length.host();
  if (quote.l3_length < ip->header_bytes() || ip->offset_bytes() != 0) return false;
  quote.is_fragment = ip->more_fragments();
  quote.is_first_fragment = quote.is_fragment;
  quote.l4_protocol = ip->protocol;
  quote.ttl = ip->ttl;
  quote.l4_offset = static_cast<std::uint16_t>(quote.l3_offset + ip->header_bytes());
  return true;
}

bool parse_quoted_ipv6(Frame frame, Headers& quote) noexcept {
  const auto* ip = at<Ipv6Header>(frame, quote.l3_offset);
  if (ip == nullptr || ip->version() != 6) return false;
  quote.l3_length = static_cast<std::uint32_t>(sizeof(Ipv6Header)) + ip->payload_length.host();
  quote.l4_protocol = ip->next_header;
  quote.ttl = ip->hop_limit;
  quote.l4_offset = static_cast<std::uint16_t>(quote.l3_offset + sizeof(Ipv6Header));
  if (parser::parse_ipv6_extensions(frame, parser::readable_end(frame, quote), quote) != Drop::kNone) return false;
  return !quote.is_fragment || quote.is_first_fragment;
}

/// Ports or identifier. False: the protocol has some, and they are not there.
bool parse_quoted_ports(Frame frame, Headers& quote) noexcept {
  quote.payload_offset = quote.l4_offset;
  if (parser::smallest_l4_header_bytes(quote.l3, quote.l4_protocol) == 0) return true;
  if (parser::readable_end(frame, quote) - quote.l4_offset < kLeastL4Bytes) return false;
  const std::uint8_t* l4 = frame.data() + quote.l4_offset;
  quote.has_l4 = true;
  const bool is_icmp = quote.l4_protocol == ip_protocol::kIcmp || quote.l4_protocol == ip_protocol::kIcmpv6;
  if (!is_icmp) {
    quote.source_port = view<Be16>(l4).host();
    quote.destination_port = view<Be16>(l4 + 2).host();
    return true;
  }
  const auto& icmp = view<IcmpHeader>(l4);
  quote.icmp_type = icmp.type;
  quote.icmp_code = icmp.code;
  if (is_echo(quote)) quote.source_port = quote.destination_port = icmp.identifier.host();
  return true;
}

}  // namespace

std::optional<Headers> parse_quote(const Packet& packet) noexcept {
  if (!is_error(packet.headers)) return std::nullopt;
  const Frame frame = packet.head().first(quote_end(packet));
  Headers quote{.l3 = packet.headers.l3, .l3_offset = packet.headers.payload_offset};
  const bool is_v4 = quote.l3 == L3::kIpv4;
  if (!(is_v4 ? parse_quoted_ipv4(frame, quote) : parse_quoted_ipv6(frame, quote))) return std::nullopt;
  if (!parse_quoted_ports(frame, quote)) return std::nullopt;
  return quote;
}

}  // namespace millrace::net
