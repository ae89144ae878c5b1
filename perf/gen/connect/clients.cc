#include "perf/gen/connect/clients.h"

#include <algorithm>
#include <numeric>

#include "net/wire.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {

using net::TcpHeader;

Clients::Clients(const ClientOptions& options)
    : options_(options), slots_(options.slots), free_(options.slots), free_count_(options.slots) {
  if (options_.response_bytes == 0) options_.response_bytes = options_.request_bytes;
  std::iota(free_.begin(), free_.end(), 0u);
}

Ends Clients::ends_of(std::uint32_t slot) const noexcept {
  Ends ends = options_.ends;
  ends.source = plus(ends.source, slot / kPortsEach);
  ends.source_port = static_cast<std::uint16_t>(kFirstPort + slot % kPortsEach);
  return ends;
}

std::uint32_t Clients::send(std::uint8_t* frame, std::uint32_t slot, std::uint8_t flags,
                            std::uint32_t payload) noexcept {
  Slot& own = slots_[slot];
  const Segment segment{
      .flags = flags, .sequence = own.next_sequence, .acknowledgment = own.acknowledgment, .payload_bytes = payload};
  own.next_sequence += payload + ((flags & (TcpHeader::kSyn | TcpHeader::kFin)) != 0 ? 1 : 0);
  return write_segment(frame, ends_of(slot), segment);
}

void Clients::wait(Slot& slot, State state, std::uint64_t now_ns, std::uint64_t deadline_ns) noexcept {
  slot.state = state;
  slot.began_ns = now_ns;
  slot.deadline_ns = deadline_ns;
}

std::uint32_t Clients::open(std::uint8_t* frame, std::uint64_t due_ns, std::uint64_t now_ns) noexcept {
  ++counts_.due;
  if (free_count_ == 0) {
    ++counts_.refused;
    return 0;
  }
  const std::uint32_t slot = free_[free_first_];
  free_first_ = free_first_ + 1 == free_.size() ? 0 : free_first_ + 1;
  --free_count_;
  counts_.most_open = std::max(counts_.most_open, ++counts_.open);
  Slot& own = slots_[slot];
  own.next_sequence = static_cast<std::uint32_t>(mix64(counts_.due));
  own.acknowledgment = own.came = 0;
  wait(own, options_.udp ? State::kRequested : State::kOpening, due_ns, now_ns + options_.timeout_ns);
  return options_.udp ? send(frame, slot, 0, options_.request_bytes) : send(frame, slot, TcpHeader::kSyn, 0);
}

void Clients::release(std::uint32_t slot) noexcept {
  slots_[slot].state = State::kFree;
  free_[(free_first_ + free_count_) % free_.size()] = slot;
  ++free_count_;
  --counts_.open;
}

void Clients::fail(std::uint32_t slot) noexcept {
  switch (slots_[slot].state) {
    case State::kOpening: ++counts_.no_connection; break;
    case State::kRequested: ++counts_.no_response; break;
    default: ++counts_.no_close; break;
  }
  release(slot);
}

bool Clients::take(net::Packet& packet, std::uint64_t now_ns) noexcept {
  const auto stray = [&] {
    ++counts_.strays;
    return false;
  };
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) return stray();
  const net::Headers& headers = packet.headers;
  const std::uint8_t protocol = options_.udp ? net::ip_protocol::kUdp : net::ip_protocol::kTcp;
  if (headers.l4_protocol != protocol || !headers.has_l4) return stray();
  const std::uint32_t client = behind(ends_of_answer(packet.data, headers).source, options_.ends.source);
  const std::uint32_t port = headers.destination_port - std::uint32_t{kFirstPort};
  const std::uint64_t index = std::uint64_t{client} * kPortsEach + port;
  if (port >= kPortsEach || index >= slots_.size()) return stray();
  const auto slot = static_cast<std::uint32_t>(index);
  Slot& own = slots_[slot];
  if (own.state == State::kFree) return stray();
  if (options_.udp) {
    response_ns_.add(now_ns - own.began_ns);
    ++counts_.completed;
    release(slot);
    return false;
  }
  const auto& tcp = net::view<TcpHeader>(packet.data + headers.l4_offset);
  if ((tcp.flags & TcpHeader::kRst) != 0) {
    ++counts_.reset;
    release(slot);
    return false;
  }
  if (tcp.acknowledgment.host() != own.next_sequence) return stray();
  const std::uint32_t payload = headers.l3_length - (headers.payload_offset - headers.l3_offset);
  constexpr std::uint8_t kSynAck = TcpHeader::kSyn | TcpHeader::kAck;
  if (own.state == State::kOpening && (tcp.flags & kSynAck) == kSynAck) {
    connect_ns_.add(now_ns - own.began_ns);
    own.acknowledgment = tcp.sequence.host() + 1;
    wait(own, State::kRequested, now_ns, now_ns + options_.timeout_ns);
    packet.head_bytes = packet.length_bytes =
        send(packet.data, slot, TcpHeader::kAck | TcpHeader::kPsh, options_.request_bytes);
    return true;
  }
  if (own.state == State::kRequested && payload != 0) {
    return take_response(packet, slot, tcp.sequence.host(), payload, now_ns);
  }
  if (own.state == State::kClosing && (tcp.flags & TcpHeader::kFin) != 0) {
    own.acknowledgment = tcp.sequence.host() + 1;
    packet.head_bytes = packet.length_bytes = send(packet.data, slot, TcpHeader::kAck, 0);
    ++counts_.completed;
    release(slot);
    return true;
  }
  return stray();
}

bool Clients::take_response(net::Packet& packet, std::uint32_t slot, std::uint32_t sequence, std::uint32_t payload,
                            std::uint64_t now_ns) noexcept {
  Slot& own = slots_[slot];
  if (sequence != own.acknowledgment) {  // one that overtook another, or came again
    ++counts_.strays;
    return false;
  }
  own.acknowledgment += payload;
  own.came += payload;
  if (own.came < options_.response_bytes) return false;
  response_ns_.add(now_ns - own.began_ns);
  if (options_.hold_ns != 0) {
    wait(own, State::kHeld, now_ns, now_ns + options_.hold_ns);
    return false;
  }
  wait(own, State::kClosing, now_ns, now_ns + options_.timeout_ns);
  packet.head_bytes = packet.length_bytes = send(packet.data, slot, TcpHeader::kFin | TcpHeader::kAck, 0);
  return true;
}

std::uint32_t Clients::sweep(std::uint8_t* frame, std::uint64_t now_ns) noexcept {
  for (std::uint32_t looked = 0; looked < kSweep; ++looked) {
    const std::uint32_t slot = swept_;
    swept_ = swept_ + 1 == slots_.size() ? 0 : swept_ + 1;
    Slot& own = slots_[slot];
    if (own.state == State::kFree || now_ns < own.deadline_ns) continue;
    if (own.state != State::kHeld) {
      fail(slot);
      continue;
    }
    wait(own, State::kClosing, now_ns, now_ns + options_.timeout_ns);
    return send(frame, slot, TcpHeader::kFin | TcpHeader::kAck, 0);
  }
  return 0;
}

}  // namespace millrace::perf::gen
