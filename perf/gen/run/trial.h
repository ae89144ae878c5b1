/// Trial: one run of given streams for a given time, and what came of it. TrialRunner is what every method of measuring
/// (perf/gen/method) asks for trials; a rig of devices is one, a model of a device in a test is another.
///
/// Shape:   counts are of packets. due = sent + unsent; lost = due - received: a packet that the generator could not
///          hand to its device in time is lost like any other, so that a generator that is too slow never flatters what
///          it measures. Rate `max` has no times to keep: there due = sent. What is sent as recorded bears no tag: of
///          it only what was not sent is lost, and what comes of it the ports count alone.
/// Thread:  control code.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "net/result.h"
#include "perf/gen/measure/stream_meter.h"
#include "perf/gen/run/schedule.h"
#include "perf/gen/stream/description.h"

namespace millrace::perf::gen {

/// Somebody who acts while a trial runs, such as on the device under test.
class TrialCompanion {
 public:
  virtual ~TrialCompanion() = default;
  /// Called once the trial runs, on the thread that waits for it. `since_start`: seconds from the start on by the clock
  /// by which packets are due; any thread may ask as long as the trial runs, for `seconds` at most.
  virtual void begin(std::function<double()> since_start, double seconds) = 0;
  /// Called when nothing more is sent: acts no more.
  virtual void end() = 0;
};

struct TrialOptions {
  double seconds = 10;
  double drain_seconds = 0.5;  // most to wait for the last packets
  std::uint64_t packets = 0;   // of each stream, then it ends; 0: until the time is over
  double link_bps = 10e9;      // what percent are of
  double step_seconds = 0;     // of timelines; 0: none are kept
  TrialCompanion* companion = nullptr;
};

struct StreamResult {
  std::string name;
  std::uint64_t due = 0;
  std::uint64_t sent = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t untagged = 0;  // of those sent: as recorded
  ReceiveCounts received;
  Histogram latency;
  std::optional<Timeline> timeline;  // where it was asked for

  std::uint64_t unsent() const noexcept { return due - sent; }
  std::uint64_t lost() const noexcept {
    const std::uint64_t known = received.received + untagged;
    return due > known ? due - known : 0;
  }
  /// Not one packet of it is known when it comes back.
  bool is_recording() const noexcept { return untagged != 0 && untagged == sent; }
};

struct PortResult {
  std::uint64_t sent = 0, received = 0;
  std::uint64_t damaged = 0;      // a tag that does not fit what it covers
  std::uint64_t stale = 0;        // of an earlier trial
  std::uint64_t foreign = 0;      // no packet of the generator's
  std::uint64_t bad_headers = 0;  // IP or L4 checksum, where they are looked at
  std::uint64_t turned = 0;       // an echo port sent back
  std::uint64_t echo_lost = 0;    // an echo port could not
};

/// What happened in one interval of the run, for plots and the live view.
struct Sample {
  double seconds = 0;  // end of the interval, from the start
  double sent_pps = 0, received_pps = 0;
  double mean_latency_ns = 0, most_latency_ns = 0;
  double idle = 0;  // share of the loop
};

struct TrialResult {
  double seconds = 0;  // that packets were due in
  std::vector<StreamResult> streams;
  std::vector<PortResult> ports;
  double idle = 0;   // share of the sending time in which the loop had nothing to do: headroom of the generator
  double taken = 0;  // share of it in which the threads wanted to run and did not
  std::vector<Sample> samples;
  std::uint64_t not_established = 0;  // connections that should have been there before the trial, and were not

  StreamResult total() const;
};

class TrialRunner {
 public:
  virtual ~TrialRunner() = default;
  virtual net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) = 0;
};

/// Fills in what was due in each step, by a schedule of the stream as it was at the start. Without a rate nobody knows
/// when a packet that did not come was due: then what came counts as due.
void count_due(Timeline& timeline, const Schedule& schedule, std::uint64_t start_ns, std::uint64_t end_ns);

/// lost of due, 0..1; 0 when none was due.
double loss_ratio(const StreamResult& result) noexcept;

}  // namespace millrace::perf::gen
