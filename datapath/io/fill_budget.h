/// FillBudget: how many frames of one pool all its ports together may keep ready in their fill rings.
///
/// Theory:  a frame in a fill ring is one that no other port can use. Hundreds of idle ports must not hold the pool,
///          and one busy port should have as many as its ring takes. So each port may always hold a small floor, and
///          what it holds above that comes out of this common budget; when the budget gets tight, idle ports give
///          their extra frames back (af_xdp_socket.h).
/// Thread:  any.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::datapath::io {

class FillBudget {
 public:
  explicit FillBudget(std::uint32_t limit) noexcept : limit_(limit) {}

  /// All or nothing. A port that is refused makes the budget tight until another gives back.
  bool take(std::uint32_t frames) noexcept {
    if (taken_.fetch_add(frames, std::memory_order_relaxed) + frames <= limit_) return true;
    taken_.fetch_sub(frames, std::memory_order_relaxed);
    tight_.store(true, std::memory_order_relaxed);
    return false;
  }
  void give(std::uint32_t frames) noexcept {
    if (frames == 0) return;
    taken_.fetch_sub(frames, std::memory_order_relaxed);
    tight_.store(false, std::memory_order_relaxed);
  }
  bool tight() const noexcept { return tight_.load(std::memory_order_relaxed); }
  std::uint32_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::uint32_t limit_;
  alignas(64) std::atomic<std::uint32_t> taken_{0};
  alignas(64) std::atomic<bool> tight_{false};  // read by idle ports on every turn, seldom written
};

}  // namespace millrace::datapath::io
