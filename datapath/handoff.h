/// HandoffRings: packets on their way from the worker that received them to the worker that owns their out port.
///
/// Shape:   one bounded ring for each ordered pair of workers; single producer, single consumer. An entry carries the
///          generation of the snapshot under which its ports were chosen: PortIds are used again, so the consumer
///          compares it with PortEntry::since_generation. Generations in one ring never go down.
/// Errors:  push takes a prefix and says how many; the rest stays with the caller (Drop::kHandoffRingFull).
/// Thread:  push: the worker `from`. ready, front, pop: the worker `to`. size: any thread, not exact while others run.
/// Source:  boost::lockfree::spsc_queue (Lamport's queue).
#pragma once

#include <boost/lockfree/spsc_queue.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "datapath/worker.h"

namespace millrace::datapath {

/// How far the packet has come.
enum class HandoffStage : std::uint8_t {
  kArrived,    // parsed and guarded; its flow lies with the worker it is handed to
  kForwarded,  // tracked, translated and routed by the worker it comes from
  kAnswer,     // made by the worker it comes from, ready to leave by its out port
};

struct Handoff {
  net::Packet* packet = nullptr;
  std::uint64_t generation = 0;
  HandoffStage stage = HandoffStage::kForwarded;
};

class HandoffRings {
 public:
  using Wake = void (*)(void* context, WorkerId consumer) noexcept;

  HandoffRings(unsigned worker_count, Wake wake_consumer, void* context)
      : worker_count_(worker_count),
        wake_(wake_consumer),
        context_(context),
        rings_(std::make_unique<Ring[]>(std::size_t{worker_count} * worker_count)) {
    assert(worker_count >= 1 && worker_count <= kMaxWorkers);
  }

  unsigned worker_count() const noexcept { return worker_count_; }

  unsigned push(WorkerId from, WorkerId to, std::span<const Handoff> entries) noexcept {
    return static_cast<unsigned>(ring(from, to).push(entries.data(), entries.size()));
  }
  /// Tells `consumer` that its rings hold something, after one or more pushes.
  void wake(WorkerId consumer) noexcept {
    if (wake_ != nullptr) wake_(context_, consumer);
  }

  /// Entries that can be taken now.
  std::size_t ready(WorkerId from, WorkerId to) const noexcept { return ring(from, to).read_available(); }
  /// The oldest entry. Precondition: ready() > 0.
  const Handoff& front(WorkerId from, WorkerId to) const noexcept { return ring(from, to).front(); }
  void pop(WorkerId from, WorkerId to) noexcept { ring(from, to).pop(); }

  /// Packets in all rings.
  std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < std::size_t{worker_count_} * worker_count_; ++i) sum += rings_[i].read_available();
    return sum;
  }

 private:
  using Ring = boost::lockfree::spsc_queue<Handoff, boost::lockfree::capacity<kHandoffRingSize>>;

  Ring& ring(WorkerId from, WorkerId to) noexcept { return rings_[std::size_t{from} * worker_count_ + to]; }
  const Ring& ring(WorkerId from, WorkerId to) const noexcept { return rings_[std::size_t{from} * worker_count_ + to]; }

  unsigned worker_count_;
  Wake wake_;
  void* context_;
  std::unique_ptr<Ring[]> rings_;
};

}  // namespace millrace::datapath
