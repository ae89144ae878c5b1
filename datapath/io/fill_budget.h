/// FillBudget: how many frames of one pool all its ports together may keep ready in their fill rings.
///
/// Theory:  a frame in a fill ring is one that no other port can use. Hundreds of idle ports must not hold the pool,
///          and one busy port should have as many as its ring takes. So each port always has a small floor, more only
///          within this common budget, and when the budget is tight, idle ports give back what they hold above the
///          floor (fill_ring.h).
/// Thread:  any.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::datapath::io {

class FillBudget {
 public:
  explicit FillBudget(std::uint32_t limit) noexcept : limit_(limit) {}

  /// A port's floor: never refused.
  void take_floor(std::uint32_t frames) noexcept { taken_.fetch_add(frames, std::memory_order_relaxed); }
  /// More than the floor: all or nothing. A port that is refused makes the budget tight until another gives back.
  bool take(std::uint32_t frames) noexcept {
    if (taken_.fetch_add(frames, std::memory_order_relaxed) + frames <= limit_) return true;
    taken_.fetch_sub(frames, std::memory_order_relaxed);
    refused_.store(true, std::memory_order_relaxed);
    return false;
  }
  void give(std::uint32_t frames) noexcept {
    if (frames == 0) return;
    taken_.fetch_sub(frames, std::memory_order_relaxed);
    refused_.store(false, std::memory_order_relaxed);
  }
  bool tight() const noexcept {
    return refused_.load(std::memory_order_relaxed) || taken_.load(std::memory_order_relaxed) > limit_;
  }
  /// At least half of it is left: a new port may start with more than its floor.
  bool ample() const noexcept { return taken_.load(std::memory_order_relaxed) <= limit_ / 2; }
  std::uint32_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::uint32_t limit_;
  // Read by idle ports on every turn, written when a port's target changes: seldom.
  alignas(64) std::atomic<std::uint32_t> taken_{0};
  std::atomic<bool> refused_{false};
};

}  // namespace millrace::datapath::io
