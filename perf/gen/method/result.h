/// What a method gives: rows, its figures, and points, every trial it made, so that a reader may check.
///
/// Shape:   a figure's unit is at the end of its name: _pps, _ns, _seconds, _per_second; `loss` and `headroom` are
/// shares.
/// Thread:  plain values.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

/// One trial of a method, in the order in which they were made.
struct Point {
  std::string row;         // to whose figures it belongs
  double offered_pps = 0;  // 0: as fast as possible
  bool passed = false;
  TrialResult result;
};

struct Row {
  std::string name;
  std::vector<std::pair<std::string, double>> figures;
  std::optional<Histogram> latency;  // where it is one trial's, or all of a soak's
};

struct MethodResult {
  std::string method;
  std::vector<Row> rows;
  std::vector<Point> points;
  std::string error = {};  // why it ended before its end, with the rows that it had by then; empty: it did not
};

/// `figures`, then those of the trial: received_pps, loss, latency, headroom. nullptr: there was none that counts.
Row row_of(const std::string& name, const Point* point, std::initializer_list<std::pair<std::string, double>> figures);

}  // namespace millrace::perf::gen
