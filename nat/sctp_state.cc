#include "nat/sctp_state.h"

#include <algorithm>

#include "net/wire.h"

namespace millrace::nat {
namespace {

using namespace net;
namespace type = net::sctp_chunk;

bool saw(std::uint8_t flags, std::uint8_t bit) noexcept { return (flags & bit) != 0; }

template <typename Line>
void set(Line& line, std::uint8_t bit) noexcept {
  line.tcp_flags = static_cast<std::uint8_t>(line.tcp_flags | bit);
}

/// The chunks of a packet, one after the other, as far as they lie in the first segment.
class Chunks {
 public:
  explicit Chunks(const Packet& packet) noexcept
      : bytes_(packet.head().first(std::min(packet.head_bytes, packet.headers.l3_offset + packet.headers.l3_length))),
        next_(packet.headers.payload_offset) {}

  /// nullptr: there is none, or it is cut. After DATA nothing is looked for.
  const SctpChunk* next() noexcept {
    if (count_ == kMaxSctpChunks) return nullptr;
    const auto* chunk = at<SctpChunk>(bytes_, next_);
    if (chunk == nullptr || chunk->length.host() < sizeof(SctpChunk)) return nullptr;
    at_ = next_;
    next_ += (chunk->length.host() + 3u) & ~3u;
    count_ = chunk->type == type::kData ? kMaxSctpChunks : count_ + 1;
    return chunk;
  }

  /// Of the INIT or INIT ACK that next() gave; 0, which no sender chooses, when it is cut.
  std::uint32_t initiate_tag() const noexcept {
    const auto* init = at<SctpInitChunk>(bytes_, at_);
    return init == nullptr ? 0 : init->initiate_tag.host();
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t next_;
  std::size_t at_ = 0;
  unsigned count_ = 0;
};

std::uint32_t tag_of(const Packet& packet) noexcept {
  return view<SctpHeader>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l4_offset)
      .verification_tag.host();
}

template <typename Line>
void begin_anew(Line& line, Line& partner) noexcept {
  line.tcp_flags = partner.tcp_flags = 0;
  line.tcp_end = partner.tcp_end = 0;
}

template <typename Line>
void note_init(Line& line, Line& partner, std::uint32_t tag, std::uint32_t initiate_tag) noexcept {
  if (tag != 0 || initiate_tag == 0) return;  // RFC 9260 8.5.1 A
  if (saw(line.tcp_flags | partner.tcp_flags, sctp_seen::kEnded)) begin_anew(line, partner);
  if (saw(partner.tcp_flags, sctp_seen::kInitAck) || saw(line.tcp_flags, ~sctp_seen::kInit)) return;
  set(line, sctp_seen::kInit);
  partner.tcp_end = initiate_tag;
}

template <typename Line>
void note_init_ack(Line& line, Line& partner, std::uint32_t initiate_tag) noexcept {
  if (initiate_tag == 0 || !saw(partner.tcp_flags, sctp_seen::kInit)) return;
  if (saw(partner.tcp_flags, sctp_seen::kCookieEcho)) return;  // late: its tags are in use
  set(line, sctp_seen::kInitAck);
  partner.tcp_end = initiate_tag;
}

/// A chunk that only a side that has this tag can send; INIT apart.
template <typename Line>
void note_chunk(Line& line, Line& partner, const SctpChunk& chunk, const Chunks& chunks) noexcept {
  switch (chunk.type) {
    case type::kInitAck: note_init_ack(line, partner, chunks.initiate_tag()); break;
    case type::kCookieEcho: set(line, sctp_seen::kCookieEcho); break;
    case type::kCookieAck:
      if (saw(partner.tcp_flags, sctp_seen::kCookieEcho)) set(line, sctp_seen::kCookieAck);
      break;
    case type::kShutdown:
    case type::kShutdownAck: set(line, sctp_seen::kShutdown); break;
    case type::kShutdownComplete:
    case type::kAbort: set(line, sctp_seen::kEnded); break;
    default: set(line, sctp_seen::kHeard); break;
  }
}

bool is_end(const SctpChunk& chunk) noexcept {
  return chunk.type == type::kAbort || chunk.type == type::kShutdownComplete;
}

/// Whether the packet carries its direction's tag; takes it from the packet where the flow began in the middle.
template <typename Line>
bool has_right_tag(Line& line, const Line& partner, std::uint32_t tag, const SctpChunk& first) noexcept {
  if (is_end(first) && (first.flags & SctpChunk::kTagReflected) != 0) return tag != 0 && tag == partner.tcp_end;
  if (line.tcp_end == 0 && !saw(line.tcp_flags | partner.tcp_flags, sctp_seen::kInit) && !is_end(first)) {
    line.tcp_end = tag;
  }
  return tag != 0 && tag == line.tcp_end;
}

FlowTimer timer_of(SctpState state) noexcept {
  switch (state) {
    case SctpState::kOpening: return FlowTimer::kSctpHandshake;
    case SctpState::kEstablished: return FlowTimer::kSctpEstablished;
    default: return FlowTimer::kSctpClosing;
  }
}

}  // namespace

const char* to_string(SctpState state) noexcept {
  switch (state) {
    case SctpState::kOpening: return "opening";
    case SctpState::kEstablished: return "established";
    case SctpState::kClosing: return "closing";
    case SctpState::kClosed: return "closed";
  }
  return "unknown";
}

SctpStart sctp_start(const Packet& packet) noexcept {
  const SctpChunk* first = Chunks(packet).next();
  if (first == nullptr || is_end(*first)) return SctpStart::kInvalid;
  if (first->type == type::kInit) return tag_of(packet) == 0 ? SctpStart::kNew : SctpStart::kInvalid;
  return first->type == type::kHeartbeat ? SctpStart::kNew : SctpStart::kPickUp;
}

template <typename Line>
SctpState sctp_state(const Line& original) noexcept {
  const std::uint8_t ours = original.tcp_flags;
  const std::uint8_t theirs = original.partner().tcp_flags;
  const auto any = static_cast<std::uint8_t>(ours | theirs);
  if (saw(any, sctp_seen::kEnded)) return SctpState::kClosed;
  if (!saw(any, sctp_seen::kCookieAck) && !saw(ours & theirs, sctp_seen::kHeard)) return SctpState::kOpening;
  return saw(any, sctp_seen::kShutdown) ? SctpState::kClosing : SctpState::kEstablished;
}

template <typename Line>
FlowTimer note_sctp(Line& line, FlowTimer timer, const Packet& packet) noexcept {
  Chunks chunks(packet);
  const SctpChunk* chunk = chunks.next();
  if (chunk == nullptr) return timer;
  if (chunk->type == type::kData && timer == FlowTimer::kSctpEstablished) return timer;
  Line& partner = line.partner();
  const std::uint32_t tag = tag_of(packet);
  if (chunk->type == type::kInit) {
    note_init(line, partner, tag, chunks.initiate_tag());
  } else if (has_right_tag(line, partner, tag, *chunk)) {
    for (; chunk != nullptr; chunk = chunks.next()) note_chunk(line, partner, *chunk, chunks);
  }
  return timer_of(sctp_state(line.original()));
}

template SctpState sctp_state(const FlowLineV4&) noexcept;
template SctpState sctp_state(const FlowLineV6&) noexcept;
template FlowTimer note_sctp(FlowLineV4&, FlowTimer, const Packet&) noexcept;
template FlowTimer note_sctp(FlowLineV6&, FlowTimer, const Packet&) noexcept;

}  // namespace millrace::nat
