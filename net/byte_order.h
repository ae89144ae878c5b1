/// Big-endian integers as they lie on the wire.
///
/// Shape:   Be16, Be32 and Be64 are 2, 4 and 8 bytes with alignment 1, so wire structs need no packing and may
///          start at any address. There is no implicit conversion to or from a host integer.
/// Thread:  plain values, any thread.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>

namespace millrace::net {

constexpr std::uint16_t byte_swap(std::uint16_t v) noexcept { return __builtin_bswap16(v); }
constexpr std::uint32_t byte_swap(std::uint32_t v) noexcept { return __builtin_bswap32(v); }
constexpr std::uint64_t byte_swap(std::uint64_t v) noexcept { return __builtin_bswap64(v); }

template <typename Host>
class BigEndian {
 public:
  constexpr BigEndian() noexcept = default;
  constexpr explicit BigEndian(Host host_order) noexcept { set(host_order); }

  /// The number, in host order.
  constexpr Host host() const noexcept { return swap_if_needed(raw()); }
  constexpr void set(Host host_order) noexcept { bytes_ = std::bit_cast<Bytes>(swap_if_needed(host_order)); }
  /// The bytes as they lie in memory, as one integer: for checksums, hashes and comparison only.
  constexpr Host raw() const noexcept { return std::bit_cast<Host>(bytes_); }
  static constexpr BigEndian from_raw(Host raw) noexcept {
    BigEndian v;
    v.bytes_ = std::bit_cast<Bytes>(raw);
    return v;
  }

  friend constexpr bool operator==(BigEndian a, BigEndian b) noexcept { return a.raw() == b.raw(); }
  friend constexpr auto operator<=>(BigEndian a, BigEndian b) noexcept { return a.host() <=> b.host(); }

 private:
  struct Bytes {
    std::uint8_t b[sizeof(Host)];
  };
  static constexpr Host swap_if_needed(Host v) noexcept {
    if constexpr (std::endian::native == std::endian::little) return byte_swap(v);
    return v;
  }
  Bytes bytes_{};
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;

static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

}  // namespace millrace::net
