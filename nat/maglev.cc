#include "nat/maglev.h"

#include <cassert>
#include <limits>

namespace millrace::nat {
namespace {

constexpr std::uint16_t kFree = std::numeric_limits<std::uint16_t>::max();
static_assert(kMaxMaglevBackends < kFree);

/// Where a backend is in its permutation.
struct Walk {
  std::uint32_t next;
  std::uint32_t skip;  // 1..size-1
};

}  // namespace

std::vector<std::uint16_t> maglev_table(std::span<const std::uint64_t> keys) {
  assert(!keys.empty() && keys.size() <= kMaxMaglevBackends);
  const std::uint32_t size = maglev_size(keys.size());
  if (size == 1) return {0};
  std::vector<Walk> walks;
  walks.reserve(keys.size());
  for (const std::uint64_t key : keys) {
    walks.push_back({static_cast<std::uint32_t>((key >> 32) % size),
                     static_cast<std::uint32_t>((key & 0xffffffff) % (size - 1)) + 1});
  }
  std::vector<std::uint16_t> table(size, kFree);
  for (std::uint32_t taken = 0;;) {
    for (std::size_t backend = 0; backend < walks.size(); ++backend) {
      Walk& walk = walks[backend];
      std::uint32_t entry = walk.next;
      while (table[entry] != kFree) {
        entry += walk.skip;
        entry = entry < size ? entry : entry - size;
      }
      table[entry] = static_cast<std::uint16_t>(backend);
      walk.next = entry;  // taken: the next turn steps on from here
      if (++taken == size) return table;
    }
  }
}

}  // namespace millrace::nat
