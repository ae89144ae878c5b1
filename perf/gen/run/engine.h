/// Engine: the loop of one thread that sends streams and receives what comes back.
///
/// Shape:   a turn reads the clock once, takes at most a burst from each port and offers what is due: at most
///          kBuildBurst packets a stream. What a device does not take stays first in line for the next turn. Packets
///          due and not taken when the time is over are the trial's `unsent`. An echo port turns round what arrives
///          (turn_round.h); all others judge it by its tag.
/// Order:   streams of a port take turns; within a stream packets leave in order.
/// Thread:  run() is one thread's; progress() any; results after run() has returned.
/// Errors:  none at run time: everything that can happen is counted. Never allocates, locks or logs in run().
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "datapath/port.h"
#include "perf/gen/measure/stream_meter.h"
#include "perf/gen/run/clock.h"
#include "perf/gen/run/live_sample.h"
#include "perf/gen/run/packet_stock.h"
#include "perf/gen/run/schedule.h"
#include "perf/gen/run/snapshot_box.h"
#include "perf/gen/run/source.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

struct EnginePort {
  datapath::Port* port = nullptr;
  bool echo = false;
};

struct EngineStream {
  std::unique_ptr<Source> source;
  Schedule schedule;
  std::uint8_t number = 0;  // in the tag
  std::size_t port = 0;     // of this engine's
  bool tagged = true;
};

/// What the engines of a trial know of each other: so that it ends when all have sent what they had to, and no later
/// than when all of it is back.
struct TrialState {
  explicit TrialState(unsigned engines) : sending(engines) {}
  std::atomic<unsigned> sending;             // engines that have something to send
  std::atomic<std::int64_t> outstanding{0};  // packets sent and not seen again; written once a millisecond
};

struct EngineOptions {
  std::uint8_t epoch = 0;
  std::size_t stream_count = 0;  // of the trial, all engines
  std::uint64_t end_ns = 0;      // nothing is due from here on
  std::uint64_t drain_ns = 0;    // most to wait after that
  /// How long after the end packets that were due before it may still leave: makes up for a pause that lasts over it.
  std::uint64_t grace_ns = 0;
  bool verify_headers = false;
  std::optional<Timeline> timeline = {};  // an empty one of the trial's length, where timelines are kept
  TrialState* trial = nullptr;            // shared by all engines of the trial
};

/// Counters as they grow, for others to look at while the engine runs.
struct alignas(64) Progress {
  std::atomic<std::uint64_t> sent{0}, received{0};
  std::atomic<std::uint64_t> latency_sum_ns{0}, latency_most_ns{0};  // the most: since somebody set it to 0
  std::atomic<std::uint64_t> idle_ns{0}, busy_ns{0};
};

class Engine {
 public:
  static constexpr unsigned kBuildBurst = 32;

  Engine(datapath::PacketPool& pool, Clock& clock, std::vector<EnginePort> ports, std::vector<EngineStream> streams,
         const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Until the end and the drain are over, or `stop` is set: then nothing more is sent and the drain begins.
  void run(const std::atomic<bool>& stop) noexcept;
  /// One turn at `now_ns`, what run() does again and again.
  void turn(std::uint64_t now_ns) noexcept;
  /// Ends sending at `now_ns`; run() does so by itself.
  void stop_sending(std::uint64_t now_ns) noexcept;

  Progress& progress() noexcept { return progress_; }
  /// Copies of all counts, once a millisecond at most; ports are this engine's own.
  SnapshotBox<LiveCounts>& live() noexcept { return live_; }
  /// Of stream `number`, whether this engine sent or received it, added to `result`.
  void add_result(std::uint8_t number, StreamResult& result);
  const PortResult& port_result(std::size_t index) const noexcept { return port_results_[index]; }
  /// When sending ended.
  std::uint64_t ended_ns() const noexcept { return ended_ns_; }
  std::uint64_t idle_ns() const noexcept { return idle_ns_; }
  std::uint64_t busy_ns() const noexcept { return busy_ns_; }

 private:
  struct Waiting {  // built and not yet taken by the device
    std::array<net::Packet*, datapath::kBurst> packets{};
    std::array<std::uint16_t, datapath::kBurst> stream{};  // index in streams_; kNoStream: an echo
    unsigned count = 0;
    bool touched = false;  // in this turn: the port wants a flush
  };
  struct Sent {
    std::uint64_t packets = 0, bytes = 0;
  };
  static constexpr std::uint16_t kNoStream = 0xffff;

  unsigned receive(std::size_t index, std::uint64_t now_ns) noexcept;
  void judge(net::Packet& packet, PortResult& result, std::uint64_t now_ns) noexcept;
  bool send_back(net::Packet& packet, std::size_t index) noexcept;
  unsigned offer_due(std::size_t stream_index, std::uint64_t now_ns) noexcept;
  unsigned transmit(std::size_t index) noexcept;
  void end_streams(std::uint64_t now_ns) noexcept;
  bool all_is_back() const noexcept;
  void publish(std::uint64_t now_ns) noexcept;
  void copy_counts(LiveCounts& counts) const noexcept;

  Clock& clock_;
  PacketStock stock_;
  std::vector<EnginePort> ports_;
  std::vector<EngineStream> streams_;
  EngineOptions options_;
  std::vector<Waiting> waiting_;
  std::vector<Sent> sent_;
  std::vector<PortResult> port_results_;
  std::vector<std::unique_ptr<StreamMeter>> meters_;
  bool sending_ = true;
  bool streams_ended_ = false;    // and counted out of TrialState::sending
  bool published_ended_ = false;  // all it sent is in TrialState::outstanding
  bool late_work_ = false;        // this turn offered something
  std::uint64_t grace_until_ns_ = 0;
  std::uint64_t ended_ns_ = 0;
  std::uint64_t idle_ns_ = 0, busy_ns_ = 0;
  std::uint64_t published_ns_ = 0;
  std::int64_t outstanding_ = 0;  // of this engine, as last published
  std::uint64_t judged_ = 0, latency_sum_ns_ = 0, latency_most_ns_ = 0, sent_total_ = 0;
  unsigned worked_ = 0;
  Progress progress_;
  SnapshotBox<LiveCounts> live_;
};

}  // namespace millrace::perf::gen
