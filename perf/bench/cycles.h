/// The time stamp counter: constant rate, so cycles of the nominal clock.
#pragma once

#include <cstdint>

namespace millrace::perf::bench {

/// Read after everything before it has finished, and before anything behind it begins.
inline std::uint64_t cycles_now() noexcept {
  __builtin_ia32_lfence();
  const std::uint64_t cycles = __builtin_ia32_rdtsc();
  __builtin_ia32_lfence();
  return cycles;
}

}  // namespace millrace::perf::bench
