/// FlowScan: control's walk through a worker's flows, to copy or to end them, done by the worker itself, a slice a
/// turn.
///
/// Shape:   control fills in what it wants and a span for the records, and posts the scan to the worker (worker.h); the
///          worker goes on from `next` over both tables until the span is full, it has looked at `slots` or it is
///          through, and says so in `state`. Control then reads the records and posts it again for more. A flow that is
///          there the whole time is in it exactly once, and not there any more when the scan ends flows; one that
///          begins meanwhile may be or not.
/// Ending:  as a sweep ends flows: both tuples, the masquerade port, the counters. Gauges are right when `state` says
///          that it is done. A packet of the connection that comes afterwards begins a flow, or is refused, as the
///          first packet of any; clients of services with affinity keep their backend.
/// Thread:  between post and state != kPosted the worker's, else control's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "datapath/flow_state.h"
#include "datapath/packet_ends.h"
#include "nat/tcp_state.h"
#include "net/address.h"

namespace millrace::datapath {

/// Slots a worker looks at in one turn; fewer where it ends flows: each costs some misses of the cache.
inline constexpr unsigned kScanSlice = 512;
inline constexpr unsigned kEndSlice = 128;

struct FlowRecord {
  std::uint8_t protocol = 0;
  std::uint8_t flags = 0;  // nat::line_flag of the original line
  nat::FlowTimer timer = nat::FlowTimer::kFree;
  nat::TcpState tcp = nat::TcpState::kNone;
  bool replied = false;
  net::PortId out_port = net::kNoPort;  // of the original direction
  PacketEnds original;
  PacketEnds translated;
  std::uint64_t packets = 0, bytes = 0, reply_packets = 0, reply_bytes = 0;
  nat::TickMs age_ms = 0;
  nat::TickMs idle_ms = 0;
  nat::TickMs expires_ms = 0;  // 0: over, not swept yet
};

struct FlowScan {
  enum class State : std::uint8_t { kIdle, kPosted, kFull, kThrough };

  static constexpr std::size_t kAllSlots = ~std::size_t{0};

  std::vector<net::IpAddress> addresses;  // flows with one of these as an end; empty: all
  bool ends = false;                      // ends the flows, and copies none
  std::span<FlowRecord> records;
  std::size_t slots = kAllSlots;  // that may still be looked at
  std::size_t count = 0;          // records that are filled in; flows ended
  std::size_t next = 0;           // slot: those of IPv4, then those of IPv6
  std::atomic<State> state{State::kIdle};
};

/// One slice. True when the scan is full (so it is, too, when no slot is left) or through, and `state` says which.
bool scan_slice(FlowScan& scan, FlowState& flows, nat::TickMs now) noexcept;

}  // namespace millrace::datapath
