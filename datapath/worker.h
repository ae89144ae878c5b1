/// Worker: one turn of the poll loop over the ports it owns. Production code and tests step it the same way.
///
/// Way of a packet: receive from each owned port -> pipeline.h decides (forward, answer, drop) -> out: transmit to an
/// owned port, or hand over to the worker that owns the out port. Every packet received is sent, dropped with a name,
/// or still queued in a hand-over ring.
/// Thread:  `step` only on the worker's own thread. Never allocates, locks, logs, throws or calls the system (ports
///          and the pool do their own).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "datapath/counters.h"
#include "datapath/flow_state.h"
#include "datapath/packet_pool.h"
#include "datapath/publisher.h"
#include "datapath/snapshot.h"

namespace millrace::datapath {

/// Slots of a hand-over ring between two workers.
inline constexpr unsigned kHandoffRingSize = 1024;

/// Rings between all pairs of workers: bounded, single producer, single consumer.
class HandoffRings;
class EventTap;
struct FlowScan;

struct WorkerStep {
  /// Packets taken from ports and hand-over rings in this turn. With 0 each port was found empty in it; with any other
  /// number some silent ports may not have been asked (poll_order.h).
  unsigned received = 0;
  bool pending = false;      // something is queued that needs another turn soon
  bool is_scanning = false;  // a FlowScan goes on
  bool has_flows = false;    // some may be over in a while: a turn is due every kIdleSweepMs
};

class Worker {
 public:
  /// All references must outlive the worker.
  Worker(WorkerId id, const FlowSettings& settings, Publisher& publisher, PacketPool& pool, HandoffRings& rings,
         WorkerCounters& counters);
  ~Worker();

  /// One turn. `now_ns` is a monotonic clock.
  WorkerStep step(std::uint64_t now_ns) noexcept;

  /// Has the worker fill in a scan (flow_scan.h), in its next turns: wake it. Any thread, one scan at a time.
  void post(FlowScan& scan) noexcept;
  /// The snapshot of the last turn: for the thread that waits on its ports' descriptors. Valid until the next step.
  const Snapshot* snapshot() const noexcept;
  WorkerId id() const noexcept;
  WorkerCounters& counters() noexcept;
  /// What it tells of single packets, to one reader.
  EventTap& tap() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Creates the rings of `worker_count` workers. `wake(consumer)` is called by the producing worker after it put packets
/// into a ring of a consumer that may be asleep; it must not block.
std::unique_ptr<HandoffRings, void (*)(HandoffRings*)> make_handoff_rings(
    unsigned worker_count, void (*wake)(void* context, WorkerId consumer) noexcept, void* context);

}  // namespace millrace::datapath
