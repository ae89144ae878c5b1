/// AffinityTable: which backend a client of a service with affinity was given, while it goes on asking.
///
/// Shape:   set-associative: kAffinityWays entries in three cache lines, found by the service's affinity id and the
///          client's address. An entry lives for the service's seconds since it was last used. A new one takes its own
///          entry's place, else a free one, else the one of its set that was used longest ago.
///          Choices start from a hash of the client's address (nat/service_table.h), so that workers agree without
///          talking as long as the backends are the same: what is remembered here is who was chosen before they
///          changed. The caller asks ServiceTable::has_backend() whether what it finds is still eligible.
/// Size:    `size` entries of 48 bytes, rounded up to a power of two; fixed at construction.
/// Hash:    keyed with the seed: who chooses client addresses cannot choose the set.
/// Clock:   TickMs wraps after 49 days: an entry nobody asked for in all that time may be found once more.
/// Thread:  the owning worker. Never allocates after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nat/address_words.h"
#include "nat/flow_line.h"
#include "nat/service_spec.h"

namespace millrace::nat {

inline constexpr std::size_t kAffinityTableSize = 65'536;
inline constexpr std::size_t kMaxAffinityTableSize = 1u << 24;
inline constexpr unsigned kAffinityWays = 4;

class AffinityTable {
 public:
  /// `size` in 1..kMaxAffinityTableSize.
  AffinityTable(std::size_t size, std::uint64_t seed);

  /// The client's backend if it was used in the last `affinity_seconds`; then it is used now.
  std::optional<Backend> find(std::uint64_t affinity_id, const net::IpAddress& client, std::uint32_t affinity_seconds,
                              TickMs now) noexcept;
  /// The client's backend from now on.
  void put(std::uint64_t affinity_id, const net::IpAddress& client, const Backend& backend, TickMs now) noexcept;

  std::size_t capacity() const noexcept { return sets_.size() * kAffinityWays; }

 private:
  struct Entry {
    std::uint64_t affinity_id = 0;
    AddressWords client;
    AddressWords backend;
    TickMs used = 0;
    std::uint16_t port = 0;
    std::uint8_t family = 0;  // of both addresses; 0: free
  };
  static_assert(sizeof(Entry) == 48);
  struct alignas(64) Set {
    std::array<Entry, kAffinityWays> entries;
  };
  static_assert(sizeof(Set) == 192);

  Set& set_of(std::uint64_t affinity_id, const AddressWords& client) noexcept;
  /// The client's entry in its set, nullptr when there is none.
  static Entry* entry_of(Set& set, std::uint64_t affinity_id, const AddressWords& client, std::uint8_t family) noexcept;

  std::vector<Set> sets_;
  std::uint64_t seed_;
};

}  // namespace millrace::nat
