/// PrefixTable: longest-prefix match from an address to a small value, for both families.
///
/// Shape:   host prefixes (/32, /128) in one exact-match table a family, probed first; shorter ones in one table a
///          length, longest first, only lengths in use (Waldvogel et al., SIGCOMM 1997, without markers). kSlotsV4 and
///          kSlotsV6 are those of ExactTable's bucket. kEmpty is the answer for an address that no prefix holds.
/// Size:    fixed when built.
/// Thread:  insert: while building. find: any thread afterwards, never allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/exact_table.h"

namespace millrace::net {

inline std::uint32_t table_key(Ipv4 address) noexcept { return address.value.host(); }
inline Key128 table_key(const Ipv6& address) noexcept {
  Be64 halves[2];
  static_assert(sizeof halves == sizeof address.bytes);
  std::memcpy(halves, address.bytes.data(), sizeof halves);
  return {halves[0].host(), halves[1].host()};
}

namespace internal {

template <typename Word>
constexpr Word mask_word(unsigned bits) noexcept {
  constexpr unsigned kBits = sizeof(Word) * 8;
  return bits == 0 ? Word{0} : static_cast<Word>(~Word{0} << (kBits - bits));
}
inline void mask_for(unsigned bits, std::uint32_t& mask) noexcept { mask = mask_word<std::uint32_t>(bits); }
inline void mask_for(unsigned bits, Key128& mask) noexcept {
  mask.high = mask_word<std::uint64_t>(bits < 64 ? bits : 64);
  mask.low = mask_word<std::uint64_t>(bits < 64 ? 0 : bits - 64);
}
inline std::uint32_t masked(std::uint32_t key, std::uint32_t mask) noexcept { return key & mask; }
inline Key128 masked(const Key128& key, const Key128& mask) noexcept {
  return {key.high & mask.high, key.low & mask.low};
}

/// All prefixes of one family.
template <typename Key, unsigned kBits, typename Value, unsigned kSlots, Value kEmpty>
class PrefixFamily {
 public:
  using Table = ExactTable<Key, Value, kSlots, kEmpty>;
  using CountOfLength = std::array<std::size_t, kBits + 1>;

  explicit PrefixFamily(const CountOfLength& counts) : hosts_(counts[kBits]) {
    for (unsigned length = kBits - 1; length > 0; --length) {
      if (counts[length] == 0) continue;
      lengths_.push_back({length, {}, Table(counts[length])});
      mask_for(length, lengths_.back().mask);
    }
  }

  bool insert(const Key& key, unsigned length, Value value) {
    if (length == kBits) return hosts_.insert(key, value);
    if (length == 0) {
      if (default_ != kEmpty) return false;
      default_ = value;
      return true;
    }
    for (Length& of : lengths_) {
      if (of.length == length) return of.table.insert(key, value);
    }
    return false;
  }

  Value find(const Key& key) const noexcept {
    Value value = hosts_.find(key);
    if (value != kEmpty) [[likely]]
      return value;
    for (const Length& of : lengths_) {
      value = of.table.find(masked(key, of.mask));
      if (value != kEmpty) return value;
    }
    return default_;
  }

  std::size_t memory_bytes() const noexcept {
    std::size_t bytes = hosts_.memory_bytes();
    for (const Length& of : lengths_) bytes += of.table.memory_bytes();
    return bytes;
  }

 private:
  struct Length {
    unsigned length;
    Key mask;
    Table table;
  };
  Table hosts_;
  std::vector<Length> lengths_;  // longest first
  Value default_ = kEmpty;
};

}  // namespace internal

template <typename Value, unsigned kSlotsV4, unsigned kSlotsV6, Value kEmpty>
class PrefixTable {
 public:
  PrefixTable() : PrefixTable({}, {}) {}
  /// Room for `prefixes`, none of which is in it yet. Precondition: no host bits are set.
  template <typename Prefixes>
  static PrefixTable for_prefixes(const Prefixes& prefixes) {
    std::array<std::size_t, 33> v4{};
    std::array<std::size_t, 129> v6{};
    for (const Prefix& prefix : prefixes) ++(prefix.address.is_v4() ? v4[prefix.length_bits] : v6[prefix.length_bits]);
    return PrefixTable(v4, v6);
  }

  /// False: the prefix is there already, nothing changed. Precondition: it is one of for_prefixes(), value != kEmpty.
  bool insert(const Prefix& prefix, Value value) {
    const bool is_new = prefix.address.is_v4() ? v4_.insert(table_key(prefix.address.v4()), prefix.length_bits, value)
                                               : v6_.insert(table_key(prefix.address.v6()), prefix.length_bits, value);
    size_ += is_new ? 1 : 0;
    return is_new;
  }

  /// The value of the longest prefix that holds the address.
  Value find(Ipv4 address) const noexcept { return v4_.find(table_key(address)); }
  Value find(const Ipv6& address) const noexcept { return v6_.find(table_key(address)); }
  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return v4_.memory_bytes() + v6_.memory_bytes(); }

 private:
  PrefixTable(const std::array<std::size_t, 33>& v4, const std::array<std::size_t, 129>& v6) : v4_(v4), v6_(v6) {}

  internal::PrefixFamily<std::uint32_t, 32, Value, kSlotsV4, kEmpty> v4_;
  internal::PrefixFamily<Key128, 128, Value, kSlotsV6, kEmpty> v6_;
  std::size_t size_ = 0;
};

}  // namespace millrace::net
