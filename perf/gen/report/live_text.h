/// LiveHistory: from one look at a run to the next, what the terminal shows of it.
///
/// Thread:  one.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "perf/gen/connect/result.h"
#include "perf/gen/report/live_frame.h"
#include "perf/gen/run/live_sample.h"

namespace millrace::perf::gen {

class LiveHistory {
 public:
  static constexpr std::size_t kMost = 240;

  /// `stream_names`: as many as the sample has, or none: then they have numbers.
  LiveFrame add(const LiveSample& sample, const std::vector<std::string>& stream_names);
  LiveFrame add(const ConnectSample& sample);

 private:
  struct Line {
    std::string label;
    std::deque<double> values;
  };
  Spark spark(const std::string& label, double value, std::string now);

  std::vector<Line> lines_;
};

/// One line, for what is no terminal.
std::string live_line(const LiveSample& sample);
std::string live_line(const ConnectSample& sample);

}  // namespace millrace::perf::gen
