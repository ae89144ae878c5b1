/// Publisher: hands immutable snapshots to the workers and frees the old ones when every worker has passed them.
///
/// Shape:   one atomic pointer; one seen-generation a worker. Quiescent-state reclamation (McKenney, RCU): a worker
///          that has loaded generation g at the top of a loop holds nothing of any earlier one.
/// Thread:  `current` and `saw`: the worker itself. `publish`, `reclaim`: one control thread at a time (the caller
///          serialises). `seen_by`, `seen_by_all`: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "datapath/snapshot.h"

namespace millrace::datapath {

class Publisher {
 public:
  explicit Publisher(unsigned worker_count);

  /// Makes `next` current. `next->generation` must be greater than that of the one before.
  void publish(std::unique_ptr<const Snapshot> next);
  /// True when every worker has seen `generation` or a later one.
  bool seen_by_all(std::uint64_t generation) const noexcept;
  bool seen_by(WorkerId worker, std::uint64_t generation) const noexcept {
    return seen_[worker].generation.load(std::memory_order_acquire) >= generation;
  }
  /// Frees snapshots that every worker has passed. Returns how many are still held.
  std::size_t reclaim();

  const Snapshot* current() const noexcept { return current_.load(std::memory_order_acquire); }
  void saw(WorkerId worker, std::uint64_t generation) noexcept {
    seen_[worker].generation.store(generation, std::memory_order_release);
  }
  unsigned worker_count() const noexcept { return worker_count_; }

 private:
  struct alignas(64) Seen {
    std::atomic<std::uint64_t> generation{0};
  };
  unsigned worker_count_;
  std::atomic<const Snapshot*> current_{nullptr};
  std::array<Seen, kMaxWorkers> seen_;
  std::vector<std::unique_ptr<const Snapshot>> held_;  // oldest first, the current one last
};

}  // namespace millrace::datapath
