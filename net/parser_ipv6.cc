#include "net/parser_stages.h"

namespace millrace::net::parser {
namespace {

using Frame = std::span<const std::uint8_t>;

/// Enough for every header RFC 8200 4.1 recommends, each once, destination options twice, and one more.
constexpr unsigned kMostExtensions = 8;

bool is_extension(std::uint8_t next_header) noexcept {
  switch (next_header) {
    case ipv6_next_header::kHopByHop:
    case ipv6_next_header::kRouting:
    case ipv6_next_header::kFragment:
    case ipv6_next_header::kAuthentication:
    case ipv6_next_header::kDestination: return true;
    default: return false;  // ESP and "no next header" end what can be read
  }
}

/// The fragment header at l4_offset: sets l4_protocol and moves l4_offset behind it.
Drop parse_fragment_header(const Ipv6FragmentHeader& fragment, Headers& headers) noexcept {
  headers.l4_protocol = fragment.next_header;
  headers.l4_offset = static_cast<std::uint16_t>(headers.l4_offset + sizeof(Ipv6FragmentHeader));
  // RFC 6946: offset 0 and nothing to come is a whole packet and has nothing to do with other fragments.
  if (fragment.offset_bytes() == 0 && !fragment.more_fragments()) return Drop::kNone;
  const std::uint32_t in_front = headers.l4_offset - headers.l3_offset;
  // The limit holds for the payload length of the whole packet, where neither fixed nor fragment header count.
  const std::uint32_t fixed = in_front - static_cast<std::uint32_t>(sizeof(Ipv6Header) + sizeof(Ipv6FragmentHeader));
  const std::uint32_t carried = headers.l3_length - in_front;
  return check_fragment(fragment.offset_bytes(), fragment.more_fragments(), carried, fixed, headers);
}

/// A routing header that still names hops: type and segments left are bytes 2 and 3 (RFC 8200 4.4).
bool has_hops_left(Frame frame, const Headers& headers) noexcept { return frame[headers.l4_offset + 3u] != 0; }

/// One extension header of kind l4_protocol at l4_offset; moves both to the next.
Drop parse_extension(Frame frame, std::uint32_t end, bool seen_fragment, Headers& headers) noexcept {
  const std::uint8_t kind = headers.l4_protocol;
  constexpr std::uint32_t kSmallest = 8;
  if (end - headers.l4_offset < kSmallest) return Drop::kIpv6BadExtension;
  if (kind == ipv6_next_header::kFragment) {
    if (seen_fragment) return Drop::kIpv6BadExtension;
    return parse_fragment_header(view<Ipv6FragmentHeader>(frame.data() + headers.l4_offset), headers);
  }
  const auto& extension = view<Ipv6Extension>(frame.data() + headers.l4_offset);
  const std::uint32_t bytes = extension.bytes(kind);
  if (bytes > end - headers.l4_offset) return Drop::kIpv6BadExtension;
  if (kind == ipv6_next_header::kRouting && has_hops_left(frame, headers)) return Drop::kSourceRouted;
  headers.l4_protocol = extension.next_header;
  headers.l4_offset = static_cast<std::uint16_t>(headers.l4_offset + bytes);
  return Drop::kNone;
}

}  // namespace

Drop parse_ipv6_extensions(Frame frame, std::uint32_t end, Headers& headers) noexcept {
  bool seen_fragment = false;
  for (unsigned count = 0; is_extension(headers.l4_protocol); ++count) {
    const std::uint8_t kind = headers.l4_protocol;
    if (count == kMostExtensions) return Drop::kIpv6BadExtension;
    if (kind == ipv6_next_header::kHopByHop && count != 0) return Drop::kIpv6BadExtension;  // RFC 8200 4.1: first only
    const Drop drop = parse_extension(frame, end, seen_fragment, headers);
    // RFC 7112: a first fragment holds the whole chain of headers.
    if (drop == Drop::kIpv6BadExtension && headers.is_fragment) return Drop::kFragmentBad;
    if (drop != Drop::kNone) return drop;
    seen_fragment = seen_fragment || kind == ipv6_next_header::kFragment;
    if (headers.is_fragment && !headers.is_first_fragment) break;  // what follows is the middle of something
  }
  return Drop::kNone;
}

Drop parse_ipv6(Frame frame, std::uint32_t total_length, Headers& headers) noexcept {
  headers.l3 = L3::kIpv6;
  if (frame.size() - headers.l3_offset < sizeof(Ipv6Header)) return Drop::kIpv6Truncated;
  const auto& ip = view<Ipv6Header>(frame.data() + headers.l3_offset);
  if (ip.version() != 6) return Drop::kIpv6BadHeader;
  // The switch carries no jumbograms (RFC 2675): payload length 0 is no payload.
  const std::uint32_t l3_length = static_cast<std::uint32_t>(sizeof(Ipv6Header)) + ip.payload_length.host();
  if (headers.l3_offset + l3_length > total_length) return Drop::kIpv6Truncated;
  headers.l3_length = l3_length;
  headers.l4_protocol = ip.next_header;
  headers.ttl = ip.hop_limit;
  headers.l4_offset = static_cast<std::uint16_t>(headers.l3_offset + sizeof(Ipv6Header));
  const std::uint32_t end = readable_end(frame, headers);
  if (is_extension(headers.l4_protocol)) [[unlikely]] {
    if (const Drop drop = parse_ipv6_extensions(frame, end, headers); drop != Drop::kNone) return drop;
    headers.payload_offset = headers.l4_offset;
    if (headers.is_fragment && !headers.is_first_fragment) return Drop::kNone;
  }
  return parse_l4(frame, end, headers);
}

}  // namespace millrace::net::parser
