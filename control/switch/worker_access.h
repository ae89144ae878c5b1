/// WorkerAccess: what the state of the switch needs of the workers.
///
/// Thread:  publisher: the control thread that applies. counters: reading from any thread. wake, post: any thread, must
///          not block. taps: one control thread at a time, the hub of events.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "datapath/counters.h"
#include "datapath/event_tap.h"
#include "datapath/flow_scan.h"
#include "datapath/publisher.h"

namespace millrace::control::switchd {

struct WorkerAccess {
  datapath::Publisher* publisher = nullptr;
  std::vector<datapath::WorkerCounters*> counters;  // by worker
  std::vector<datapath::EventTap*> taps;            // by worker
  std::vector<std::uint32_t> cpus;                  // by worker: where it is pinned
  std::function<void()> wake;                       // makes every resting worker take a turn
  /// Has a worker fill in a scan: one at a time each (datapath/worker.h). It is to be woken.
  std::function<void(datapath::WorkerId, datapath::FlowScan&)> post;
  /// A worker takes a turn in microseconds; one that does not for so long is stuck.
  std::chrono::milliseconds ack_timeout{5000};
};

}  // namespace millrace::control::switchd
