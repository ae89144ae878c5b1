#include "nat/affinity_table.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace millrace::nat {
namespace {

constexpr TickMs kMsPerSecond = 1000;
static_assert(kMaxAffinitySeconds <= ~TickMs{0} / kMsPerSecond);

net::IpAddress address_of(const AddressWords& words, std::uint8_t family) noexcept {
  net::IpAddress address{.family = family, .bytes = {}};
  std::memcpy(address.bytes.data(), &words, sizeof words);
  return address;
}

}  // namespace

AffinityTable::AffinityTable(std::size_t size, std::uint64_t seed)
    : sets_(std::bit_ceil((size + kAffinityWays - 1) / kAffinityWays)), seed_(seed) {
  assert(size >= 1 && size <= kMaxAffinityTableSize);
}

AffinityTable::Set& AffinityTable::set_of(std::uint64_t affinity_id, const AddressWords& client) noexcept {
  return sets_[hash_of(client, affinity_id ^ seed_) & (sets_.size() - 1)];
}

AffinityTable::Entry* AffinityTable::entry_of(Set& set, std::uint64_t affinity_id, const AddressWords& client,
                                              std::uint8_t family) noexcept {
  for (Entry& entry : set.entries) {
    if (entry.affinity_id == affinity_id && entry.client == client && entry.family == family) return &entry;
  }
  return nullptr;
}

std::optional<Backend> AffinityTable::find(std::uint64_t affinity_id, const net::IpAddress& client,
                                           std::uint32_t affinity_seconds, TickMs now) noexcept {
  const AddressWords words = words_of(client);
  Entry* entry = entry_of(set_of(affinity_id, words), affinity_id, words, client.family);
  if (entry == nullptr) return std::nullopt;
  if (now - entry->used >= affinity_seconds * kMsPerSecond) {
    entry->family = 0;
    return std::nullopt;
  }
  entry->used = now;
  return Backend{address_of(entry->backend, entry->family), entry->port};
}

void AffinityTable::put(std::uint64_t affinity_id, const net::IpAddress& client, const Backend& backend,
                        TickMs now) noexcept {
  assert(client.family == backend.address.family);
  const AddressWords words = words_of(client);
  Set& set = set_of(affinity_id, words);
  Entry* entry = entry_of(set, affinity_id, words, client.family);
  if (entry == nullptr) {
    // Free ones are older than any: their age does not fit a TickMs.
    const auto age = [now](const Entry& e) { return e.family == 0 ? std::uint64_t{1} << 32 : now - e.used; };
    entry = std::max_element(set.entries.begin(), set.entries.end(),
                             [&](const Entry& a, const Entry& b) { return age(a) < age(b); });
  }
  *entry = {.affinity_id = affinity_id,
            .client = words,
            .backend = words_of(backend.address),
            .used = now,
            .port = backend.port,
            .family = client.family};
}

}  // namespace millrace::nat
