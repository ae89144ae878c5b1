/// Maglev: a table of backends in which each has the same share, and few entries change hands when one comes or goes.
///
/// Theory:  each backend has a permutation of all entries, (offset + j * skip) mod size for j = 0, 1, ..., from its key
///          alone. In turns each takes the next entry of its permutation that is free, until none is. So shares differ
///          by one entry at most, and a backend takes its entries again whoever else is there, but for those that
///          another took before. The size is prime: every skip then reaches every entry.
/// Shape:   an entry is the number of a backend. The size depends on the number of backends alone: one entry for one
///          backend, else the least of kMaglevSizes (the largest prime below each power of two) that has kMaglevFactor
///          entries a backend: shares differ by 1 % at most.
///          A set that grows past a size of the ladder, from 10 to 11 backends, from 20 to 21, is drawn anew: nearly
///          all entries change. Flows there are keep their backend (nat/flow_line.h), so it is new flows that see it.
/// Cost:    size * ln(size) steps to build: 7 thousand for 10 backends, 7 million for 5000.
/// Memory:  2 bytes an entry: 200 to 410 a backend from 10 backends on, 2 KB in all for 2 to 10, 2 bytes for one.
/// Thread:  pure functions; maglev_table() allocates: control only.
/// Source:  Eisenbud et al., Maglev: A Fast and Reliable Software Network Load Balancer, NSDI 2016, section 3.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace millrace::nat {

/// Entries a backend. Table 1 and figure 12 of the paper: 1 % of imbalance.
inline constexpr std::size_t kMaglevFactor = 100;
inline constexpr std::array<std::uint32_t, 10> kMaglevSizes = {1021,  2039,  4093,   8191,   16381,
                                                               32749, 65521, 131071, 262139, 524287};
inline constexpr std::size_t kMaxMaglevBackends = kMaglevSizes.back() / kMaglevFactor;

/// Entries of the table of so many backends. Precondition: 1..kMaxMaglevBackends.
constexpr std::uint32_t maglev_size(std::size_t backends) noexcept {
  if (backends == 1) return 1;
  for (const std::uint32_t size : kMaglevSizes) {
    if (size >= backends * kMaglevFactor) return size;
  }
  return kMaglevSizes.back();
}

/// The table. keys[i] is the key of backend i: any number that is the backend's own, well mixed (both halves are used).
/// Who is first takes first: for a table that does not depend on the order, the caller brings them into one of the
/// backends' own. Precondition: 1..kMaxMaglevBackends keys.
std::vector<std::uint16_t> maglev_table(std::span<const std::uint64_t> keys);

/// The entry of a hash, by its upper half: Lemire's multiply and shift instead of a division (ACM TOMACS 29, 2019).
constexpr std::uint32_t maglev_index(std::uint64_t hash, std::uint32_t size) noexcept {
  return static_cast<std::uint32_t>((hash >> 32) * size >> 32);
}

}  // namespace millrace::nat
