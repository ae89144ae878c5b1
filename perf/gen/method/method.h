/// Methods of measuring: what trials to run, one after another, and what follows from them.
///
/// Shape:   a method asks a TrialRunner for trials and gives rows (its figures) and points (every trial it made, so
/// that a
///          reader may check). Rates are of all streams together, in packets a second; each stream keeps its share.
/// Words:   throughput: highest rate without loss (RFC 2544 26.1; NDR). PDR: highest rate whose loss stays below a
/// bound.
///          Both are binary searches that end when the interval is `precision` of the rate.
/// Errors:  those of the trials. A switch that loses at the lowest rate has throughput 0, which is no error.
/// Thread:  control code; blocks for the time of the trials.
/// Source:  RFC 2544 section 26, RFC 9004 (back-to-back).
#pragma once

#include <functional>
#include <optional>
#include <string>
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
};

struct MethodOptions {
  TrialOptions trial;
  double most_pps = 0;  // where searches begin; 0: what the devices take when sent to as fast as possible
  double precision = 0.005;
  double pdr_loss = 0.005;
  unsigned repeats = 5;              // of a back-to-back burst
  std::vector<std::uint32_t> sizes;  // RFC 2544 9.1; empty: the streams' own
  std::vector<std::uint32_t> flows;  // of the flow-count sweep
  double soak_seconds = 3600;
};

class Method {
 public:
  /// Called after each trial.
  using Watcher = std::function<void(const Point&)>;

  Method(TrialRunner& runner, std::vector<StreamDescription> streams, const MethodOptions& options, Watcher watcher)
      : runner_(runner), streams_(std::move(streams)), options_(options), watcher_(std::move(watcher)) {}

  net::Result<MethodResult> throughput();    // for each size
  net::Result<MethodResult> ndr_pdr();       // for each size
  net::Result<MethodResult> latency();       // at 10, 50 and 90 % of the throughput
  net::Result<MethodResult> back_to_back();  // longest burst without loss
  net::Result<MethodResult> frame_loss();    // at 100, 90 .. % until two trials lose nothing
  net::Result<MethodResult> flow_sweep();    // throughput by number of flows
  net::Result<MethodResult> soak();          // the streams' own rates, trial after trial

 private:
  net::Result<const Point*> trial(const std::string& row, double pps, double loss_allowed);
  net::Result<const Point*> measure(const std::string& row, const std::vector<StreamDescription>& streams, double pps,
                                    double loss_allowed);
  /// Highest rate that loses at most `loss_allowed`, nullptr: none; knows what earlier points of the row said.
  net::Result<const Point*> search(const std::string& row, double loss_allowed);
  net::Result<double> first_rate(const std::string& row, double loss_allowed);
  net::Result<void> search_row(const std::string& row);
  net::Result<bool> burst_passes(const std::string& row, std::uint64_t packets);

  TrialRunner& runner_;
  std::vector<StreamDescription> streams_;
  MethodOptions options_;
  Watcher watcher_;
  MethodResult result_;
};

/// Streams with `pps` packets a second together, each with the share that its own rate has of all; streams of rate
/// `max` share alike. 0: all as fast as possible.
std::vector<StreamDescription> with_rate(std::vector<StreamDescription> streams, double pps, double link_bps);

/// Every stream with frames of this size alone.
std::vector<StreamDescription> with_size(std::vector<StreamDescription> streams, std::uint32_t bytes);

/// Every stream with so many flows; kInvalidArgument when its fields make fewer, which compiling says.
std::vector<StreamDescription> with_flows(std::vector<StreamDescription> streams, std::uint32_t flows);

}  // namespace millrace::perf::gen
