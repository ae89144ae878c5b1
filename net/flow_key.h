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
#include <type_traits>

#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::net {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
constexpr std::uint64_t mix64(std::uint64_t v) noexcept {
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
  v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
  return v ^ (v >> 31);
}

namespace internal {

template <class Address>
const auto& ip_header(const Packet& packet) noexcept {
  if constexpr (std::is_same_v<Address, Ipv4>) {
    return ipv4(packet);
  } else {
    return ipv6(packet);
  }
}

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

/// The shorter address leaves room for the port beside it.
inline std::uint64_t hash_endpoint(Ipv4 address, std::uint16_t port) noexcept {
  return std::uint64_t{address.value.raw()} << 16 | port;
}

}  // namespace internal

/// `Address` is Ipv4 or Ipv6.
template <class Address>
struct FlowKey {
  Address source;
  Address destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;

  /// Precondition: the packet was parsed and is of the address's family.
  static FlowKey of(const Packet& packet) noexcept {
    FlowKey key;
    key.read(packet);
    return key;
  }
  /// The same in place: a key that is made elsewhere and copied costs a stall for each read of more bytes than a write.
  void read(const Packet& packet) noexcept {
    const auto& ip = internal::ip_header<Address>(packet);
    const Headers& headers = packet.headers;
    source = ip.source;
    destination = ip.destination;
    source_port = headers.source_port;
    destination_port = headers.destination_port;
    protocol = headers.l4_protocol;
  }
  FlowKey reversed() const noexcept { return {destination, source, destination_port, source_port, protocol}; }
  std::uint64_t symmetric_hash() const noexcept {
    return internal::hash_unordered(internal::hash_endpoint(source, source_port),
                                    internal::hash_endpoint(destination, destination_port), protocol);
  }
  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;
};

using FlowKeyV4 = FlowKey<Ipv4>;
using FlowKeyV6 = FlowKey<Ipv6>;

}  // namespace millrace::net
