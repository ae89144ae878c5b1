#include "datapath/pipeline.h"

#include <algorithm>
#include <array>
#include <utility>

#include "datapath/answer.h"
#include "datapath/burst.h"
#include "datapath/dhcp.h"
#include "datapath/guard.h"
#include "datapath/rewrite.h"
#include "datapath/steer.h"
#include "datapath/track.h"
#include "datapath/tunnel_in.h"
#include "datapath/tunnel_out.h"
#include "datapath/uplink_filter.h"
#include "datapath/way_out.h"
#include "net/offload.h"
#include "net/parser.h"

namespace millrace::datapath {
namespace {

using net::Drop;

/// Packets ahead of the parser whose headers are fetched into the cache, and those whose descriptors are, so that the
/// address of the headers is there by then.
constexpr unsigned kHeadersAhead = 8;
constexpr unsigned kDescriptorsAhead = 16;

void prefetch_descriptor(const net::Packet* packet) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet);
  __builtin_prefetch(bytes, 1);
  __builtin_prefetch(bytes + 64, 1);
}

/// Where headers begin and, where they may be a tunnel's, its second line: what is inside.
enum class Depth { kFirstLine, kTwoLines };

/// Gives every packet to `take`, with its headers on the way into the cache; counts what was received.
template <Depth kDepth, typename Take>
[[gnu::always_inline]] inline void for_received(Turn& turn, net::PortId in_port, std::span<net::Packet* const> received,
                                                Take take) noexcept {
  const auto prefetch_headers = [](const net::Packet* packet) {
    __builtin_prefetch(packet->data, 1);
    if constexpr (kDepth == Depth::kTwoLines) __builtin_prefetch(packet->data + 64, 1);
  };
  const std::size_t count = received.size();
  for (std::size_t i = 0; i < std::min<std::size_t>(count, kDescriptorsAhead); ++i) prefetch_descriptor(received[i]);
  for (std::size_t i = 0; i < std::min<std::size_t>(count, kHeadersAhead); ++i) prefetch_headers(received[i]);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kDescriptorsAhead < count) prefetch_descriptor(received[i + kDescriptorsAhead]);
    if (i + kHeadersAhead < count) prefetch_headers(received[i + kHeadersAhead]);
    net::Packet& packet = *received[i];
    packet.in_port = in_port;
    packet.out_port = net::kNoPort;
    packet.tunnel = net::kNoPort;
    bytes += packet.length_bytes;
    take(packet);
  }
  PortCounters& row = turn.counters.port(in_port);
  row.rx_packets.add(count);
  row.rx_bytes.add(bytes);
}

[[gnu::always_inline]] inline void parse_into(net::Packet& packet, Burst& burst) noexcept {
  Drop drop = net::parse(packet.head(), packet.length_bytes, packet.headers);
  if (net::has_offload(packet) && drop == Drop::kNone) drop = net::check_offload(packet);
  if (drop != Drop::kNone) [[unlikely]] {
    burst.drop(packet, drop);
  } else {
    burst.live[burst.live_count++] = &packet;
  }
}

void count_drop(PortCounters& row, Drop reason) noexcept { row.drops[static_cast<std::size_t>(reason)].add(1); }

/// Counts what was dropped, answers with an error where one is due, and gives the rest back. About a packet that
/// another worker has translated no error can be made: it would quote what nobody sent.
void finish_dropped(Turn& turn, HandoffStage stage, Burst& burst) noexcept {
  if (burst.dropped_count == 0) [[likely]]
    return;
  unsigned kept = 0;
  for (unsigned i = 0; i < burst.dropped_count; ++i) {
    net::Packet& packet = *burst.dropped[i];
    PortCounters& row = turn.counters.row_of(packet.in_port);
    count_drop(row, packet.drop);
    turn.tap.note_drop(packet, packet.drop, stage);
    if (packet.is_chained()) [[unlikely]] {
      net::Packet* const tail = net::take_tail(packet);  // an answer has one segment
      turn.pool.release({&tail, 1});
    }
    const ErrorAnswer error = stage == HandoffStage::kArrived
                                  ? answer_with_error(packet, turn.snapshot, turn.icmp_errors, turn.now_ns)
                                  : ErrorAnswer::kNone;
    if (error != ErrorAnswer::kNone) row.created.add(1);
    if (error == ErrorAnswer::kLimited) count_drop(row, Drop::kIcmpRateLimited);
    Drop lost = Drop::kNone;
    if (error == ErrorAnswer::kSent && is_tunnel(turn.snapshot, packet.out_port)) lost = enter_tunnel(turn, packet);
    if (lost != Drop::kNone) count_drop(row, lost);
    if (error == ErrorAnswer::kSent && lost == Drop::kNone) {
      row.answered.add(1);
      turn.outbox.put(packet);
    } else {
      burst.dropped[kept++] = &packet;
    }
  }
  if (kept > 0) turn.pool.release({burst.dropped.data(), kept});
}

/// Gives a packet on as it is: from a device that no kernel drives to the node, or from the node to the device.
Verdict pass_beside(Turn& turn, const PortEntry& in, net::Packet& packet) noexcept {
  if (in.beside == net::kNoPort) return {Drop::kNodeLinkDown};
  packet.drop = Drop::kNone;
  packet.out_port = in.beside;
  turn.outbox.put(packet);
  return {Drop::kNone, Then::kIsGone};
}

/// Leaves in the burst what is the switch's.
void part_from_node(Turn& turn, const PortEntry& in, Burst& burst) noexcept {
  // What cannot be parsed is the node's kernel's to judge.
  const unsigned broken = std::exchange(burst.dropped_count, 0);
  for (unsigned i = 0; i < broken; ++i) {
    net::Packet& packet = *burst.dropped[i];
    if (const auto [drop, then] = pass_beside(turn, in, packet); drop != Drop::kNone) burst.drop(packet, drop);
  }
  for_live(burst, [&](net::Packet& packet) {
    if (in.kind == PortKind::kNodeLink) {
      complete_checksum(packet);  // the node's kernel takes a veth for a device that does this
    } else if (is_for_switch(packet, in, turn.snapshot, turn.flows.fragments(), turn.now_ms())) {
      return Verdict{};
    }
    return pass_beside(turn, in, packet);
  });
}

/// From an uplink: what is VXLAN for this node is taken out of it, mostly at first sight. Of a filtered uplink only
/// packets to its own MAC are the switch's: uplink_filter.h.
[[gnu::noinline]] void open_burst(Turn& turn, net::PortId in_port, std::span<net::Packet* const> received,
                                  Burst& burst) noexcept {
  const PortEntry& in = turn.snapshot.ports[in_port];
  const Underlay& underlay = turn.snapshot.underlay;
  const net::Vtep vtep{underlay.ipv4, underlay.udp_port, underlay.vni, underlay.vtep_mac};
  Peers peers(turn);
  std::array<net::Packet*, kBurst> opened;
  unsigned opened_count = 0;
  for_received<Depth::kTwoLines>(turn, in_port, received, [&](net::Packet& packet) {
    const bool is_to_device = !in.is_filtered || (packet.head_bytes >= sizeof(net::EthernetHeader) &&
                                                  net::ethernet(packet).destination == in.mac);
    if (is_to_device && take_common(packet, vtep, peers)) [[likely]] {
      opened[opened_count++] = &packet;
    } else {
      parse_into(packet, burst);
    }
  });
  if (in.is_filtered) part_from_node(turn, in, burst);
  for_live(burst, [&](net::Packet& packet) { return Verdict{take_from_uplink(turn, packet, peers)}; });
  for (unsigned i = 0; i < opened_count; ++i) {
    net::Packet& packet = *opened[i];
    if (packet.drop != Drop::kNone) [[unlikely]] {
      burst.drop(packet, packet.drop);
    } else {
      burst.live[burst.live_count++] = &packet;
    }
  }
}

/// DHCP of pods with a leased address, which neither guard() nor the routes would let pass.
void carry_dhcp_burst(Turn& turn, Burst& burst) noexcept {
  for_live(burst, [&](net::Packet& packet) {
    const Drop drop = carry_dhcp(packet, turn.snapshot, turn.dhcp, turn.now_ns);
    if (drop != Drop::kNone || packet.out_port == net::kNoPort) return Verdict{drop};
    turn.outbox.put(packet);
    return Verdict{Drop::kNone, Then::kIsGone};
  });
}

/// Gives the packet to the worker that owns its flow. The ports of a later fragment are found first.
[[gnu::always_inline]] inline Verdict steer_packet(Turn& turn, const PortEntry& in, net::Packet& packet) noexcept {
  if (packet.headers.is_fragment) [[unlikely]] {
    if (!turn.flows.fragments().follow(packet, turn.now_ms())) return {Drop::kFragmentWithoutFirst};
  }
  const WorkerId to = steer(packet, in, turn.snapshot, turn.self);
  if (to == turn.self) [[likely]]
    return {};
  turn.outbox.hand_over(packet, to, HandoffStage::kArrived);
  return {Drop::kNone, Then::kIsGone};
}

/// track(), with somebody watching: what each packet was before, and what became of it.
[[gnu::noinline]] void track_watched(Turn& turn, HandoffStage stage, Burst& burst,
                                     std::span<Tracked> tracked) noexcept {
  std::array<PacketEnds, kBurst> arrived;
  for (unsigned i = 0; i < burst.live_count; ++i) arrived[i] = ends_of(*burst.live[i]);
  track(turn, {burst.live.data(), burst.live_count}, stage, tracked);
  for (unsigned i = 0; i < burst.live_count; ++i) {
    if (tracked[i].drop == Drop::kNone) turn.tap.note_passage(*burst.live[i], arrived[i], tracked[i].worker, stage);
  }
}

/// Flow, translation and hop of every packet, and out.
void track_burst(Turn& turn, HandoffStage stage, Burst& burst) noexcept {
  std::array<Tracked, kBurst> tracked;
  if (turn.tap.traces()) [[unlikely]] {
    track_watched(turn, stage, burst, tracked);
  } else {
    track(turn, {burst.live.data(), burst.live_count}, stage, tracked);
  }
  unsigned at = 0;
  for_live(burst, [&](net::Packet& packet) {
    const auto [drop, next] = tracked[at++];
    if (drop != Drop::kNone) [[unlikely]]
      return Verdict{drop};
    return Verdict{send_out(turn, packet, next), Then::kIsGone};
  });
}

}  // namespace

void from_port(Turn& turn, net::PortId in_port, std::span<net::Packet* const> received) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const PortEntry& in = snapshot.ports[in_port];
  Burst burst;

  if (may_be_tunnelled(in, snapshot)) {
    open_burst(turn, in_port, received, burst);
  } else {
    for_received<Depth::kFirstLine>(turn, in_port, received, [&](net::Packet& packet) { parse_into(packet, burst); });
    if (in.is_filtered || in.kind == PortKind::kNodeLink) [[unlikely]]
      part_from_node(turn, in, burst);
  }

  if (may_be_dhcp(in, snapshot)) [[unlikely]]
    carry_dhcp_burst(turn, burst);

  // Three small stages that look at the same bytes, and wait for no memory: one loop.
  for_live(burst, [&](net::Packet& packet) {
    Drop drop = guard(packet, in, snapshot);
    if (drop != Drop::kNone) [[unlikely]]
      return Verdict{drop};
    drop = answer(packet, snapshot);
    if (packet.out_port != net::kNoPort) [[unlikely]] {
      turn.counters.port(in_port).answered.add(1);
      turn.outbox.put(packet);
      return Verdict{drop, Then::kIsGone};
    }
    if (drop != Drop::kNone) [[unlikely]]
      return Verdict{drop};
    return steer_packet(turn, in, packet);
  });

  track_burst(turn, HandoffStage::kArrived, burst);
  finish_dropped(turn, HandoffStage::kArrived, burst);
}

void from_worker(Turn& turn, HandoffStage stage, std::span<net::Packet* const> packets) noexcept {
  Burst burst;
  for (net::Packet* const packet : packets) burst.live[burst.live_count++] = packet;
  track_burst(turn, stage, burst);
  finish_dropped(turn, stage, burst);
}

}  // namespace millrace::datapath
