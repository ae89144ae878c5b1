/// WorkerSet: the workers of this process, their threads, counters, hand-over rings and the publisher they share.
///
/// Thread:  main. A snapshot must be published before `start`. Before `stop` every worker must have passed to one
///          without ports (SwitchState::close), so that none has packets to hand over and wakes another that has ended.
/// Errors:  those of WorkerThread::start: what ran already is stopped.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/switch/port_config.h"
#include "control/switch/worker_access.h"
#include "datapath/io/worker_thread.h"
#include "datapath/worker.h"
#include "net/result.h"

namespace millrace::control::switchd {

class WorkerSet {
 public:
  /// One worker a CPU, with the settings of the same index. `pool` must outlive the set. Counters for `limits`.
  WorkerSet(std::vector<std::uint32_t> cpus, const std::vector<datapath::FlowSettings>& flows, const Limits& limits,
            datapath::PacketPool& pool);
  ~WorkerSet();
  WorkerSet(const WorkerSet&) = delete;
  WorkerSet& operator=(const WorkerSet&) = delete;

  net::Result<void> start(datapath::io::PollMode poll);
  /// Ends and joins every thread.
  void stop() noexcept;

  WorkerAccess access();

 private:
  void wake(datapath::WorkerId worker) noexcept;
  void wake_all() noexcept;

  using Rings = std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)>;

  const std::vector<std::uint32_t> cpus_;
  datapath::Publisher publisher_;
  Rings rings_;
  std::vector<std::unique_ptr<datapath::WorkerCounters>> counters_;
  std::vector<std::unique_ptr<datapath::Worker>> workers_;
  std::vector<std::unique_ptr<datapath::io::WorkerThread>> threads_;
  /// What wake may use: a worker that started early may want to wake one whose thread does not run yet.
  std::array<std::atomic<datapath::io::WorkerThread*>, datapath::kMaxWorkers> running_{};
};

}  // namespace millrace::control::switchd
