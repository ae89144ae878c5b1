#include "net/parser.h"

#include "net/checksum.h"
#include "net/ipv4_options.h"
#include "net/parser_stages.h"
#include "net/wire.h"

namespace millrace::net {
namespace {

using Frame = std::span<const std::uint8_t>;

/// An IPv4 header that is not version 4 with 20 bytes: wrong, or with options.
[[gnu::noinline]] Drop check_unusual_ipv4_header(Frame frame, const Headers& headers) noexcept {
  const auto& ip = view<Ipv4Header>(frame.data() + headers.l3_offset);
  if (ip.version() != 4 || ip.header_bytes() < sizeof(Ipv4Header)) return Drop::kIpv4BadHeader;
  if (frame.size() - headers.l3_offset < ip.header_bytes()) return Drop::kIpv4Truncated;
  if (!ipv4_checksum_is_right(ip)) return Drop::kIpv4BadChecksum;
  Ipv4Options options(frame.subspan(headers.l3_offset + sizeof(Ipv4Header), ip.header_bytes() - sizeof(Ipv4Header)));
  while (options.next()) {
    // RFC 7126 4.3, 4.4: policy and routes are decided on the destination address, which these replace later.
    if (options.type() == Ipv4Options::kLooseSourceRoute || options.type() == Ipv4Options::kStrictSourceRoute) {
      return Drop::kSourceRouted;
    }
  }
  return options.is_malformed() ? Drop::kIpv4BadHeader : Drop::kNone;
}

[[gnu::noinline]] Drop parse_ipv4_fragment(Frame frame, const Ipv4Header& ip, Headers& headers) noexcept {
  const Drop drop = parser::check_fragment(ip.offset_bytes(), ip.more_fragments(),
                                           headers.l3_length - ip.header_bytes(), ip.header_bytes(), headers);
  if (drop != Drop::kNone) return drop;
  headers.payload_offset = headers.l4_offset;
  if (!headers.is_first_fragment) return Drop::kNone;
  return parser::parse_l4(frame, parser::readable_end(frame, headers), headers);
}

[[gnu::always_inline]] inline Drop parse_ipv4(Frame frame, std::uint32_t total_length, Headers& headers) noexcept {
  headers.l3 = L3::kIpv4;
  if (frame.size() - headers.l3_offset < sizeof(Ipv4Header)) [[unlikely]]
    return Drop::kIpv4Truncated;
  const auto& ip = view<Ipv4Header>(frame.data() + headers.l3_offset);
  std::uint32_t header_bytes = sizeof(Ipv4Header);
  if (ip.version_ihl == 0x45) [[likely]] {
    if (fold(plain_ipv4_header_sum(ip)) != 0xffff) [[unlikely]]
      return Drop::kIpv4BadChecksum;
  } else {
    if (const Drop drop = check_unusual_ipv4_header(frame, headers); drop != Drop::kNone) return drop;
    header_bytes = ip.header_bytes();
  }
  const std::uint32_t l3_length = ip.total_length.host();
  if (l3_length < header_bytes) [[unlikely]]
    return Drop::kIpv4BadHeader;
  if (headers.l3_offset + l3_length > total_length) [[unlikely]]
    return Drop::kIpv4Truncated;
  headers.l3_length = l3_length;
  headers.l4_protocol = ip.protocol;
  headers.ttl = ip.ttl;
  headers.l4_offset = static_cast<std::uint16_t>(headers.l3_offset + header_bytes);
  constexpr Be16 kFragmentBits(Ipv4Header::kMoreFragments | Ipv4Header::kOffsetMask);
  if ((ip.flags_offset.raw() & kFragmentBits.raw()) != 0) [[unlikely]]
    return parse_ipv4_fragment(frame, ip, headers);
  return parser::parse_l4(frame, parser::readable_end(frame, headers), headers);
}

Drop parse_arp(Frame frame, Headers& headers) noexcept {
  headers.l3 = L3::kArp;
  const auto* arp = at<ArpPacket>(frame, headers.l3_offset);
  if (arp == nullptr) return Drop::kArpBad;
  if (arp->hardware_type != Be16(ArpPacket::kHardwareEthernet) || arp->protocol_type != ether_type::kIpv4 ||
      arp->hardware_length != sizeof(Mac) || arp->protocol_length != sizeof(Ipv4)) {
    return Drop::kArpBad;
  }
  headers.l3_length = sizeof(ArpPacket);
  return Drop::kNone;
}

bool is_vlan(Be16 type) noexcept { return type == ether_type::kVlan || type == ether_type::kQinQ; }

/// Everything but untagged IPv4.
[[gnu::noinline]] Drop parse_other(Frame frame, std::uint32_t total_length, Be16 type, Headers& headers) noexcept {
  constexpr std::uint8_t kMostTags = 2;
  while (is_vlan(type)) {
    if (headers.vlan_count == kMostTags) return Drop::kVlanTooDeep;
    const auto* tag = at<VlanTag>(frame, headers.l3_offset);
    if (tag == nullptr) return Drop::kFrameTooShort;
    if (headers.vlan_count == 0) headers.vlan_id = tag->id();
    ++headers.vlan_count;
    headers.l3_offset = static_cast<std::uint16_t>(headers.l3_offset + sizeof(VlanTag));
    type = tag->type;
  }
  if (type == ether_type::kIpv6) return parser::parse_ipv6(frame, total_length, headers);
  if (type == ether_type::kIpv4) return parse_ipv4(frame, total_length, headers);
  if (type == ether_type::kArp) return parse_arp(frame, headers);
  return Drop::kUnknownEtherType;  // IEEE 802.3 lengths (below ether_type::kSmallest) included
}

}  // namespace

Drop parse(std::span<const std::uint8_t> frame, std::uint32_t total_length, Headers& headers) noexcept {
  headers = Headers{};
  if (frame.size() < sizeof(EthernetHeader)) [[unlikely]]
    return Drop::kFrameTooShort;
  headers.l3_offset = sizeof(EthernetHeader);
  const Be16 type = view<EthernetHeader>(frame.data()).type;
  if (type == ether_type::kIpv4) [[likely]]
    return parse_ipv4(frame, total_length, headers);
  return parse_other(frame, total_length, type, headers);
}

}  // namespace millrace::net
