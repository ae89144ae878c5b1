/// AffinityTable: which backend a client of a service with affinity was given, while it goes on asking.
///
/// Shape:   set-associative, keyed by the service's affinity id and the client's address; an entry lives for the
///          service's seconds since it was last used; oldest of its set is replaced. Choices start from a hash of the
///          client's address, so that workers agree without talking as long as the backends are the same.
/// Thread:  the owning worker; fixed size. Never allocates after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "nat/flow_line.h"
#include "nat/service_table.h"

namespace millrace::nat {

inline constexpr std::size_t kAffinityTableSize = 65'536;

class AffinityTable {
 public:
  AffinityTable(std::size_t size, std::uint64_t seed);
  ~AffinityTable();
  std::optional<Backend> find(std::uint64_t affinity_id, const net::IpAddress& client, std::uint32_t affinity_seconds,
                              TickMs now) noexcept;
  void put(std::uint64_t affinity_id, const net::IpAddress& client, const Backend& backend, TickMs now) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;  // contract sketch
};

}  // namespace millrace::nat
