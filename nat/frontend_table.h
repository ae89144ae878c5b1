/// FrontendTable: from address, protocol and port to the frontend; and whether an address has a frontend at all.
///
/// Shape:   two exact-match tables of one cache line a probe (net/exact_table.h): one of whole keys, three IPv4 or two
///          IPv6 and their frontends in a line; one of addresses, asked only when the first has said no.
/// Thread:  insert: while building. Everything else: any thread afterwards, never allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nat/address_words.h"
#include "net/exact_table.h"

namespace millrace::nat {

struct Frontend;

struct FrontendKeyV4 {
  std::uint64_t bits = 0;  // address, port, protocol from the top

  FrontendKeyV4() = default;
  FrontendKeyV4(const net::Ipv4& address, std::uint8_t protocol, std::uint16_t port) noexcept
      : bits(std::uint64_t{address.value.host()} << 32 | std::uint64_t{port} << 16 | protocol) {}
  friend bool operator==(const FrontendKeyV4&, const FrontendKeyV4&) = default;
};

struct FrontendKeyV6 {
  net::Ipv6 address;
  std::uint16_t port = 0;
  std::uint16_t protocol = 0;

  FrontendKeyV6() = default;
  FrontendKeyV6(const net::Ipv6& of_address, std::uint8_t of_protocol, std::uint16_t of_port) noexcept
      : address(of_address), port(of_port), protocol(of_protocol) {}
  friend bool operator==(const FrontendKeyV6& a, const FrontendKeyV6& b) noexcept {
    return (a.address == b.address) & (a.port == b.port) & (a.protocol == b.protocol);
  }
};
static_assert(sizeof(FrontendKeyV6) == 20, "two and their frontends fit a cache line");

inline std::uint64_t table_hash(const FrontendKeyV4& key) noexcept { return net::mix64(key.bits); }
inline std::uint64_t table_hash(const FrontendKeyV6& key) noexcept {
  return hash_of(words_of(key.address), std::uint64_t{key.port} << 16 | key.protocol);
}

template <typename Address>
class FrontendTable {
 public:
  /// Room for `capacity` frontends.
  explicit FrontendTable(std::size_t capacity) : frontends_(capacity), addresses_(capacity) {}

  /// The frontend that has the key already; nullptr: inserted. Precondition: fewer than `capacity` frontends.
  const Frontend* insert(const Address& address, std::uint8_t protocol, std::uint16_t port, const Frontend* frontend) {
    const Key key(address, protocol, port);
    if (!frontends_.insert(key, frontend)) return frontends_.find(key);
    addresses_.insert(address_key(address), true);
    return nullptr;
  }

  const Frontend* find(const Address& address, std::uint8_t protocol, std::uint16_t port) const noexcept {
    return frontends_.find(Key(address, protocol, port));
  }
  void prefetch(const Address& address, std::uint8_t protocol, std::uint16_t port) const noexcept {
    frontends_.prefetch(Key(address, protocol, port));
  }
  bool has_address(const Address& address) const noexcept { return addresses_.find(address_key(address)); }

  std::size_t memory_bytes() const noexcept { return frontends_.memory_bytes() + addresses_.memory_bytes(); }

 private:
  static constexpr bool kIsV4 = std::is_same_v<Address, net::Ipv4>;
  using Key = std::conditional_t<kIsV4, FrontendKeyV4, FrontendKeyV6>;
  using AddressKey = std::conditional_t<kIsV4, std::uint32_t, net::Key128>;

  static AddressKey address_key(const Address& address) noexcept {
    const AddressWords words = words_of(address);
    if constexpr (kIsV4) {
      return static_cast<std::uint32_t>(words.first);
    } else {
      return {words.first, words.second};
    }
  }

  net::ExactTable<Key, const Frontend*, kIsV4 ? 3 : 2, nullptr> frontends_;
  net::ExactTable<AddressKey, bool, kIsV4 ? 8 : 3, false> addresses_;
};

}  // namespace millrace::nat
