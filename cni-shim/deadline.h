/// A point in time that every wait of one operation shares.
#pragma once

#include <chrono>

namespace millrace::cni_shim {

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now) noexcept : end_(Clock::now() + from_now) {}

  /// Milliseconds left, rounded up, for poll(2); 0 when it has passed.
  int remaining_ms() const noexcept {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    return left > 0 ? static_cast<int>(left) : 0;
  }
  bool passed() const noexcept { return Clock::now() >= end_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point end_;
};

}  // namespace millrace::cni_shim
