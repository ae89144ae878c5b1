/// TCP state of a flow from what each direction has sent.
///
/// Shape:   no state variable: each line keeps the flags its direction has sent and how far it got
/// (FlowLine::tcp_flags,
///          tcp_end, tcp_ack); the state is a function of both lines. So a data packet writes its own line only, and a
///          packet without SYN, FIN or RST on an established flow needs no look at the other.
///          A packet that the other side would not take changes nothing, and the flow's timer stays:
///          - a RST counts from what the other direction has acknowledged to what this one has sent: there lies what
///          the
///            receiver expects next, the only number it takes (RFC 5961 section 3.2). Before there is an
///            acknowledgement, one that acknowledges the SYN, or that follows its sender's own;
///          - an ACK ends the handshake when it acknowledges the other side's SYN;
///          - bytes and FIN count when at most kMaxAdvanceBytes ahead of what was seen. What a packet further ahead has
///            left out was lost on the way here, or never sent: it comes again, or the packet was not the sender's.
/// Thread:  the owning worker. Pure functions on lines and headers.
/// Source:  RFC 9293 section 3.3.2, RFC 5382 REQ-1, REQ-2 (simultaneous open), RFC 5961 section 3.
#pragma once

#include <cstdint>

#include "nat/flow_line.h"
#include "nat/flow_timer.h"
#include "net/packet.h"
#include "net/wire.h"

namespace millrace::nat {

/// More than any one packet carries, offloaded segmentation included.
inline constexpr std::uint32_t kMaxAdvanceBytes = 1u << 20;

/// Bits of FlowLine::tcp_flags.
namespace tcp_seen {
inline constexpr std::uint8_t kSyn = 1 << 0;
inline constexpr std::uint8_t kFin = 1 << 1;
inline constexpr std::uint8_t kRst = 1 << 2;
inline constexpr std::uint8_t kAck = 1 << 3;       // tcp_ack is known
inline constexpr std::uint8_t kFinAcked = 1 << 4;  // the other direction has acknowledged this one's FIN
inline constexpr std::uint8_t kPickedUp = 1 << 5;  // the flow began in the middle: no SYN was seen
}  // namespace tcp_seen

/// For people and reports, after RFC 9293: the names that the sender of the flow's first packet would use.
enum class TcpState : std::uint8_t {
  kNone,  // picked up, and the other side was not heard
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait,    // its FIN was seen; not yet both and their acknowledgements
  kCloseWait,  // the other side's FIN alone was seen
  kTimeWait,   // both FINs are acknowledged
  kClosed,     // reset
};
const char* to_string(TcpState state) noexcept;

/// What a TCP packet may begin a flow with.
enum class TcpStart : std::uint8_t {
  kNew,      // a SYN without ACK
  kPickUp,   // the middle of a connection: only where loose pick-up is set
  kInvalid,  // never begins one: RST, or flags that no stack sends (SYN with FIN or RST, neither SYN nor ACK)
};
/// Precondition: the packet's TCP header was parsed.
TcpStart tcp_start(const net::Packet& packet) noexcept;

/// Notes a packet on its line. `picked_up`: the flow begins with it though it is no SYN. Returns the timer the flow has
/// from now on. `line` lies in a table (its partner is read, and written when an ACK acknowledges its FIN).
/// Precondition: the packet's TCP header was parsed.
template <typename Line>
FlowTimer note_tcp(Line& line, const net::Packet& packet, bool picked_up) noexcept;

template <typename Line>
TcpState tcp_state(const Line& original) noexcept;

/// A SYN on a flow that is closed, or from the side that has closed, begins a new connection on the same tuple (RFC
/// 9293 3.6.1; RFC 6191): the caller ends the old flow and makes a new one.
template <typename Line>
bool begins_again(const Line& line, const net::Packet& packet) noexcept;

namespace internal {

inline const net::TcpHeader& tcp_header(const net::Packet& packet) noexcept {
  return net::view<net::TcpHeader>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l4_offset);
}

inline std::uint32_t tcp_payload_bytes(const net::Headers& headers) noexcept {
  return headers.l3_offset + headers.l3_length - headers.payload_offset;
}

/// `end` moves the line by 1 to kMaxAdvanceBytes bytes.
template <typename Line>
bool is_advance(const Line& line, std::uint32_t end) noexcept {
  return end - line.tcp_end - 1 < kMaxAdvanceBytes;
}

template <typename Line>
void advance(Line& line, std::uint32_t end, std::uint32_t ack) noexcept {
  if (is_advance(line, end)) line.tcp_end = end;
  if (static_cast<std::int32_t>(ack - line.tcp_ack) > 0) line.tcp_ack = ack;
}

}  // namespace internal

/// True when a packet with these flags cannot change the flow's timer: the fast path asks nothing more.
/// `timer` is the flow's. Updates tcp_end and tcp_ack of the line. False: nothing was done, ask note_tcp().
/// Precondition: the packet's TCP header was parsed.
template <typename Line>
[[gnu::always_inline]] inline bool note_tcp_data(Line& line, FlowTimer timer, const net::Packet& packet) noexcept {
  using net::TcpHeader;
  constexpr std::uint8_t kDecide = TcpHeader::kSyn | TcpHeader::kFin | TcpHeader::kRst | TcpHeader::kAck;
  const TcpHeader& tcp = internal::tcp_header(packet);
  if (timer != FlowTimer::kTcpEstablished || (tcp.flags & kDecide) != TcpHeader::kAck) return false;
  internal::advance(line, tcp.sequence.host() + internal::tcp_payload_bytes(packet.headers), tcp.acknowledgment.host());
  return true;
}

}  // namespace millrace::nat
