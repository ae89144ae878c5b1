/// Timeline: when packets of a stream were lost, and when none came: what a change of the device under test costs.
///
/// Shape:   steps of equal width from the start of the trial. A packet that came counts in the step in which it was
///          due, so what was lost in a time is known to the packet, however long the packets were on the way. A gap is
///          the time between two arrivals after one another; it counts, whole, in the step in which it began, and the
///          longest of each step is kept. What arrives in one burst arrives at one time.
/// Limits:  kMostSteps; what was due later counts in the last step.
/// Thread:  one. Never allocates after it was made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace millrace::perf::gen {

struct TimelineStep {
  std::uint32_t due = 0;  // set when the trial is over
  std::uint32_t received = 0;
  std::uint64_t gap_ns = 0;  // longest that began here
};

class Timeline {
 public:
  static constexpr std::size_t kMostSteps = 1'000'000;

  Timeline() = default;
  Timeline(std::uint64_t start_ns, std::uint64_t end_ns, std::uint64_t step_ns)
      : start_ns_(start_ns), last_ns_(start_ns), step_ns_(std::max<std::uint64_t>(step_ns, 1)) {
    const std::uint64_t steps = end_ns > start_ns ? (end_ns - start_ns + step_ns_ - 1) / step_ns_ : 1;
    steps_.resize(std::min<std::uint64_t>(steps, kMostSteps));
  }

  void take(std::uint64_t latency_ns, std::uint64_t now_ns) noexcept {
    TimelineStep& due = steps_[index_of(now_ns - std::min(now_ns, latency_ns))];
    ++due.received;
    end_gap(now_ns);
    last_ns_ = now_ns;
  }
  /// The gap that lasts at the end of the trial counts, too.
  void end_gap(std::uint64_t now_ns) noexcept {
    if (now_ns <= last_ns_) return;
    TimelineStep& began = steps_[index_of(last_ns_)];
    began.gap_ns = std::max(began.gap_ns, now_ns - last_ns_);
  }
  /// What another thread received of the same stream: a gap of the stream is one of whoever received it.
  void merge(const Timeline& other) noexcept {
    if (other.received() == 0) return;
    const bool alone = received() == 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      steps_[i].received += other.steps_[i].received;
      steps_[i].gap_ns = alone ? other.steps_[i].gap_ns : std::max(steps_[i].gap_ns, other.steps_[i].gap_ns);
    }
  }
  std::uint64_t received() const noexcept {
    std::uint64_t all = 0;
    for (const TimelineStep& step : steps_) all += step.received;
    return all;
  }

  std::vector<TimelineStep>& steps() noexcept { return steps_; }
  const std::vector<TimelineStep>& steps() const noexcept { return steps_; }
  std::uint64_t step_ns() const noexcept { return step_ns_; }

 private:
  std::size_t index_of(std::uint64_t at_ns) const noexcept {
    const std::uint64_t since = at_ns > start_ns_ ? at_ns - start_ns_ : 0;
    return std::min<std::uint64_t>(since / step_ns_, steps_.size() - 1);
  }

  std::vector<TimelineStep> steps_;
  std::uint64_t start_ns_ = 0, last_ns_ = 0, step_ns_ = 1;
};

}  // namespace millrace::perf::gen
