/// FlowScan: a copy of a worker's flows for control, made by the worker itself, a slice a turn.
///
/// Shape:   control fills in what it wants and a span for the records, and posts the scan to the worker (worker.h); the
///          worker goes on from `next` over both tables until the span is full or it is through, and says so in
///          `state`. Control then reads the records and posts it again for more. A flow that is there the whole time is
///          in it exactly once.
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

/// Slots a worker looks at in one turn.
inline constexpr unsigned kScanSlice = 512;

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

  std::vector<net::IpAddress> addresses;  // flows with one of these as an end; empty: all
  std::span<FlowRecord> records;
  std::size_t count = 0;  // records that are filled in
  std::size_t next = 0;   // slot: those of IPv4, then those of IPv6
  std::atomic<State> state{State::kIdle};
};

/// One slice. True when the scan is full or through, and `state` says which.
bool scan_slice(FlowScan& scan, FlowState& flows, nat::TickMs now) noexcept;

}  // namespace millrace::datapath
