/// Turn: what the stages of one turn of a worker share. Everything outlives the turn.
///
/// Thread:  the worker.
#pragma once

#include <cstdint>

#include "datapath/counters.h"
#include "datapath/event_tap.h"
#include "datapath/flow_state.h"
#include "datapath/outbox.h"
#include "datapath/packet_pool.h"
#include "datapath/rate_limiter.h"
#include "datapath/snapshot.h"

namespace millrace::datapath {

struct Turn {
  const Snapshot& snapshot;
  std::uint64_t now_ns;
  WorkerId self;
  PacketPool& pool;
  RateLimiter& icmp_errors;
  RateLimiter& dhcp;
  WorkerCounters& counters;
  Outbox& outbox;
  FlowState& flows;
  EventTap& tap;
  /// Whose policies said no to the packet that was last dropped for them.
  net::PortId denied_by = net::kNoPort;

  nat::TickMs now_ms() const noexcept { return static_cast<nat::TickMs>(now_ns / 1'000'000); }
};

}  // namespace millrace::datapath
