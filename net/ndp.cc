#include "net/ndp.h"

#include <cstring>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::net {
namespace {

constexpr std::uint8_t kHopLimit = 255;  // RFC 4861 3.1: proves that no router forwarded it
constexpr Ipv6 kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
constexpr Mac kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};  // RFC 2464 section 7

/// ff02::1:ff00:0/104 (RFC 4291 2.7.1).
bool is_solicited_node(const Ipv6& address) noexcept {
  constexpr std::array<std::uint8_t, 13> kPrefix{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  return std::memcmp(address.bytes.data(), kPrefix.data(), kPrefix.size()) == 0;
}

/// The source link-layer address, or nothing. False when an option does not fit (RFC 4861 7.1.1).
bool read_options(std::span<const std::uint8_t> options, std::optional<Mac>& source_mac) noexcept {
  while (!options.empty()) {
    if (options.size() < 2) return false;
    const std::size_t size = options[1] * std::size_t{8};
    if (size == 0 || size > options.size()) return false;
    if (options[0] == LinkLayerOption::kSource && size == sizeof(LinkLayerOption)) {
      source_mac = view<LinkLayerOption>(options.data()).mac;
    }
    options = options.subspan(size);
  }
  return true;
}

/// A whole, intact ICMPv6 message that no router has touched, right behind the IPv6 header. Extension headers are
/// refused: RFC 6980 forbids the fragment header here and no sender has use for the others.
bool is_direct_icmpv6(const Packet& packet, std::uint8_t type) noexcept {
  const Headers& headers = packet.headers;
  if (headers.l3 != L3::kIpv6 || headers.l4_protocol != ip_protocol::kIcmpv6 || !headers.has_l4) return false;
  if (headers.icmp_type != type || headers.icmp_code != 0 || headers.ttl != kHopLimit) return false;
  if (headers.l4_offset != headers.l3_offset + sizeof(Ipv6Header)) return false;
  if (headers.l3_offset + headers.l3_length > packet.head_bytes) return false;
  return packet.offload.checksum_partial || l4_checksum_is_right(packet.head(), headers);
}

}  // namespace

std::optional<NeighborSolicitation> read_neighbor_solicitation(const Packet& packet) noexcept {
  if (!is_direct_icmpv6(packet, icmpv6_type::kNeighborSolicitation)) return std::nullopt;
  const auto message = packet.head().subspan(packet.headers.l4_offset, packet.headers.l3_length - sizeof(Ipv6Header));
  const auto* fixed = at<NeighborMessage>(message, 0);
  if (fixed == nullptr || fixed->target.is_multicast() || fixed->target.is_unspecified()) return std::nullopt;

  const Ipv6Header& ip = ipv6(packet);
  NeighborSolicitation found;
  found.source = ip.source;
  found.target = fixed->target;
  if (!read_options(message.subspan(sizeof(NeighborMessage)), found.source_mac)) return std::nullopt;
  found.is_duplicate_detection = ip.source.is_unspecified();
  if (found.is_duplicate_detection && (found.source_mac || !is_solicited_node(ip.destination))) return std::nullopt;
  if (ip.source.is_multicast() || ethernet(packet).source.is_multicast()) return std::nullopt;
  return found;
}

bool make_neighbor_advertisement(Packet& packet, const Mac& own, bool is_router) noexcept {
  const auto asked = read_neighbor_solicitation(packet);
  if (!asked) return false;
  constexpr std::uint16_t kMessageBytes = sizeof(NeighborMessage) + sizeof(LinkLayerOption);
  const std::uint32_t new_bytes = packet.headers.l4_offset + kMessageBytes;
  if (new_bytes > packet.head_bytes + packet.tailroom_bytes()) return false;

  const bool to_all = asked->is_duplicate_detection;
  set_macs(packet, to_all ? kAllNodesMac : ethernet(packet).source, own);
  Ipv6Header& ip = ipv6(packet);
  ip = {.version_class_flow = Be32(6u << 28),
        .payload_length = Be16(kMessageBytes),
        .next_header = ip_protocol::kIcmpv6,
        .hop_limit = kHopLimit,
        .source = asked->target,
        .destination = to_all ? kAllNodes : asked->source};
  std::uint8_t* l4 = packet.data + packet.headers.l4_offset;
  const std::uint32_t flags = (is_router ? NeighborMessage::kRouter : 0) | NeighborMessage::kOverride |
                              (to_all ? 0 : NeighborMessage::kSolicited);
  view<NeighborMessage>(l4) = {.type = icmpv6_type::kNeighborAdvertisement,
                               .code = 0,
                               .checksum = Be16(),
                               .flags = Be32(flags),
                               .target = asked->target};
  view<LinkLayerOption>(l4 + sizeof(NeighborMessage)) = {
      .type = LinkLayerOption::kTarget, .length_units = 1, .mac = own};
  packet.head_bytes = new_bytes;
  packet.length_bytes = new_bytes;
  packet.offload = {};
  return parse(packet.head(), packet.length_bytes, packet.headers) == Drop::kNone &&
         complete_l4_checksum(packet.head(), packet.headers);
}

}  // namespace millrace::net
