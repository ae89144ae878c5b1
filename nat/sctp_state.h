/// SCTP state of a flow from the chunks each direction has sent. Coarse: what its timer needs, no more.
///
/// Shape:   as tcp_state.h: no state variable. FlowLine::tcp_flags holds what a direction has sent, tcp_end the
///          verification tag its packets carry, which the other side has chosen (0: not known); tcp_ack is not used.
///          A packet with another tag is not its sender's and changes nothing (RFC 9260 8.5); an ABORT or SHUTDOWN
///          COMPLETE with the T bit carries the other direction's. A flow that begins in the middle (a restart, the
///          HEARTBEAT of another path) takes the tag of the first packet each way.
///          INIT on a flow that has ended begins a new association on it. An association restarted in place (RFC 9260
///          5.2.2) goes on with tags that were not noted: it is translated, and its end is not seen.
/// Thread:  the owning worker. Pure functions on lines and headers.
/// Source:  RFC 9260 sections 3.3, 5, 8.4, 8.5, 9; the states those of a coarser nf_conntrack.
#pragma once

#include <cstdint>

#include "nat/flow_line.h"
#include "nat/flow_timer.h"
#include "net/packet.h"

namespace millrace::nat {

/// Chunks that are looked at in one packet; those behind DATA never are (RFC 9260 6.10: control chunks come first).
inline constexpr unsigned kMaxSctpChunks = 16;

/// Bits of FlowLine::tcp_flags on a line of SCTP.
namespace sctp_seen {
inline constexpr std::uint8_t kInit = 1 << 0;
inline constexpr std::uint8_t kInitAck = 1 << 1;
inline constexpr std::uint8_t kCookieEcho = 1 << 2;
inline constexpr std::uint8_t kCookieAck = 1 << 3;
inline constexpr std::uint8_t kHeard = 1 << 4;     // DATA, SACK, HEARTBEAT ... with the right tag
inline constexpr std::uint8_t kShutdown = 1 << 5;  // SHUTDOWN or its ACK
inline constexpr std::uint8_t kEnded = 1 << 6;     // SHUTDOWN COMPLETE or ABORT
}  // namespace sctp_seen

enum class SctpState : std::uint8_t { kOpening, kEstablished, kClosing, kClosed };
const char* to_string(SctpState state) noexcept;

/// What an SCTP packet may begin a flow with.
enum class SctpStart : std::uint8_t {
  kNew,      // INIT; HEARTBEAT of a further path
  kPickUp,   // the middle of an association: only where loose pick-up is set
  kInvalid,  // never begins one: ABORT, SHUTDOWN COMPLETE, INIT with a tag, no chunk at all
};
/// Precondition: the packet's SCTP header was parsed.
SctpStart sctp_start(const net::Packet& packet) noexcept;

/// Notes a packet on its line. `timer` is the flow's; returns the one it has from now on. `line` lies in a table (its
/// partner is read and written). Precondition: the packet's SCTP header was parsed.
template <typename Line>
FlowTimer note_sctp(Line& line, FlowTimer timer, const net::Packet& packet) noexcept;

template <typename Line>
SctpState sctp_state(const Line& original) noexcept;

}  // namespace millrace::nat
