/// Clock: ns of the run, read once a turn by the sending loop.
///
/// Shape:   CycleClock counts from its making. On x86 it is the time stamp counter, scaled by what the kernel's
///          monotonic clock said over kCalibrationMs; needs an invariant one (constant_tsc, nonstop_tsc), as every
///          processor of the last ten years has. All threads of a run read the same clock. Elsewhere it is the
///          kernel's.
/// Thread:  now_ns: any.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace millrace::perf::gen {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::uint64_t now_ns() noexcept = 0;
};

class CycleClock final : public Clock {
 public:
  static constexpr int kCalibrationMs = 50;

  CycleClock() {
#if defined(__x86_64__)
    const auto kernel_start = std::chrono::steady_clock::now();
    start_ = __rdtsc();
    auto kernel_now = kernel_start;
    std::uint64_t now = start_;
    while (kernel_now - kernel_start < std::chrono::milliseconds(kCalibrationMs)) {
      kernel_now = std::chrono::steady_clock::now();
      now = __rdtsc();
    }
    const double ns = std::chrono::duration<double, std::nano>(kernel_now - kernel_start).count();
    ns_per_cycle_q32_ = static_cast<std::uint64_t>(ns / static_cast<double>(now - start_) * 4294967296.0);
#endif
  }

  std::uint64_t now_ns() noexcept override {
#if defined(__x86_64__)
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{__rdtsc() - start_} * ns_per_cycle_q32_ >> 32);
#else
    return static_cast<std::uint64_t>((std::chrono::steady_clock::now() - kernel_start_).count());
#endif
  }

 private:
#if defined(__x86_64__)
  std::uint64_t start_ = 0;
  std::uint64_t ns_per_cycle_q32_ = 0;
#else
  std::chrono::steady_clock::time_point kernel_start_ = std::chrono::steady_clock::now();
#endif
};

}  // namespace millrace::perf::gen
