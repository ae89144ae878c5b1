/// What is known of a run while it goes on: copies of the engines' counts, and what grew between two of them.
///
/// Loss:    of what had been sent with a tag by the copy before, the share that had not come by this one. What is on
///          the way for longer than an interval counts as lost until it comes.
/// Thread:  plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "perf/gen/measure/histogram.h"

namespace millrace::perf::gen {

/// Counts of an engine, or of all of them together.
struct LiveCounts {
  struct Stream {
    std::uint64_t sent = 0, received = 0;
    std::uint64_t untagged = 0;  // of those sent: as recorded
    Histogram latency;
  };
  struct Port {
    std::uint64_t sent = 0, received = 0;
  };
  std::vector<Stream> streams;
  std::vector<Port> ports;
  std::uint64_t idle_ns = 0, busy_ns = 0;
};

struct LiveStream {
  double sent_pps = 0, received_pps = 0, loss = 0;
  std::uint64_t p50_ns = 0, p99_ns = 0, most_ns = 0;  // of the interval
  bool is_recording = false;                          // it bears no tags: none of it is known when it comes back
};

struct LivePort {
  double sent_pps = 0, received_pps = 0;
};

struct LiveSample {
  double seconds = 0, of_seconds = 0;  // since the start, and how long it is to last
  std::vector<LiveStream> streams;
  LiveStream total;
  std::vector<LivePort> ports;
  double idle = 0;
};

/// What grew from `before` to `now`, `seconds` later.
LiveSample live_sample(const LiveCounts& before, const LiveCounts& now, double seconds);

}  // namespace millrace::perf::gen
