#include "nat/backend_set.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "nat/maglev.h"

namespace millrace::nat {

static_assert(kMaxBackendsPerSet <= kMaxMaglevBackends);

BackendSet::BackendSet(std::vector<Backend> backends) : backends_(std::move(backends)) {
  assert(std::is_sorted(backends_.begin(), backends_.end()));
  index_.assign(std::bit_ceil(backends_.size() * 2), kNone);
  std::vector<std::uint64_t> keys;
  keys.reserve(backends_.size());
  for (std::size_t i = 0; i < backends_.size(); ++i) {
    keys.push_back(key_of(words_of(backends_[i].address), backends_[i].port));
    std::size_t slot = keys.back() & (index_.size() - 1);
    while (index_[slot] != kNone) slot = (slot + 1) & (index_.size() - 1);
    index_[slot] = static_cast<std::uint16_t>(i);
  }
  table_ = maglev_table(keys);
}

std::size_t BackendSet::memory_bytes() const noexcept {
  return sizeof *this + backends_.capacity() * sizeof(Backend) +
         (table_.capacity() + index_.capacity()) * sizeof(std::uint16_t);
}

}  // namespace millrace::nat
