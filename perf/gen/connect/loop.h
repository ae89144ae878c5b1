/// ConnectLoop: clients at one port, a server at another (or somewhere else), on one thread.
///
/// Shape:   a turn takes a burst from each port, answers, opens what is due and looks for what waited too long. Answers
///          a device does not take are dropped, as a switch would: the connection then fails by its timeout.
///          A pause that lasts over the end of the time is made up for, for kGraceNs at most.
/// Thread:  run() is one thread's. Never allocates in run().
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "datapath/port.h"
#include "perf/gen/connect/clients.h"
#include "perf/gen/run/clock.h"
#include "perf/gen/run/packet_stock.h"
#include "perf/gen/run/schedule.h"
#include "perf/gen/run/snapshot_box.h"

namespace millrace::perf::gen {

/// Counts of a loop while it runs.
struct ConnectCounts {
  ClientCounts counts;
  Histogram connect_ns, response_ns;
  std::uint64_t idle_ns = 0, busy_ns = 0;
};

class ConnectLoop {
 public:
  static constexpr std::uint64_t kGraceNs = 5'000'000;

  /// `server` may be nullptr: the far side has one. `packets` of the schedule are openings.
  ConnectLoop(datapath::PacketPool& pool, Clock& clock, datapath::Port& client, datapath::Port* server,
              const ClientOptions& options, const Schedule& schedule);
  ~ConnectLoop();
  ConnectLoop(const ConnectLoop&) = delete;
  ConnectLoop& operator=(const ConnectLoop&) = delete;

  /// Moves the schedule; before the first turn.
  void start_at(std::uint64_t start_ns) noexcept { schedule_.start_at(start_ns); }
  /// Opens until `end_ns`; then waits until nothing is open, `drain_ns` at most.
  void run(std::uint64_t end_ns, std::uint64_t drain_ns, const std::atomic<bool>& stop) noexcept;
  /// One turn, which opens what is due by `open_by_ns`.
  void turn(std::uint64_t now_ns, std::optional<std::uint64_t> open_by_ns) noexcept;

  const Clients& clients() const noexcept { return clients_; }
  /// Copies of all counts, once a millisecond at most.
  SnapshotBox<ConnectCounts>& live() noexcept { return live_; }
  /// Openings that were due and could not be made before the time was over: they have failed like any other.
  std::uint64_t unopened() const noexcept { return unopened_; }
  std::uint64_t idle_ns() const noexcept { return idle_ns_; }
  std::uint64_t busy_ns() const noexcept { return busy_ns_; }

 private:
  struct Out {
    std::array<net::Packet*, datapath::kBurst> packets{};
    unsigned count = 0;
    std::size_t room() const noexcept { return packets.size() - count; }
  };
  void put(Out& out, net::Packet* packet, bool send) noexcept;
  void flush(Out& out, datapath::Port& port) noexcept;

  Clock& clock_;
  PacketStock stock_;
  datapath::Port& client_;
  datapath::Port* server_;
  Clients clients_;
  std::uint32_t response_bytes_;  // of the server; 0: as many as were asked with
  Schedule schedule_;
  Out from_client_, from_server_;
  SnapshotBox<ConnectCounts> live_;
  bool worked_ = false;
  std::uint64_t unopened_ = 0;
  std::uint64_t idle_ns_ = 0, busy_ns_ = 0;
};

}  // namespace millrace::perf::gen
