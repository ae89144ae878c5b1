/// Flow timers: how long a flow that sees no packet is kept, by what it is.
///
/// Shape:   each flow has one FlowTimer at a time; Timeouts gives its milliseconds, from configuration, fixed at
///          start; 1..kMaxTimeoutMs.
/// Source:  RFC 5382 REQ-5 (TCP established 2 h 4 min, transitory 4 min), RFC 4787 REQ-5 (UDP 2 min, less for
///          well-known destination ports: REQ-5 a), RFC 5508 REQ-1 (ICMP query 60 s), RFC 9260.
#pragma once

#include <array>
#include <cstdint>

#include "nat/flow_line.h"

namespace millrace::nat {

enum class FlowTimer : std::uint8_t {
  kFree,          // no flow in this slot
  kTcpHandshake,  // half open: SYN without the handshake's end
  kTcpEstablished,
  kTcpClosing,       // a FIN was seen
  kTcpClosed,        // both FINs acknowledged, or reset
  kUdpOneShotShort,  // no reply yet, destination port below 1024
  kUdpOneShot,       // no reply yet
  kUdpStream,
  kIcmp,
  kSctpHandshake,
  kSctpEstablished,
  kSctpClosing,
  kOther,  // any other IP protocol
};
inline constexpr unsigned kFlowTimerCount = 13;

/// Nobody has answered: given up when the table is nearly full.
constexpr bool is_half_open(FlowTimer timer) noexcept {
  return timer == FlowTimer::kTcpHandshake || timer == FlowTimer::kUdpOneShotShort || timer == FlowTimer::kUdpOneShot ||
         timer == FlowTimer::kSctpHandshake;
}

/// Both sides have closed it, or one has reset it: given up when the table is nearly full, and first. What is kept of
/// it is for a last ACK that was lost, and comes again.
constexpr bool is_closed(FlowTimer timer) noexcept { return timer == FlowTimer::kTcpClosed; }

/// A data packet leaves the timer as it is; what may change it shows in the packet's own header (FIN, RST, SHUTDOWN).
constexpr bool is_steady(FlowTimer timer) noexcept {
  return timer == FlowTimer::kTcpEstablished || timer == FlowTimer::kUdpStream || timer == FlowTimer::kIcmp ||
         timer == FlowTimer::kSctpEstablished || timer == FlowTimer::kOther;
}

/// Longest time of a timer: a difference of 32-bit ticks has to hold it, an eighth more, and the time of a sweep.
inline constexpr TickMs kMaxTimeoutMs = 30u * 24 * 3600 * 1000;

struct Timeouts {
  std::array<TickMs, kFlowTimerCount> ms = {0,       60'000, 7'440'000, 240'000,   10'000, 30'000, 120'000,
                                            300'000, 60'000, 60'000,    7'440'000, 60'000, 600'000};
  TickMs of(FlowTimer timer) const noexcept { return ms[static_cast<unsigned>(timer)]; }
};

}  // namespace millrace::nat
