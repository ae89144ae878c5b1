/// Schedule: when each packet of a stream is due.
///
/// Shape:   packet k is due at start + (k / burst) * burst * interval, so a burst is due as one and the rate is kept.
///          The interval is in 2^-32 ns: no rate drifts. Rate 0: a packet is due whenever there is room, that is, now.
///          A recording is due as it was recorded, again and again.
/// Why:     what is due does not depend on what was sent before. Who falls behind sends late packets with the time at
///          which they were due, and that is what latency is counted from.
/// Thread:  one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace millrace::perf::gen {

/// Times of a recording's packets from its beginning, and when it begins again. Lives as long as its schedules.
struct Recording {
  std::span<const std::uint64_t> times_ns;
  std::uint64_t period_ns = 0;
};

class Schedule {
 public:
  /// `packets`: end after so many; 0: never.
  Schedule(double packets_per_second, std::uint32_t burst, std::uint64_t start_ns, std::uint64_t packets)
      : start_ns_(start_ns),
        packets_(packets == 0 ? UINT64_MAX : packets),
        burst_(burst),
        interval_q32_(packets_per_second > 0
                          ? static_cast<std::uint64_t>(std::ceil(1e9 / packets_per_second * 4294967296.0))
                          : 0) {
    due_ns_ = start_ns;
  }
  Schedule(const Recording& recording, std::uint64_t start_ns, std::uint64_t packets)
      : start_ns_(start_ns), packets_(packets == 0 ? UINT64_MAX : packets), recording_(recording) {
    due_ns_ = start_ns + recording.times_ns[0];
  }

  /// Moves all of it; before anything was taken.
  void start_at(std::uint64_t start_ns) noexcept {
    start_ns_ = start_ns;
    due_ns_ = time_of(0);
  }

  bool is_due(std::uint64_t now_ns) const noexcept { return now_ns >= due_ns_ && next_ < packets_; }
  bool ended() const noexcept { return next_ >= packets_; }
  bool is_paced() const noexcept { return interval_q32_ != 0 || !recording_.times_ns.empty(); }

  /// When the next packet was due, and goes on to the one after it. Precondition: is_due(now_ns).
  std::uint64_t take(std::uint64_t now_ns) noexcept {
    const std::uint64_t due = is_paced() ? due_ns_ : now_ns;
    ++next_;
    due_ns_ = time_of(next_);
    return due;
  }

  /// Packets taken so far.
  std::uint64_t taken() const noexcept { return next_; }

  /// Packets due before `end_ns`, sent or not. Without a rate: those taken.
  std::uint64_t due_before(std::uint64_t end_ns) const noexcept {
    if (!is_paced()) return next_;
    std::uint64_t low = next_, high = low;
    // Rarely more than a few are behind: double the step until it is too far, then halve.
    for (std::uint64_t step = 1; high < packets_ && time_of(high) < end_ns; step *= 2) {
      low = high + 1;
      high = packets_ - high > step ? high + step : packets_;
    }
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (time_of(middle) < end_ns) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

 private:
  std::uint64_t time_of(std::uint64_t packet) const noexcept {
    if (!recording_.times_ns.empty()) {
      const std::uint64_t size = recording_.times_ns.size();
      return start_ns_ + packet / size * recording_.period_ns + recording_.times_ns[packet % size];
    }
    __extension__ using Wide = unsigned __int128;
    const std::uint64_t first = burst_ == 1 ? packet : packet / burst_ * burst_;
    return start_ns_ + static_cast<std::uint64_t>(Wide{first} * interval_q32_ >> 32);
  }

  std::uint64_t start_ns_;
  std::uint64_t packets_;
  std::uint64_t next_ = 0;
  std::uint64_t due_ns_ = 0;
  std::uint32_t burst_ = 1;
  std::uint64_t interval_q32_ = 0;
  Recording recording_;
};

}  // namespace millrace::perf::gen
