/// Flow keys: the 5-tuple of a packet, and a hash that is the same for both directions.
///
/// Shape:   addresses in network order, ports in host order as Headers has them. Packets without L4 (other protocols,
///          later fragments) have ports 0. Keys compare by value.
/// Hash:    symmetric: hash(key) == hash(key.reversed()), so a request and its reply find the same owner (DESIGN.md
///          section 3). The two endpoints are put in order first and then mixed; adding or XORing them would make
///          10.0.0.1 -> 10.0.0.2 and 10.0.0.3 -> 10.0.0.0 collide. Not keyed: it spreads, it does not defend.
/// Thread:  plain values, any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>

#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::net {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
constexpr std::uint64_t mix64(std::uint64_t v) noexcept {
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
  v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
  return v ^ (v >> 31);
}

struct FlowKeyV4 {
  Ipv4 source;
  Ipv4 destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;

  /// Precondition: the packet was parsed and is IPv4.
  static FlowKeyV4 of(const Packet& packet) noexcept {
    const Ipv4Header& ip = ipv4(packet);
    const Headers& headers = packet.headers;
    return {ip.source, ip.destination, headers.source_port, headers.destination_port, headers.l4_protocol};
  }
  FlowKeyV4 reversed() const noexcept { return {destination, source, destination_port, source_port, protocol}; }
  std::uint64_t symmetric_hash() const noexcept;
  friend auto operator<=>(const FlowKeyV4&, const FlowKeyV4&) = default;
};

struct FlowKeyV6 {
  Ipv6 source;
  Ipv6 destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;

  /// Precondition: the packet was parsed and is IPv6.
  static FlowKeyV6 of(const Packet& packet) noexcept {
    const Ipv6Header& ip = ipv6(packet);
    const Headers& headers = packet.headers;
    return {ip.source, ip.destination, headers.source_port, headers.destination_port, headers.l4_protocol};
  }
  FlowKeyV6 reversed() const noexcept { return {destination, source, destination_port, source_port, protocol}; }
  std::uint64_t symmetric_hash() const noexcept;
  friend auto operator<=>(const FlowKeyV6&, const FlowKeyV6&) = default;
};

namespace internal {

/// Same value for (a, b) and (b, a).
constexpr std::uint64_t hash_unordered(std::uint64_t a, std::uint64_t b, std::uint8_t protocol) noexcept {
  const std::uint64_t low = a < b ? a : b;
  const std::uint64_t high = a < b ? b : a;
  return mix64(mix64(low + protocol * 0x9e3779b97f4a7c15) ^ high);
}

inline std::uint64_t hash_endpoint(const Ipv6& address, std::uint16_t port) noexcept {
  std::uint64_t halves[2];
  std::memcpy(halves, address.bytes.data(), sizeof halves);
  return mix64(mix64(halves[0] + 0x9e3779b97f4a7c15) ^ halves[1]) + port;
}

}  // namespace internal

inline std::uint64_t FlowKeyV4::symmetric_hash() const noexcept {
  return internal::hash_unordered(std::uint64_t{source.value.raw()} << 16 | source_port,
                                  std::uint64_t{destination.value.raw()} << 16 | destination_port, protocol);
}

inline std::uint64_t FlowKeyV6::symmetric_hash() const noexcept {
  return internal::hash_unordered(internal::hash_endpoint(source, source_port),
                                  internal::hash_endpoint(destination, destination_port), protocol);
}

}  // namespace millrace::net
