/// BackendSet: the backends one rule chooses from, their Maglev table, and an index to ask whether one is among them.
///
/// Shape:   backends in the order of address and port, so that neither the order in which control names them nor any
///          other service changes what is chosen. The index is open addressing at half load over 16-bit numbers.
/// Memory:  20 bytes a backend, 4 to 8 for the index, and the table (nat/maglev.h).
/// Thread:  built by control; then immutable, read by any worker. Reading never allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nat/address_words.h"
#include "nat/service_spec.h"

namespace millrace::nat {

class BackendSet {
 public:
  /// Precondition: 1..kMaxBackendsPerSet backends of one family, sorted, none twice.
  explicit BackendSet(std::vector<Backend> backends);

  /// Precondition: the address is of the set's family.
  template <typename Address>
  bool contains(const Address& address, std::uint16_t port) const noexcept;

  const std::vector<Backend>& backends() const noexcept { return backends_; }
  /// Numbers of backends, maglev_size() of them.
  const std::vector<std::uint16_t>& table() const noexcept { return table_; }
  std::size_t memory_bytes() const noexcept;

 private:
  static constexpr std::uint16_t kNone = 0xffff;
  static_assert(kMaxBackendsPerSet < kNone);

  static std::uint64_t key_of(const AddressWords& address, std::uint16_t port) noexcept {
    return hash_of(address, port);
  }

  std::vector<Backend> backends_;
  std::vector<std::uint16_t> table_;
  std::vector<std::uint16_t> index_;  // by the low bits of the key
};

template <typename Address>
bool BackendSet::contains(const Address& address, std::uint16_t port) const noexcept {
  const AddressWords words = words_of(address);
  const std::size_t mask = index_.size() - 1;
  for (std::size_t slot = key_of(words, port) & mask; index_[slot] != kNone; slot = (slot + 1) & mask) {
    const Backend& backend = backends_[index_[slot]];
    if (backend.port == port && words_of(backend.address) == words) return true;
  }
  return false;
}

}  // namespace millrace::nat
