/// RateLimiter: at most so many events a second, with a burst.
///
/// Shape:   generic cell rate algorithm: one time stamp, no refill. Equal to a token bucket that holds `burst` tokens
///          and gains `rate` of them a second.
/// Thread:  one owner.
/// Source:  ITU-T I.371 annex A (virtual scheduling); used for RFC 1812 4.3.2.8 and RFC 4443 2.4 (f).
#pragma once

#include <cstdint>

namespace millrace::datapath {

class RateLimiter {
 public:
  /// Both at least 1.
  constexpr RateLimiter(std::uint32_t rate_per_second, std::uint32_t burst) noexcept
      : interval_ns_(1'000'000'000u / rate_per_second), tolerance_ns_(interval_ns_ * (burst - 1)) {}

  /// Whether an event may happen at `now_ns` (monotonic); if so it is counted.
  constexpr bool allow(std::uint64_t now_ns) noexcept {
    if (next_ns_ < now_ns) next_ns_ = now_ns;
    if (next_ns_ - now_ns > tolerance_ns_) return false;
    next_ns_ += interval_ns_;
    return true;
  }

 private:
  std::uint64_t interval_ns_;
  std::uint64_t tolerance_ns_;
  std::uint64_t next_ns_ = 0;  // when the next event would be due if events came evenly
};

}  // namespace millrace::datapath
