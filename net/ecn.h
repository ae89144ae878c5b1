/// ECN and DSCP of a packet that travels inside another.
///
/// Shape:   a traffic class is the byte that IPv4 calls TOS: DSCP in the upper six bits, ECN in the lower two.
/// Way in:  normal mode: the outer header begins with the inner one's whole byte (RFC 6040 4.1; DSCP: the uniform
///          model of RFC 2983). Way out: the inner DSCP stays (a pipe), the ECN of both is combined by
///          decapsulated_ecn.
/// Thread:  pure functions on the packet's owner.
/// Source:  RFC 6040 figure 4, RFC 3168 section 5, RFC 2983.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::net {

namespace ecn {
inline constexpr std::uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3, kMask = 3;
}

/// The ECN a packet goes on with. nullopt: it must be dropped, its sender would not hear that the underlay is
/// congested.
constexpr std::optional<std::uint8_t> decapsulated_ecn(std::uint8_t inner, std::uint8_t outer) noexcept {
  if (outer == ecn::kCe) {
    if (inner == ecn::kNotEct) return std::nullopt;
    return ecn::kCe;
  }
  // The weaker mark of an outer ECT(1) reaches an inner ECT(0). Everything else stays what it is.
  return inner == ecn::kEct0 && outer == ecn::kEct1 ? ecn::kEct1 : inner;
}

/// Precondition: parsed, IPv4 or IPv6.
inline std::uint8_t traffic_class(const Packet& packet) noexcept {
  if (packet.headers.l3 == L3::kIpv4) [[likely]]
    return ipv4(packet).tos;
  return static_cast<std::uint8_t>(ipv6(packet).version_class_flow.host() >> 20);
}

/// Writes the ECN of a packet; an IPv4 header's checksum follows. Precondition: parsed, IPv4 or IPv6.
inline void set_ecn(Packet& packet, std::uint8_t codepoint) noexcept {
  if (packet.headers.l3 == L3::kIpv4) {
    Ipv4Header& ip = ipv4(packet);
    const Be16 before(static_cast<std::uint16_t>(ip.version_ihl << 8 | ip.tos));
    ip.tos = static_cast<std::uint8_t>((ip.tos & ~ecn::kMask) | codepoint);
    ip.checksum = update_checksum(ip.checksum, before, Be16(static_cast<std::uint16_t>(ip.version_ihl << 8 | ip.tos)));
  } else {
    Ipv6Header& ip = ipv6(packet);
    constexpr std::uint32_t kEcnBits = std::uint32_t{ecn::kMask} << 20;
    ip.version_class_flow = Be32((ip.version_class_flow.host() & ~kEcnBits) | std::uint32_t{codepoint} << 20);
  }
}

}  // namespace millrace::net
