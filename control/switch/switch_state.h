/// SwitchState: the ports in force, and Apply as one transaction over them.
///
/// Way of a change: checked by itself (apply_request.h) -> merged with what is there (desired_state.h) -> devices
/// opened (device_plan.h) -> snapshot built -> published -> every worker has passed to it -> devices of removed ports
/// closed, their counters added to the removed ports', their ids free again. Up to "published" any error leaves all as
/// it was.
///
/// Errors:  those of the steps. kUnavailable when the switch stops, or when a worker does not pass to the new
///          generation in WorkerAccess::ack_timeout: the change is published then, and what is removed stays open until
///          a later Apply finds that it was passed.
/// Thread:  any; one Apply at a time, the rest is answered while one runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/desired_state.h"
#include "control/switch/device_plan.h"
#include "control/switch/port_opener.h"
#include "control/switch/port_slots.h"
#include "control/switch/port_sums.h"
#include "control/switch/worker_access.h"
#include "net/result.h"

namespace millrace::control::switchd {

class SwitchState {
 public:
  /// Publishes generation 1, which has no ports: so no worker may run before. `opener` and what `workers` points to
  /// must outlive the state.
  static net::Result<std::unique_ptr<SwitchState>> create(const Limits& limits, const datapath::Gateway& gateway,
                                                          PortOpener& opener, WorkerAccess workers);
  /// `close` must have come before, or no worker may run any more.
  ~SwitchState();

  net::Result<api::ApplyReply> apply(const api::ApplyRequest& request);
  /// Makes every Apply from now on fail with kUnavailable, waits for the one that runs, removes every port.
  net::Result<void> close();

  std::uint64_t generation() const;
  std::size_t port_count() const;
  std::uint32_t port_limit() const noexcept { return limits_.port_limit; }
  api::ListPortsReply list_ports() const;
  api::GetCountersReply counters() const;
  /// Ports whose interface went away since the last call: each is told once.
  std::vector<std::string> take_dead_ports();

 private:
  /// A slot whose port is in no current snapshot, kept until all workers have passed `generation`.
  struct Retired {
    std::uint64_t generation = 0;
    net::PortId id = net::kNoPort;   // kNoPort: the id goes on, only the device was exchanged
    std::shared_ptr<Device> device;  // null: the device goes on under another id
  };

  SwitchState(const Limits& limits, PortOpener& opener, WorkerAccess workers);
  net::Result<std::uint64_t> commit(const DesiredState& desired, const DevicePlan& plan);
  /// Publishes `ports` in place of those in force and retires what is no longer among them.
  net::Result<void> publish(const datapath::Gateway& gateway, LivePorts ports);
  /// Waits until every worker has passed `generation_`, then frees what was retired.
  net::Result<void> settle();
  void free_retired();
  PortSums row_sums(net::PortId id) const;

  const Limits limits_;
  PortOpener& opener_;
  const WorkerAccess workers_;
  std::atomic<bool> stopping_{false};

  std::mutex apply_mutex_;  // held through one Apply; taken before state_mutex_
  PortSlots slots_;         // under apply_mutex_

  mutable std::mutex state_mutex_;  // guards the rest; writers hold apply_mutex_ too
  std::uint64_t generation_ = 0;
  datapath::Gateway gateway_;
  LivePorts ports_;
  std::vector<Retired> retired_;
  PortSums removed_;
};

}  // namespace millrace::control::switchd
