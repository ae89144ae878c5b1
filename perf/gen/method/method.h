/// Methods of measuring: what trials to run, one after another, and what follows from them.
///
/// Shape:   a method asks a TrialRunner for trials and gives rows (its figures) and points (every trial it made, so
///          that a reader may check). Rates are of all streams together, in packets a second; each stream keeps its
///          share.
/// Words:   throughput: highest rate without loss (RFC 2544 26.1; NDR). PDR: highest rate whose loss stays below a
///          bound. Both are binary searches that end when the interval is `precision` of the rate.
/// Errors:  those of the trials. A switch that loses at the lowest rate has throughput 0, which is no error.
/// Thread:  control code; blocks for the time of the trials.
/// Source:  RFC 2544 section 26, RFC 9004 (back-to-back).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perf/gen/method/result.h"

namespace millrace::perf::gen {

struct MethodOptions {
  TrialOptions trial;
  double most_pps = 0;  // where searches begin; 0: what the devices take when sent to as fast as possible
  double precision = 0.005;
  double pdr_loss = 0.005;
  unsigned repeats = 5;              // of a back-to-back burst
  std::vector<std::uint32_t> sizes;  // RFC 2544 9.1; empty: the streams' own
  std::vector<std::uint32_t> flows;  // of the flow-count sweep
  double soak_seconds = 3600;

  // Of stateful devices. The runner sees to their tables (drive/connections_runner.h).
  double establish_pps = 0;                          // 0: half of the rate that is found for the first number
  std::uint32_t least_connections = 1000;            // where the search of a table's capacity begins
  std::uint32_t most_connections = 1'000'000;        // and where it ends at the latest
  std::function<net::Result<double>()> empty_table;  // seconds that it took

  // Of a sweep: brings the device to have so many of what is counted; seconds that it took.
  std::vector<std::uint64_t> values;
  std::function<net::Result<double>(std::uint64_t)> configure;

  // Of a reconfiguration.
  double load = 0.7;    // of the throughput
  double load_pps = 0;  // not 0: in place of a share of the throughput, which is then not searched for
  double load_seconds = 60;
  double step_seconds = 0.001;          // of the timeline
  TrialCompanion* companion = nullptr;  // what changes the device
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
  net::Result<MethodResult> soak();          // the streams' own rates, trial after trial

  // connections.cc
  /// RFC 9693 4.5 and 4.6: highest rate at which no first packet is lost. Each trial is to be one of
  /// EstablishingRunner.
  net::Result<MethodResult> connection_rate();
  /// RFC 9693 4.8: how many connections a second the table is emptied of.
  net::Result<MethodResult> connection_teardown();
  /// RFC 9693 4.9: how many connections the table holds: doubling, then halving the interval, at a safe rate.
  net::Result<MethodResult> connection_capacity();

  // sweep.cc
  net::Result<MethodResult> flow_sweep();   // throughput by number of flows
  net::Result<MethodResult> sweep();        // throughput and latency by a number of whatever the device has
  net::Result<MethodResult> reconfigure();  // a share of the throughput while the device is changed

 private:
  net::Result<const Point*> trial(const std::string& row, double pps, double loss_allowed);
  net::Result<const Point*> measure(const std::string& row, const std::vector<StreamDescription>& streams, double pps,
                                    double loss_allowed);
  /// Highest rate that loses at most `loss_allowed`, nullptr: none; knows what earlier points of the row said.
  net::Result<const Point*> search(const std::string& row, double loss_allowed);
  net::Result<double> first_rate(const std::string& row, double loss_allowed);
  net::Result<void> search_row(const std::string& row);
  net::Result<bool> burst_passes(const std::string& row, std::uint64_t packets);
  net::Result<bool> holds(std::uint32_t connections, double pps);

  TrialRunner& runner_;
  std::vector<StreamDescription> streams_;
  MethodOptions options_;
  Watcher watcher_;
  MethodResult result_;
};

}  // namespace millrace::perf::gen
