/// MAC, IPv4 and IPv6 addresses and prefixes.
///
/// Shape:   the bytes of the wire, network order, alignment 1, so they stand in wire structs as they are.
///          Text forms: MAC aa:bb:cc:dd:ee:ff, IPv4 dotted quad, IPv6 RFC 5952, prefix ADDRESS/LENGTH.
/// Thread:  plain values, any thread. Parsing and formatting allocate: control code only.
/// Errors:  parsing returns kInvalidArgument with the text it was given and what is allowed.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "net/byte_order.h"
#include "net/result.h"

namespace millrace::net {

struct Mac {
  std::array<std::uint8_t, 6> bytes{};

  static Result<Mac> parse(std::string_view text);
  std::string to_string() const;
  bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }  // broadcast included
  friend auto operator<=>(const Mac&, const Mac&) = default;
  /// In registers: the default one is a call of memcmp, and every packet compares two.
  friend bool operator==(const Mac& a, const Mac& b) noexcept {
    std::uint32_t a_head, b_head;
    std::uint16_t a_tail, b_tail;
    std::memcpy(&a_head, a.bytes.data(), 4);
    std::memcpy(&b_head, b.bytes.data(), 4);
    std::memcpy(&a_tail, a.bytes.data() + 4, 2);
    std::memcpy(&b_tail, b.bytes.data() + 4, 2);
    return ((a_head ^ b_head) | static_cast<std::uint32_t>(a_tail ^ b_tail)) == 0;
  }
};

struct Ipv4 {
  Be32 value;

  static Result<Ipv4> parse(std::string_view text);
  static constexpr Ipv4 from_host(std::uint32_t host_order) noexcept { return Ipv4{Be32(host_order)}; }
  std::string to_string() const;
  bool is_multicast() const noexcept { return (value.host() >> 28) == 0xe; }
  bool is_broadcast() const noexcept { return value.host() == 0xffffffff; }
  bool is_loopback() const noexcept { return (value.host() >> 24) == 127; }
  bool is_unspecified() const noexcept { return value.raw() == 0; }
  friend auto operator<=>(const Ipv4&, const Ipv4&) = default;
};

struct Ipv6 {
  std::array<std::uint8_t, 16> bytes{};

  static Result<Ipv6> parse(std::string_view text);
  std::string to_string() const;
  bool is_multicast() const noexcept { return bytes[0] == 0xff; }
  bool is_link_local() const noexcept { return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }
  bool is_loopback() const noexcept;
  bool is_unspecified() const noexcept;
  friend auto operator<=>(const Ipv6&, const Ipv6&) = default;
  friend bool operator==(const Ipv6& a, const Ipv6& b) noexcept {
    std::uint64_t a_half[2], b_half[2];
    std::memcpy(a_half, a.bytes.data(), 16);
    std::memcpy(b_half, b.bytes.data(), 16);
    return ((a_half[0] ^ b_half[0]) | (a_half[1] ^ b_half[1])) == 0;
  }
};

static_assert(sizeof(Mac) == 6 && sizeof(Ipv4) == 4 && sizeof(Ipv6) == 16);

/// One address of either family: family 4 uses the first 4 bytes, the rest are zero.
struct IpAddress {
  std::uint8_t family = 4;  // 4 or 6
  std::array<std::uint8_t, 16> bytes{};

  static Result<IpAddress> parse(std::string_view text);
  /// 4 or 16 bytes, network order, as the protos carry them.
  static Result<IpAddress> from_bytes(std::span<const std::uint8_t> raw);
  static IpAddress from(Ipv4 address) noexcept;
  static IpAddress from(const Ipv6& address) noexcept;
  bool is_v4() const noexcept { return family == 4; }
  Ipv4 v4() const noexcept;
  Ipv6 v6() const noexcept;
  unsigned bits() const noexcept { return family == 4 ? 32 : 128; }
  std::span<const std::uint8_t> raw() const noexcept { return {bytes.data(), bits() / 8}; }
  std::string to_string() const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// A prefix whose host bits are zero.
struct Prefix {
  IpAddress address;
  std::uint8_t length_bits = 0;

  /// Error when the length is over the family's bits or a host bit is set.
  static Result<Prefix> parse(std::string_view text);
  /// The prefix of `length_bits` that holds `address`.
  static Prefix of(const IpAddress& address, std::uint8_t length_bits) noexcept;
  bool contains(const IpAddress& other) const noexcept;
  std::string to_string() const;
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

}  // namespace millrace::net
