/// StreamMeter: what came back of one stream.
///
/// Shape:   received counts packets that came, once each; duplicates and damaged are apart from it. So loss is what was
///          due minus received, whatever else happened.
/// Latency: from when the packet was due to when the burst that brought it was taken from the device. A generator or
///          switch that stalls makes every packet due meanwhile late: nothing is left out (no coordinated omission).
/// Thread:  one. Never allocates after it was made.
#pragma once

#include <cstdint>
#include <optional>

#include "perf/gen/measure/histogram.h"
#include "perf/gen/measure/sequence_window.h"
#include "perf/gen/measure/tag.h"
#include "perf/gen/measure/timeline.h"

namespace millrace::perf::gen {

struct ReceiveCounts {
  std::uint64_t received = 0;
  std::uint64_t bytes = 0;
  std::uint64_t reordered = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t late = 0;  // counted in received and reordered, too
  std::uint64_t most_extent = 0;

  ReceiveCounts& operator+=(const ReceiveCounts& other) noexcept {
    received += other.received;
    bytes += other.bytes;
    reordered += other.reordered;
    duplicates += other.duplicates;
    late += other.late;
    most_extent = std::max(most_extent, other.most_extent);
    return *this;
  }
};

class StreamMeter {
 public:
  /// Returns the latency in ns.
  std::uint64_t take(const Tag& tag, std::uint32_t frame_bytes, std::uint64_t now_ns) noexcept {
    const std::uint64_t latency_ns = (now_ns - tag.time_ns) & Tag::kTimeMask;
    switch (window_.take(tag.sequence)) {
      case SequenceWindow::Arrival::kDuplicate: ++counts_.duplicates; return latency_ns;
      case SequenceWindow::Arrival::kLate: ++counts_.late; [[fallthrough]];
      case SequenceWindow::Arrival::kReordered: ++counts_.reordered; break;
      case SequenceWindow::Arrival::kInOrder: break;
    }
    ++counts_.received;
    counts_.bytes += frame_bytes;
    latency_.add(latency_ns);
    if (timeline_) [[unlikely]]
      timeline_->take(latency_ns, now_ns);
    return latency_ns;
  }

  ReceiveCounts counts() const noexcept {
    ReceiveCounts counts = counts_;
    counts.most_extent = window_.most_extent();
    return counts;
  }
  const Histogram& latency() const noexcept { return latency_; }

  /// Before the first packet.
  void keep_timeline(const Timeline& empty) { timeline_ = empty; }
  std::optional<Timeline>& timeline() noexcept { return timeline_; }

 private:
  ReceiveCounts counts_;
  SequenceWindow window_;
  Histogram latency_;
  std::optional<Timeline> timeline_;
};

}  // namespace millrace::perf::gen
