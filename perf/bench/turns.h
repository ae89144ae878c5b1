/// Turns: cycles a packet over many turns, without those that something else interrupted.
///
/// Shape:   the mean of all turns but the slowest kLeftOutPercent: a hypervisor or another process that takes the core
///          makes a turn many times longer, and one such turn in a hundred doubles a plain mean. Work of the switch
///          that does not come every turn (a slice of a sweep: one turn in 20) comes more often than that and is
///          counted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace millrace::perf::bench {

inline constexpr std::size_t kLeftOutPercent = 2;

class Turns {
 public:
  void add(std::uint64_t cycles, std::size_t units) {
    per_unit_.push_back(static_cast<double>(cycles) / static_cast<double>(units));
  }
  /// Precondition: there was a turn.
  double mean() {
    std::sort(per_unit_.begin(), per_unit_.end());
    const std::size_t kept = std::max<std::size_t>(1, per_unit_.size() * (100 - kLeftOutPercent) / 100);
    const auto end = per_unit_.begin() + static_cast<std::ptrdiff_t>(kept);
    return std::accumulate(per_unit_.begin(), end, 0.0) / static_cast<double>(kept);
  }

 private:
  std::vector<double> per_unit_;
};

}  // namespace millrace::perf::bench
