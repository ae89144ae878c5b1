/// TCP state of a flow from what each direction has sent.
///
/// Shape:   no state variable: each line keeps the flags its direction has sent and how far it got (FlowLine::tcp_flags,
///          tcp_end, tcp_ack); the state is a function of both lines. So a data packet writes its own line only, and a
///          packet without SYN, FIN or RST on an established flow needs no look at the other.
///          A RST counts only where the other side would take it: its sequence number is what the other direction has
///          acknowledged, or inside the window behind it (RFC 5961 section 3).
/// Thread:  the owning worker. Pure functions on lines and headers.
/// Source:  RFC 9293 section 3.3.2, RFC 5382 REQ-1, REQ-2 (simultaneous open).
#pragma once

#include <cstdint>

#include "nat/flow_line.h"
#include "nat/flow_timer.h"
#include "net/packet.h"

namespace millrace::nat {

/// Bits of FlowLine::tcp_flags.
namespace tcp_seen {
inline constexpr std::uint8_t kSyn = 1 << 0;
inline constexpr std::uint8_t kFin = 1 << 1;
inline constexpr std::uint8_t kRst = 1 << 2;
inline constexpr std::uint8_t kAck = 1 << 3;
inline constexpr std::uint8_t kFinAcked = 1 << 4;  // the other direction has acknowledged this one's FIN
inline constexpr std::uint8_t kPickedUp = 1 << 5;  // the flow began in the middle: no SYN was seen
}  // namespace tcp_seen

/// For people and reports, after RFC 9293; what the connection is, seen from the middle.
enum class TcpState : std::uint8_t { kNone, kSynSent, kSynReceived, kEstablished, kFinWait, kCloseWait, kTimeWait, kClosed };
const char* to_string(TcpState state) noexcept;

/// What a TCP packet may begin a flow with.
enum class TcpStart : std::uint8_t {
  kNew,      // a SYN without ACK
  kPickUp,   // the middle of a connection: only where loose pick-up is set
  kInvalid,  // never begins one: RST, or flags that no stack sends (SYN with FIN or RST)
};
/// Precondition: the packet's TCP header was parsed.
TcpStart tcp_start(const net::Packet& packet) noexcept;

/// Notes a packet on its line. `picked_up`: the flow begins with it though it is no SYN. Returns the timer the flow has
/// from now on. `line` lies in a table (its partner is read, and written when an ACK acknowledges its FIN).
template <typename Line>
FlowTimer note_tcp(Line& line, const net::Packet& packet, bool picked_up) noexcept;

/// True when a packet with these flags cannot change the flow's timer: the fast path asks nothing more.
/// `timer` is the flow's. Updates tcp_end and tcp_ack of the line.
template <typename Line>
bool note_tcp_data(Line& line, FlowTimer timer, const net::Packet& packet) noexcept;

template <typename Line>
TcpState tcp_state(const Line& original) noexcept;

/// A SYN on a flow that is closed or closing begins a new connection on the same tuple (RFC 9293 3.6.1; RFC 6191): the
/// caller ends the old flow and makes a new one.
template <typename Line>
bool begins_again(const Line& line, const net::Packet& packet) noexcept;

}  // namespace millrace::nat
