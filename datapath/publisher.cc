#include "datapath/publisher.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace millrace::datapath {

Publisher::Publisher(unsigned worker_count) : worker_count_(worker_count) {
  assert(worker_count >= 1 && worker_count <= kMaxWorkers);
}

void Publisher::publish(std::unique_ptr<const Snapshot> next) {
  assert(next != nullptr);
  assert(next->generation > (held_.empty() ? 0 : held_.back()->generation));
  held_.push_back(std::move(next));
  current_.store(held_.back().get(), std::memory_order_release);
}

bool Publisher::seen_by_all(std::uint64_t generation) const noexcept {
  return std::all_of(seen_.begin(), seen_.begin() + worker_count_, [generation](const Seen& seen) {
    return seen.generation.load(std::memory_order_acquire) >= generation;
  });
}

std::size_t Publisher::reclaim() {
  // A snapshot is passed when every worker has seen its successor; the current one has none and stays.
  std::size_t passed = 0;
  while (passed + 1 < held_.size() && seen_by_all(held_[passed + 1]->generation)) ++passed;
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(passed));
  return held_.size();
}

}  // namespace millrace::datapath
