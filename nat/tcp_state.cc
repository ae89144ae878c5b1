#include "nat/tcp_state.h"

namespace millrace::nat {
namespace {

using namespace net;

struct Segment {
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t ack = 0;
  std::uint32_t end = 0;  // behind its last byte; SYN and FIN count as one each

  bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
};

Segment segment_of(const Packet& packet) noexcept {
  const TcpHeader& tcp = internal::tcp_header(packet);
  Segment segment{.flags = tcp.flags, .sequence = tcp.sequence.host(), .ack = tcp.acknowledgment.host()};
  segment.end = segment.sequence + internal::tcp_payload_bytes(packet.headers) +
                (segment.has(TcpHeader::kSyn) ? 1u : 0u) + (segment.has(TcpHeader::kFin) ? 1u : 0u);
  return segment;
}

bool saw(std::uint8_t tcp_flags, std::uint8_t bit) noexcept { return (tcp_flags & bit) != 0; }

template <typename Line>
void set(Line& line, unsigned bits) noexcept {
  line.tcp_flags = static_cast<std::uint8_t>(line.tcp_flags | bits);
}

template <typename Line>
bool is_picked_up(const Line& line) noexcept {
  return saw(line.original().tcp_flags, tcp_seen::kPickedUp);
}

/// Whether `ack` acknowledges the last of what `other` has sent, or a byte not far before it.
template <typename Line>
bool acknowledges(std::uint32_t ack, const Line& other) noexcept {
  return other.tcp_end - ack < kMaxAdvanceBytes;
}

/// Whether the receiver would take this RST: see the header.
template <typename Line>
bool is_taken_reset(const Line& line, const Line& partner, const Segment& segment) noexcept {
  if (saw(partner.tcp_flags, tcp_seen::kAck)) {
    const bool is_end_known = saw(line.tcp_flags, tcp_seen::kSyn | tcp_seen::kAck);
    const std::uint32_t in_flight = is_end_known ? line.tcp_end - partner.tcp_ack : 0;
    if (in_flight > 0x7fffffff) return false;  // acknowledges what was never seen: nothing to compare with
    return segment.sequence - partner.tcp_ack <= in_flight;
  }
  // RFC 9293 3.10.7.3: in SYN-SENT a RST must acknowledge the SYN.
  if (segment.has(TcpHeader::kAck) && saw(partner.tcp_flags, tcp_seen::kSyn)) {
    return acknowledges(segment.ack, partner);
  }
  return saw(line.tcp_flags, tcp_seen::kSyn | tcp_seen::kAck) && segment.sequence == line.tcp_end;
}

template <typename Line>
void note_syn(Line& line, const Line& partner, const Segment& segment) noexcept {
  if (segment.has(TcpHeader::kFin)) return;
  if (saw(line.tcp_flags, tcp_seen::kAck)) return;  // past its handshake: again, or not its sender's
  if (segment.has(TcpHeader::kAck)) {
    const bool fits = saw(partner.tcp_flags, tcp_seen::kSyn) ? acknowledges(segment.ack, partner) : is_picked_up(line);
    if (!fits) return;
    set(line, tcp_seen::kSyn | tcp_seen::kAck);
    line.tcp_end = segment.end;
    line.tcp_ack = segment.ack;
    return;
  }
  // Again with another number while nobody has answered: the first attempt was given up.
  if (saw(line.tcp_flags, tcp_seen::kSyn) && partner.tcp_flags != 0) return;
  set(line, tcp_seen::kSyn);
  line.tcp_end = segment.end;
}

/// False: the line's direction has not come so far that it could send this.
template <typename Line>
bool note_first_ack(Line& line, const Line& partner, const Segment& segment) noexcept {
  if (saw(line.tcp_flags, tcp_seen::kAck)) return true;
  if (saw(line.tcp_flags, tcp_seen::kSyn)) {
    if (!saw(partner.tcp_flags, tcp_seen::kSyn) || !acknowledges(segment.ack, partner)) return false;
  } else {
    if (!is_picked_up(line)) return false;
    line.tcp_end = segment.sequence;
  }
  set(line, tcp_seen::kAck);
  line.tcp_ack = segment.ack;
  return true;
}

template <typename Line>
void note_ack(Line& line, Line& partner, const Segment& segment) noexcept {
  if (!segment.has(TcpHeader::kAck) || !note_first_ack(line, partner, segment)) return;
  // Behind its FIN a direction sends nothing: its end stays.
  const std::uint32_t end = saw(line.tcp_flags, tcp_seen::kFin) ? line.tcp_end : segment.end;
  if (segment.has(TcpHeader::kFin) && internal::is_advance(line, end)) set(line, tcp_seen::kFin);
  internal::advance(line, end, segment.ack);
  if (saw(partner.tcp_flags, tcp_seen::kFin) && segment.ack == partner.tcp_end) set(partner, tcp_seen::kFinAcked);
}

FlowTimer timer_of(TcpState state) noexcept {
  switch (state) {
    case TcpState::kEstablished: return FlowTimer::kTcpEstablished;
    case TcpState::kFinWait:
    case TcpState::kCloseWait: return FlowTimer::kTcpClosing;
    case TcpState::kTimeWait:
    case TcpState::kClosed: return FlowTimer::kTcpClosed;
    default: return FlowTimer::kTcpHandshake;
  }
}

}  // namespace

const char* to_string(TcpState state) noexcept {
  switch (state) {
    case TcpState::kNone: return "none";
    case TcpState::kSynSent: return "syn_sent";
    case TcpState::kSynReceived: return "syn_received";
    case TcpState::kEstablished: return "established";
    case TcpState::kFinWait: return "fin_wait";
    case TcpState::kCloseWait: return "close_wait";
    case TcpState::kTimeWait: return "time_wait";
    case TcpState::kClosed: return "closed";
  }
  return "unknown";
}

TcpStart tcp_start(const Packet& packet) noexcept {
  const Segment segment{.flags = internal::tcp_header(packet).flags};
  if (segment.has(TcpHeader::kRst)) return TcpStart::kInvalid;
  if (segment.has(TcpHeader::kSyn)) {
    if (segment.has(TcpHeader::kFin)) return TcpStart::kInvalid;
    return segment.has(TcpHeader::kAck) ? TcpStart::kPickUp : TcpStart::kNew;
  }
  return segment.has(TcpHeader::kAck) ? TcpStart::kPickUp : TcpStart::kInvalid;
}

template <typename Line>
TcpState tcp_state(const Line& original) noexcept {
  const std::uint8_t ours = original.tcp_flags;
  const std::uint8_t theirs = original.partner().tcp_flags;
  const auto both = static_cast<std::uint8_t>(ours & theirs);
  const auto any = static_cast<std::uint8_t>(ours | theirs);
  if (saw(any, tcp_seen::kRst)) return TcpState::kClosed;
  if (!saw(both, tcp_seen::kAck)) {
    if (saw(any, tcp_seen::kPickedUp) || !saw(any, tcp_seen::kSyn)) return TcpState::kNone;
    return saw(both, tcp_seen::kSyn) ? TcpState::kSynReceived : TcpState::kSynSent;
  }
  if (saw(both, tcp_seen::kFinAcked)) return TcpState::kTimeWait;
  if (saw(ours, tcp_seen::kFin)) return TcpState::kFinWait;
  return saw(theirs, tcp_seen::kFin) ? TcpState::kCloseWait : TcpState::kEstablished;
}

template <typename Line>
FlowTimer note_tcp(Line& line, const Packet& packet, bool picked_up) noexcept {
  Line& partner = line.partner();
  const Segment segment = segment_of(packet);
  if (picked_up) set(line, tcp_seen::kPickedUp);
  if (segment.has(TcpHeader::kRst)) {
    if (is_taken_reset(line, partner, segment)) set(line, tcp_seen::kRst);
  } else if (segment.has(TcpHeader::kSyn)) {
    note_syn(line, partner, segment);
  } else {
    note_ack(line, partner, segment);
  }
  return timer_of(tcp_state(line.original()));
}

template <typename Line>
bool begins_again(const Line& line, const Packet& packet) noexcept {
  if (tcp_start(packet) != TcpStart::kNew) return false;
  switch (tcp_state(line.original())) {
    case TcpState::kTimeWait:
    case TcpState::kClosed: return true;
    // The side that has not closed may still be sending: a SYN in its name is not its own.
    case TcpState::kFinWait:
    case TcpState::kCloseWait: return saw(line.tcp_flags, tcp_seen::kFin);
    default: return false;
  }
}

template TcpState tcp_state(const FlowLineV4&) noexcept;
template TcpState tcp_state(const FlowLineV6&) noexcept;
template FlowTimer note_tcp(FlowLineV4&, const Packet&, bool) noexcept;
template FlowTimer note_tcp(FlowLineV6&, const Packet&, bool) noexcept;
template bool begins_again(const FlowLineV4&, const Packet&) noexcept;
template bool begins_again(const FlowLineV6&, const Packet&) noexcept;

}  // namespace millrace::nat
