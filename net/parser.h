/// Parser: one pass over a frame's headers, every read bounds-checked.
///
/// Shape:   input is the contiguous first part of the frame, from the Ethernet destination on. Offsets are bytes
///          from there. A frame may be longer than its IP packet (Ethernet padding): l3_length tells.
/// Thread:  pure functions, any thread. Never allocates, locks, logs or throws.
/// Errors:  a Drop of the parser's group; `headers` then holds what was parsed until there.
/// Source:  IEEE 802.1Q/802.1ad, RFC 791, RFC 8200, RFC 1858, RFC 5722, RFC 9293, RFC 768, RFC 9260, RFC 792, RFC 4443.
#pragma once

#include <cstdint>
#include <span>

#include "net/drop.h"

namespace millrace::net {

/// What stands behind the Ethernet header.
enum class L3 : std::uint8_t { kNone, kArp, kIpv4, kIpv6 };

/// IANA protocol numbers the switch looks into.
namespace ip_protocol {
inline constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58, kSctp = 132;
}

struct Headers {
  L3 l3 = L3::kNone;
  std::uint8_t l4_protocol = 0;      // the last header's protocol number; 0 when l3 is not IP
  std::uint8_t vlan_count = 0;       // 0..2 tags
  std::uint8_t ttl = 0;              // TTL or hop limit as it arrived
  std::uint16_t vlan_id = 0;         // of the outer tag
  std::uint16_t l3_offset = 0;       // first byte of ARP, IPv4 or IPv6
  std::uint16_t l4_offset = 0;       // first byte behind IPv4 options or IPv6 extension headers; 0 when not IP
  std::uint16_t payload_offset = 0;  // first byte behind the TCP, UDP, SCTP or ICMP header; l4_offset for other
                                     // protocols and for fragments that are not the first
  std::uint32_t l3_length = 0;       // bytes of the IP packet, its header included, without Ethernet padding
  std::uint16_t source_port = 0;     // host order; TCP, UDP, SCTP (ICMP echo: identifier in both); 0 elsewhere
  std::uint16_t destination_port = 0;
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  bool is_fragment = false;        // any fragment, the first included
  bool is_first_fragment = false;  // offset 0 and more to come; only then l4 ports are known for a fragment
  bool has_l4 = false;             // the l4 header of a known protocol was parsed
};

/// Parses `frame`. `total_length` >= frame.size() is the whole packet's length when it has more segments (DESIGN.md
/// section 4); length fields are checked against it, headers against `frame`.
Drop parse(std::span<const std::uint8_t> frame, std::uint32_t total_length, Headers& headers) noexcept;

}  // namespace millrace::net
