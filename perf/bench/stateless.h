/// Stateless: a worker's turn without flows: receive, parse, guard, answer, route, TTL, MACs, transmit. What it costs
/// is what ports, packets and headers cost; what the switch's worker costs beyond it is the price of state.
///
/// Shape:   the stages of datapath/pipeline.cc but for steering and tracking, with the functions the pipeline calls,
///          the same prefetches and the same outbox. A packet that would be answered or dropped is an error here.
/// Thread:  one.
#pragma once

#include <cstdint>

#include "datapath/event_tap.h"
#include "datapath/outbox.h"
#include "perf/bench/flow_world.h"

namespace millrace::perf::bench {

class Stateless {
 public:
  /// Forwards over the world's ports, in place of its worker.
  explicit Stateless(FlowWorld& world)
      : world_(world), outbox_(datapath::WorkerId{0}, world.pool(), world.rings(), world.counters(), tap_) {}

  /// Turns until no port has a packet.
  void step() noexcept;

 private:
  /// False: no more than these waited there.
  bool poll(net::PortId port) noexcept;

  FlowWorld& world_;
  datapath::EventTap tap_;  // nobody watches
  datapath::Outbox outbox_;
};

}  // namespace millrace::perf::bench
