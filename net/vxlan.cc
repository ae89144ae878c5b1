#include "net/vxlan.h"

#include <cstddef>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::net {
namespace {

constexpr std::uint8_t kTtl = 64;
constexpr std::uint32_t kEthernetBytes = sizeof(EthernetHeader);
/// From the outer UDP header to the inner IP header.
constexpr std::uint32_t kInsideIpBytes = sizeof(UdpHeader) + sizeof(VxlanHeader) + kEthernetBytes;
constexpr std::uint32_t kOverIpv4Bytes = kEthernetBytes + kVxlanOverIpv4Bytes;
constexpr std::uint32_t kOverIpv6Bytes = kEthernetBytes + kVxlanOverIpv6Bytes;
static_assert(kOverIpv4Bytes == 64, "a cache line");

/// UDP source ports: the dynamic range of RFC 6335, which RFC 7348 recommends.
constexpr std::uint16_t kFirstSourcePort = 49'152;
constexpr unsigned kSourcePortBits = 14;

template <typename T>
T load(const std::uint8_t* bytes) noexcept {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// A port that is the same for all packets of a flow. Multiplied and folded: both factors reach the top bits.
Be16 source_port(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  const std::uint8_t* const l3 = packet.data + headers.l3_offset;
  std::uint64_t ends;
  if (headers.l3 == L3::kIpv4) [[likely]] {
    ends = load<std::uint64_t>(l3 + offsetof(Ipv4Header, source));
  } else {
    const std::uint8_t* const source = l3 + offsetof(Ipv6Header, source);
    ends = (load<std::uint64_t>(source) ^ load<std::uint64_t>(source + 16)) * 0xff51afd7ed558ccd;
    ends ^= load<std::uint64_t>(source + 8) + (load<std::uint64_t>(source + 24) << 1);
  }
  const std::uint64_t rest =
      std::uint64_t{headers.source_port} << 24 | std::uint64_t{headers.destination_port} << 8 | headers.l4_protocol;
  __extension__ using Product = unsigned __int128;
  const Product product = static_cast<Product>(ends ^ 0x9e3779b97f4a7c15) * (rest ^ 0xbf58476d1ce4e5b9);
  const std::uint64_t hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  return Be16(static_cast<std::uint16_t>(kFirstSourcePort + (hash >> (64 - kSourcePortBits))));
}

/// Whether the inner L4 checksum makes what it covers add up to the complement of its pseudo header, and covers all of
/// the inner packet behind its IP headers.
bool is_covered(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  if (!headers.has_l4 || headers.is_fragment) return false;
  if (headers.l4_protocol == ip_protocol::kTcp) return true;
  if (headers.l4_protocol != ip_protocol::kUdp) return false;
  const auto& udp = view<UdpHeader>(static_cast<const std::uint8_t*>(packet.data) + headers.l4_offset);
  return udp.checksum != Be16() && headers.l4_offset + udp.length.host() == headers.l3_offset + headers.l3_length;
}

/// The sum over the inner IP packet as it will arrive; 0 is none that could be made. Its beginning has an even offset.
Sum inner_sum(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  const std::uint8_t* const l3 = packet.data + headers.l3_offset;
  if (!is_covered(packet)) {
    if (packet.head_bytes < headers.l3_offset + headers.l3_length) return 0;
    return sum_bytes({l3, headers.l3_length});
  }
  const std::uint32_t l4_bytes = headers.l3_offset + headers.l3_length - headers.l4_offset;
  const Sum pseudo =
      headers.l3 == L3::kIpv4
          ? pseudo_header_sum(ipv4(packet).source, ipv4(packet).destination, headers.l4_protocol,
                              static_cast<std::uint16_t>(l4_bytes))
          : pseudo_header_sum(ipv6(packet).source, ipv6(packet).destination, headers.l4_protocol, l4_bytes);
  return sum_bytes({l3, static_cast<std::size_t>(headers.l4_offset - headers.l3_offset)}) +
         static_cast<std::uint16_t>(~fold(pseudo));
}

[[gnu::always_inline]] inline void fill_ipv4(Packet& packet, const OuterHeader& outer, std::uint8_t tos, Be16 port,
                                             Be16 inner_type) noexcept {
  std::uint8_t* const at = packet.data;
  std::memcpy(at, outer.bytes.data(), kOverIpv4Bytes);
  auto& ip = view<Ipv4Header>(at + kEthernetBytes);
  const Be16 length(static_cast<std::uint16_t>(packet.headers.l3_length + kVxlanOverIpv4Bytes));
  const Be16 first_word(static_cast<std::uint16_t>(0x4500 | tos));
  ip.tos = tos;
  ip.total_length = length;
  ip.checksum = finish(Sum{outer.fixed_sum} + length.raw() + first_word.raw());
  auto& udp = view<UdpHeader>(at + kEthernetBytes + sizeof(Ipv4Header));
  udp.source_port = port;
  udp.length = Be16(static_cast<std::uint16_t>(packet.headers.l3_length + kInsideIpBytes));
  view<EthernetHeader>(at + kOverIpv4Bytes - kEthernetBytes).type = inner_type;
}

[[gnu::noinline]] void fill_ipv6(Packet& packet, const OuterHeader& outer, std::uint8_t traffic_class, Be16 port,
                                 Be16 inner_type, Sum inner) noexcept {
  std::uint8_t* const at = packet.data;
  std::memcpy(at, outer.bytes.data(), kOverIpv6Bytes);
  auto& ip = view<Ipv6Header>(at + kEthernetBytes);
  const Be16 length(static_cast<std::uint16_t>(packet.headers.l3_length + kInsideIpBytes));
  ip.version_class_flow = Be32(6u << 28 | std::uint32_t{traffic_class} << 20);
  ip.payload_length = length;
  auto& udp = view<UdpHeader>(at + kEthernetBytes + sizeof(Ipv6Header));
  udp.source_port = port;
  udp.length = length;
  view<EthernetHeader>(at + kOverIpv6Bytes - kEthernetBytes).type = inner_type;
  if (inner == 0) return;
  // The length stands in the pseudo header and in the header.
  udp.checksum = finish(Sum{outer.fixed_sum} + port.raw() + length.raw() + length.raw() + inner_type.raw() + inner);
  if (udp.checksum == Be16()) udp.checksum = Be16(0xffff);
}

/// The whole UDP checksum of a packet that is not right: it, or the inner one that it counts on, may have been left to
/// a device.
[[gnu::noinline]] bool is_right_once_completed(Packet& packet) noexcept {
  if (l4_checksum_is_partial(packet.head(), packet.headers)) return true;
  const std::uint32_t shift = packet.headers.payload_offset + sizeof(VxlanHeader);
  const auto inner = packet.head().subspan(shift);
  Headers headers;
  if (parse(inner, packet.length_bytes - shift, headers) != Drop::kNone) return false;
  if (!l4_checksum_is_partial(inner, headers) || !complete_l4_checksum(inner, headers)) return false;
  return l4_checksum_is_right(packet.head(), packet.headers);
}

bool checksum_is_right(Packet& packet) noexcept {
  const auto& udp = view<UdpHeader>(packet.data + packet.headers.l4_offset);
  if (udp.checksum == Be16()) return true;  // RFC 768; over IPv6 RFC 6935
  if (packet.offload.checksum_partial) return true;
  const bool is_here = packet.headers.l4_offset + udp.length.host() <= packet.head_bytes;
  return !is_here || l4_checksum_is_right(packet.head(), packet.headers) || is_right_once_completed(packet);
}

/// The inner frame begins `shift` bytes into the packet; the packet ends there with it.
[[gnu::always_inline]] inline Drop open_at(Packet& packet, std::uint32_t shift, std::uint8_t outer_ecn) noexcept {
  packet.data += shift;
  packet.head_bytes -= shift;
  packet.length_bytes -= shift;
  packet.offload = {};
  packet.checksum_is_known = false;
  const Drop drop = parse(packet.head(), packet.length_bytes, packet.headers);
  if (drop != Drop::kNone) [[unlikely]]
    return drop;
  if (packet.headers.l3 == L3::kArp) return Drop::kNone;
  const std::uint8_t inner_ecn = traffic_class(packet) & ecn::kMask;
  const auto merged = decapsulated_ecn(inner_ecn, outer_ecn);
  if (!merged) [[unlikely]]
    return Drop::kTunnelEcn;
  if (*merged != inner_ecn) [[unlikely]]
    set_ecn(packet, *merged);
  return Drop::kNone;
}

}  // namespace

OuterHeader make_vxlan_header(const VxlanEnds& ends) noexcept {
  OuterHeader outer;
  const bool is_v4 = ends.source.is_v4();
  std::uint8_t* at = outer.bytes.data();
  view<EthernetHeader>(at) = {ends.destination_mac, ends.source_mac, is_v4 ? ether_type::kIpv4 : ether_type::kIpv6};
  at += kEthernetBytes;
  if (is_v4) {
    view<Ipv4Header>(at) = {.version_ihl = 0x45,
                            .tos = 0,
                            .total_length = {},
                            .id = {},
                            .flags_offset = Be16(Ipv4Header::kDontFragment),
                            .ttl = kTtl,
                            .protocol = ip_protocol::kUdp,
                            .checksum = {},
                            .source = ends.source.v4(),
                            .destination = ends.destination.v4()};
    // Without the first word, which has the traffic class.
    outer.fixed_sum = fold(sum_bytes({at + 2, sizeof(Ipv4Header) - 2}));
    at += sizeof(Ipv4Header);
  } else {
    view<Ipv6Header>(at) = {.version_class_flow = Be32(6u << 28),
                            .payload_length = {},
                            .next_header = ip_protocol::kUdp,
                            .hop_limit = kTtl,
                            .source = ends.source.v6(),
                            .destination = ends.destination.v6()};
    at += sizeof(Ipv6Header);
  }
  std::uint8_t* const udp = at;
  view<UdpHeader>(at).destination_port = Be16(ends.udp_port);
  at += sizeof(UdpHeader);
  view<VxlanHeader>(at) = {VxlanHeader::kHasVni, {}, Be32(ends.vni << 8)};
  at += sizeof(VxlanHeader);
  view<EthernetHeader>(at) = {ends.inner_destination, ends.inner_source, {}};
  at += kEthernetBytes;
  if (!is_v4) {
    outer.fixed_sum = fold(pseudo_header_sum(ends.source.v6(), ends.destination.v6(), ip_protocol::kUdp, 0) +
                           sum_bytes({udp, kInsideIpBytes}));
  }
  outer.family = is_v4 ? L3::kIpv4 : L3::kIpv6;
  outer.length_bytes = static_cast<std::uint8_t>(at - outer.bytes.data());
  return outer;
}

OuterHeader make_plain_header(const Mac& destination, const Mac& source) noexcept {
  OuterHeader outer;
  view<EthernetHeader>(outer.bytes.data()) = {destination, source, {}};
  outer.length_bytes = kEthernetBytes;
  return outer;
}

bool encapsulate(Packet& packet, const OuterHeader& outer) noexcept {
  const std::uint32_t before = packet.headers.l3_offset;
  const std::uint32_t after = outer.length_bytes;
  if (packet.headroom_bytes() + before < after) [[unlikely]]
    return false;
  const bool is_v4 = packet.headers.l3 == L3::kIpv4;
  const Be16 type = is_v4 ? ether_type::kIpv4 : ether_type::kIpv6;
  const std::uint8_t inner_class = traffic_class(packet);
  const Be16 port = source_port(packet);
  const Sum inner = outer.family == L3::kIpv6 ? inner_sum(packet) : 0;
  // The frame begins where the header in front of the inner IP packet does, and ends with that packet.
  packet.data = packet.data + before - after;
  const std::uint32_t padding = packet.length_bytes - before - packet.headers.l3_length;
  const bool is_one_segment = packet.head_bytes == packet.length_bytes;
  const std::uint32_t cut = is_one_segment ? padding : 0;
  packet.head_bytes = packet.head_bytes - before + after - cut;
  packet.length_bytes = packet.length_bytes - before + after - cut;
  const auto shifted = [&](std::uint16_t offset) { return static_cast<std::uint16_t>(offset - before + after); };
  packet.headers.l3_offset = static_cast<std::uint16_t>(after);
  packet.headers.l4_offset = shifted(packet.headers.l4_offset);
  packet.headers.payload_offset = shifted(packet.headers.payload_offset);
  packet.headers.vlan_count = 0;
  if (outer.family == L3::kIpv4) [[likely]] {
    fill_ipv4(packet, outer, inner_class, port, type);
  } else if (outer.family == L3::kIpv6) {
    fill_ipv6(packet, outer, inner_class, port, type, inner);
  } else {
    std::memcpy(packet.data, outer.bytes.data(), kEthernetBytes);
    view<EthernetHeader>(packet.data).type = type;
  }
  return true;
}

Drop check_vxlan(Packet& packet, std::uint32_t vni, const Mac& vtep_mac) noexcept {
  const std::uint32_t begin = packet.headers.payload_offset;
  constexpr std::uint32_t kLeastBytes = sizeof(VxlanHeader) + kEthernetBytes;
  const auto& udp = view<UdpHeader>(packet.data + packet.headers.l4_offset);
  if (packet.head_bytes < begin + kLeastBytes || udp.length.host() < sizeof(UdpHeader) + kLeastBytes) [[unlikely]]
    return Drop::kTunnelBadHeader;
  const auto& vxlan = view<VxlanHeader>(packet.data + begin);
  if ((vxlan.flags & VxlanHeader::kHasVni) == 0) [[unlikely]]
    return Drop::kTunnelBadHeader;
  if (vxlan.vni() != vni) [[unlikely]]
    return Drop::kTunnelBadVni;
  if (view<EthernetHeader>(packet.data + begin + sizeof(VxlanHeader)).destination != vtep_mac) [[unlikely]]
    return Drop::kTunnelBadMac;
  return checksum_is_right(packet) ? Drop::kNone : Drop::kTunnelBadChecksum;
}

Drop open_vxlan(Packet& packet) noexcept {
  const std::uint8_t outer_ecn = traffic_class(packet) & ecn::kMask;
  const std::uint32_t begin = packet.headers.payload_offset;
  const auto& udp = view<UdpHeader>(packet.data + packet.headers.l4_offset);
  const std::uint32_t shift = begin + sizeof(VxlanHeader);
  // What follows the datagram is Ethernet's padding, or that of the IP packet (RFC 9868): none of ours.
  const std::uint32_t end = packet.headers.l4_offset + udp.length.host();
  if (packet.head_bytes == packet.length_bytes) packet.head_bytes = packet.length_bytes = end;
  return open_at(packet, shift, outer_ecn);
}

bool is_common_vxlan(const Packet& packet, const Vtep& vtep) noexcept {
  if (packet.head_bytes != packet.length_bytes || packet.head_bytes < kOverIpv4Bytes) [[unlikely]]
    return false;
  const std::uint8_t* const at = packet.data;
  const auto& ip = view<Ipv4Header>(at + kEthernetBytes);
  const auto& udp = view<UdpHeader>(at + kEthernetBytes + sizeof(Ipv4Header));
  const auto& vxlan = view<VxlanHeader>(at + kEthernetBytes + sizeof(Ipv4Header) + sizeof(UdpHeader));
  const auto& inner = view<EthernetHeader>(at + kOverIpv4Bytes - kEthernetBytes);
  // One question for all fields that have one right value.
  constexpr Be16 kFragmentBits(Ipv4Header::kMoreFragments | Ipv4Header::kOffsetMask);
  constexpr Be32 kVniBits(kMaxVni << 8);
  std::uint32_t wrong = view<EthernetHeader>(at).type.raw() ^ ether_type::kIpv4.raw();
  wrong |= ip.version_ihl ^ 0x45u;
  wrong |= ip.protocol ^ std::uint32_t{ip_protocol::kUdp};
  wrong |= ip.flags_offset.raw() & kFragmentBits.raw();
  wrong |= ip.destination.value.raw() ^ vtep.address.value.raw();
  wrong |= udp.destination_port.raw() ^ Be16(vtep.udp_port).raw();
  wrong |= udp.checksum.raw();
  wrong |= (vxlan.flags & VxlanHeader::kHasVni) ^ std::uint32_t{VxlanHeader::kHasVni};
  wrong |= (vxlan.vni_reserved.raw() ^ Be32(vtep.vni << 8).raw()) & kVniBits.raw();
  wrong |= inner.destination != vtep.mac ? 1 : 0;
  if (wrong != 0) [[unlikely]]
    return false;
  const std::uint32_t length = ip.total_length.host();
  return length >= kVxlanOverIpv4Bytes && kEthernetBytes + length <= packet.head_bytes &&
         udp.length.host() == length - sizeof(Ipv4Header) && fold(plain_ipv4_header_sum(ip)) == 0xffff;
}

Drop open_common_vxlan(Packet& packet) noexcept {
  const auto& ip = view<Ipv4Header>(packet.data + kEthernetBytes);
  packet.head_bytes = packet.length_bytes = kEthernetBytes + ip.total_length.host();
  return open_at(packet, kVxlanOverIpv4Bytes, ip.tos & ecn::kMask);
}

}  // namespace millrace::net
