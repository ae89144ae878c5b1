#include "perf/gen/run/engine.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "perf/gen/run/turn_round.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint64_t kPublishNs = 1'000'000;

bool headers_are_right(const net::Packet& packet) noexcept {
  net::Headers headers;
  if (net::parse(packet.head(), packet.length_bytes, headers) != net::Drop::kNone) return false;
  if (headers.l3 == net::L3::kIpv4 &&
      !net::ipv4_checksum_is_right(net::view<net::Ipv4Header>(packet.head().data() + headers.l3_offset))) {
    return false;
  }
  return net::l4_checksum_is_right(packet.head(), headers);
}

}  // namespace

Engine::Engine(datapath::PacketPool& pool, Clock& clock, std::vector<EnginePort> ports,
               std::vector<EngineStream> streams, const EngineOptions& options)
    : clock_(clock),
      stock_(pool),
      ports_(std::move(ports)),
      streams_(std::move(streams)),
      options_(options),
      waiting_(ports_.size()),
      sent_(streams_.size()),
      port_results_(ports_.size()) {
  for (std::size_t i = 0; i < options.stream_count; ++i) {
    meters_.push_back(std::make_unique<StreamMeter>());
    if (options.timeline) meters_.back()->keep_timeline(*options.timeline);
  }
  live_.value().streams.resize(options.stream_count);
  live_.value().ports.resize(ports_.size());
}

Engine::~Engine() {
  for (Waiting& waiting : waiting_) {
    for (unsigned i = 0; i < waiting.count; ++i) stock_.give(waiting.packets[i]);
  }
}

void Engine::run(const std::atomic<bool>& stop) noexcept {
  std::uint64_t now_ns = clock_.now_ns();
  for (;;) {
    turn(now_ns);
    const std::uint64_t next_ns = clock_.now_ns();
    if (sending_) {
      (worked_ == 0 ? idle_ns_ : busy_ns_) += next_ns - now_ns;
      if (stop.load(std::memory_order_relaxed)) stop_sending(next_ns);
    }
    now_ns = next_ns;
    if (now_ns - published_ns_ >= kPublishNs) publish(now_ns);
    if (!sending_ && (now_ns - ended_ns_ >= options_.drain_ns || all_is_back())) break;
  }
  publish(now_ns);
}

void Engine::turn(std::uint64_t now_ns) noexcept {
  worked_ = 0;
  for (std::size_t i = 0; i < ports_.size(); ++i) worked_ += receive(i, now_ns);
  if (sending_) {
    // A pause that lasts over the end is made up for as any other is: for a while after it, what was due before may go.
    if (now_ns >= options_.end_ns && grace_until_ns_ == 0) grace_until_ns_ = now_ns + options_.grace_ns;
    const std::uint64_t due_by_ns = std::min(now_ns, options_.end_ns - 1);
    unsigned offered = 0;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      if (now_ns < options_.end_ns || streams_[i].schedule.is_paced()) offered += offer_due(i, due_by_ns);
    }
    worked_ += offered;
    late_work_ = offered != 0;
  }
  bool anything_to_send = false;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (waiting_[i].count != 0) transmit(i);
    if (waiting_[i].touched) ports_[i].port->flush();
    waiting_[i].touched = false;
    anything_to_send |= waiting_[i].count != 0;
  }
  if (sending_ && !anything_to_send) end_streams(now_ns);
  const bool nothing_left = !late_work_ && !anything_to_send;
  if (sending_ && now_ns >= options_.end_ns && (nothing_left || now_ns >= grace_until_ns_))
    stop_sending(options_.end_ns);
}

/// Streams may end before the time is over; the trial ends when those of all engines have.
void Engine::end_streams(std::uint64_t now_ns) noexcept {
  const auto has_ended = [](const EngineStream& stream) { return stream.schedule.ended(); };
  if (!streams_ended_ && std::ranges::all_of(streams_, has_ended)) {
    streams_ended_ = true;
    options_.trial->sending.fetch_sub(1, std::memory_order_relaxed);
  }
  if (streams_ended_ && options_.trial->sending.load(std::memory_order_relaxed) == 0) stop_sending(now_ns);
}

void Engine::stop_sending(std::uint64_t now_ns) noexcept {
  if (!sending_) return;
  sending_ = false;
  ended_ns_ = options_.end_ns = std::min(now_ns, options_.end_ns);
  // What the devices did not take by now is unsent; an answer may still go.
  for (Waiting& waiting : waiting_) {
    unsigned kept = 0;
    for (unsigned i = 0; i < waiting.count; ++i) {
      if (waiting.stream[i] == kNoStream) {
        waiting.stream[kept] = kNoStream;
        waiting.packets[kept++] = waiting.packets[i];
      } else {
        stock_.give(waiting.packets[i]);
      }
    }
    waiting.count = kept;
  }
}

unsigned Engine::receive(std::size_t index, std::uint64_t now_ns) noexcept {
  std::array<net::Packet*, datapath::kBurst> burst;
  const unsigned count = ports_[index].port->receive(burst);
  PortResult& result = port_results_[index];
  result.received += count;
  constexpr unsigned kAhead = 4;
  const auto fetch = [&](unsigned i) {
    const net::Packet& packet = *burst[i];
    __builtin_prefetch(packet.data + packet.head_bytes - std::min<std::uint32_t>(packet.head_bytes, Tag::kBytes));
  };
  for (unsigned i = 0; i < std::min(count, kAhead); ++i) fetch(i);
  for (unsigned i = 0; i < count; ++i) {
    if (i + kAhead < count) fetch(i + kAhead);
    if (ports_[index].echo) {
      if (send_back(*burst[i], index)) continue;
      ++result.echo_lost;
    } else {
      judge(*burst[i], result, now_ns);
    }
    stock_.give(burst[i]);
  }
  return count;
}

void Engine::judge(net::Packet& packet, PortResult& result, std::uint64_t now_ns) noexcept {
  Tag tag;
  TagFound found = read_tag(packet.head(), tag);
  if (found == TagFound::kNone) [[unlikely]] {
    // A device may have padded the frame: the IP header knows where the packet ends.
    net::Headers headers;
    if (net::parse(packet.head(), packet.length_bytes, headers) == net::Drop::kNone) {
      found = read_tag(
          packet.head().first(std::min<std::size_t>(headers.l3_offset + headers.l3_length, packet.head_bytes)), tag);
    }
  }
  if (found == TagFound::kNone) {
    ++result.foreign;
  } else if (found == TagFound::kDamaged) {
    ++result.damaged;
  } else if (tag.epoch != options_.epoch) {
    ++result.stale;
  } else if (tag.stream >= meters_.size()) {
    ++result.foreign;
  } else {
    if (options_.verify_headers && !headers_are_right(packet)) ++result.bad_headers;
    const std::uint64_t latency_ns = meters_[tag.stream]->take(tag, packet.length_bytes, now_ns);
    ++judged_;
    latency_sum_ns_ += latency_ns;
    latency_most_ns_ = std::max(latency_most_ns_, latency_ns);
  }
}

bool Engine::send_back(net::Packet& packet, std::size_t index) noexcept {
  Waiting& waiting = waiting_[index];
  if (waiting.count == waiting.packets.size()) transmit(index);
  if (waiting.count == waiting.packets.size() || !turn_round(packet)) return false;
  waiting.stream[waiting.count] = kNoStream;
  waiting.packets[waiting.count++] = &packet;
  ++port_results_[index].turned;
  return true;
}

unsigned Engine::offer_due(std::size_t stream_index, std::uint64_t now_ns) noexcept {
  EngineStream& stream = streams_[stream_index];
  if (!stream.schedule.is_due(now_ns)) return 0;
  Waiting& waiting = waiting_[stream.port];
  if (waiting.count + kBuildBurst > waiting.packets.size()) transmit(stream.port);
  Tag tag{.epoch = options_.epoch, .stream = stream.number};
  for (unsigned built = 0; built < kBuildBurst; ++built) {
    if (waiting.count == waiting.packets.size() || !stream.schedule.is_due(now_ns)) break;
    net::Packet* const packet = stock_.take();
    if (packet == nullptr) break;
    tag.sequence = static_cast<std::uint32_t>(stream.schedule.taken());
    tag.time_ns = stream.schedule.take(now_ns) & Tag::kTimeMask;
    packet->head_bytes = packet->length_bytes = stream.source->build(packet->data, tag);
    waiting.stream[waiting.count] = static_cast<std::uint16_t>(stream_index);
    waiting.packets[waiting.count++] = packet;
  }
  return 1;  // something was due, whether or not there was room: no idle turn
}

unsigned Engine::transmit(std::size_t index) noexcept {
  Waiting& waiting = waiting_[index];
  waiting.touched = true;
  std::array<std::uint16_t, datapath::kBurst> bytes;  // the packets are the device's once they are taken
  for (unsigned i = 0; i < waiting.count; ++i) bytes[i] = static_cast<std::uint16_t>(waiting.packets[i]->length_bytes);
  const unsigned taken = ports_[index].port->transmit(std::span(waiting.packets).first(waiting.count));
  for (unsigned i = 0; i < taken; ++i) {
    if (waiting.stream[i] == kNoStream) continue;
    ++sent_[waiting.stream[i]].packets;
    sent_[waiting.stream[i]].bytes += bytes[i];
  }
  port_results_[index].sent += taken;
  sent_total_ += taken;
  waiting.count -= taken;
  if (taken != 0 && waiting.count != 0) {
    std::memmove(waiting.packets.data(), waiting.packets.data() + taken, waiting.count * sizeof(net::Packet*));
    std::memmove(waiting.stream.data(), waiting.stream.data() + taken, waiting.count * sizeof(std::uint16_t));
  }
  return taken;
}

void Engine::copy_counts(LiveCounts& counts) const noexcept {
  for (std::size_t i = 0; i < meters_.size(); ++i) {
    counts.streams[i].sent = counts.streams[i].untagged = 0;
    counts.streams[i].received = meters_[i]->counts().received;
    counts.streams[i].latency = meters_[i]->latency();  // of one size: copied in place
  }
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    LiveCounts::Stream& stream = counts.streams[streams_[i].number];
    stream.sent += sent_[i].packets;
    if (!streams_[i].tagged) stream.untagged += sent_[i].packets;
  }
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    counts.ports[i] = {.sent = port_results_[i].sent, .received = port_results_[i].received};
  }
  counts.idle_ns = idle_ns_;
  counts.busy_ns = busy_ns_;
}

bool Engine::all_is_back() const noexcept {
  // Only a turn that has just published knows all that this engine received.
  return options_.trial->sending.load(std::memory_order_acquire) == 0 && published_ended_ &&
         options_.trial->outstanding.load(std::memory_order_acquire) == 0;
}

void Engine::publish(std::uint64_t now_ns) noexcept {
  published_ns_ = now_ns;
  live_.fill_if_wanted([this](LiveCounts& counts) { copy_counts(counts); });
  constexpr auto kRelaxed = std::memory_order_relaxed;
  progress_.sent.store(sent_total_, kRelaxed);
  progress_.received.store(judged_, kRelaxed);
  progress_.latency_sum_ns.store(latency_sum_ns_, kRelaxed);
  progress_.idle_ns.store(idle_ns_, kRelaxed);
  progress_.busy_ns.store(busy_ns_, kRelaxed);
  // Whoever looks takes the highest and leaves 0; of a race between the two the later one wins, and nothing is counted
  // by it.
  if (latency_most_ns_ > progress_.latency_most_ns.load(kRelaxed)) {
    progress_.latency_most_ns.store(latency_most_ns_, kRelaxed);
  }
  latency_most_ns_ = 0;
  std::int64_t outstanding = 0;
  for (const Sent& sent : sent_) outstanding += static_cast<std::int64_t>(sent.packets);
  for (const auto& meter : meters_) outstanding -= static_cast<std::int64_t>(meter->counts().received);
  options_.trial->outstanding.fetch_add(outstanding - outstanding_, std::memory_order_release);
  outstanding_ = outstanding;
  if (!sending_ && !published_ended_) {
    published_ended_ = true;
    if (!streams_ended_) options_.trial->sending.fetch_sub(1, std::memory_order_release);
    streams_ended_ = true;
  }
}

void Engine::add_result(std::uint8_t number, StreamResult& result) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i].number != number) continue;
    result.sent += sent_[i].packets;
    result.sent_bytes += sent_[i].bytes;
    if (!streams_[i].tagged) result.untagged += sent_[i].packets;
    result.due += streams_[i].schedule.is_paced() ? streams_[i].schedule.due_before(options_.end_ns) : sent_[i].packets;
  }
  result.received += meters_[number]->counts();
  result.latency.merge(meters_[number]->latency());
  auto& timeline = meters_[number]->timeline();
  if (!timeline) return;
  timeline->end_gap(options_.end_ns);
  if (result.timeline) {
    result.timeline->merge(*timeline);
  } else {
    result.timeline = *timeline;
  }
}

}  // namespace millrace::perf::gen
