#include "datapath/way_out.h"

#include <array>

#include "net/fragment.h"
#include "net/segment.h"

namespace millrace::datapath {
namespace {

using net::Drop;

/// Most fragments one packet makes: 65515 bytes in pieces of 512, the payload of a 576-byte packet with all options.
constexpr unsigned kMaxFragments = 128;

void release(Turn& turn, net::Packet& packet) noexcept {
  net::Packet* const released = &packet;
  turn.pool.release({&released, 1});
}

/// Ends a packet that is not of the burst.
void lose(Turn& turn, net::Packet& packet, Drop reason) noexcept {
  turn.counters.row_of(packet.in_port).drops[static_cast<std::size_t>(reason)].add(1);
  turn.tap.note_drop(packet, reason, HandoffStage::kForwarded);
  release(turn, packet);
}

/// Cuts an IPv4 packet for its way out and sends the pieces. kNone: the packet itself is released.
Drop send_fragments(Turn& turn, net::Packet& packet, WorkerId next) noexcept {
  complete_checksum(packet);  // over the whole packet: no fragment can
  const std::uint32_t mtu_bytes = turn.snapshot.ports[packet.out_port].mtu_bytes;
  const unsigned count = net::count_ipv4_fragments(packet, mtu_bytes);
  if (count == 0 || count > kMaxFragments) return Drop::kPacketTooBig;
  std::array<net::Packet*, kMaxFragments> fragments;
  unsigned allocated = 0;
  while (allocated < count && (fragments[allocated] = turn.pool.allocate()) != nullptr) ++allocated;
  const bool has_all = allocated == count;
  if (!has_all || net::fragment_ipv4(packet, mtu_bytes, {fragments.data(), count}) != count) {
    turn.pool.release({fragments.data(), allocated});
    return has_all ? Drop::kPacketTooBig : Drop::kNoBuffers;
  }
  turn.counters.row_of(packet.in_port).created.add(count - 1);
  for (unsigned i = 0; i < count; ++i) {
    // A later fragment has no ports of its own: the next worker tracks it by those of the whole.
    fragments[i]->headers.source_port = packet.headers.source_port;
    fragments[i]->headers.destination_port = packet.headers.destination_port;
    if (const Drop drop = send_whole(turn, *fragments[i], next); drop != Drop::kNone) lose(turn, *fragments[i], drop);
  }
  release(turn, packet);
  return Drop::kNone;
}

bool may_be_fragmented(const net::Packet& packet) noexcept {
  return packet.headers.l3 == net::L3::kIpv4 && !net::ipv4(packet).dont_fragment();
}

/// Cuts TCP for its way out and sends the pieces. kNone: the packet itself is released.
Drop send_segments(Turn& turn, net::Packet& packet, WorkerId next) noexcept {
  const PortEntry& out = turn.snapshot.ports[packet.out_port];
  net::Segmenter segmenter(packet);
  Counter& created = turn.counters.row_of(packet.in_port).created;
  unsigned count = 0;
  for (; !segmenter.is_done(); ++count) {
    net::Packet* const piece = turn.pool.allocate();
    const bool is_written = piece != nullptr && segmenter.write_next(*piece);
    if (!is_written) {
      created.add(count);
      if (piece == nullptr) return Drop::kNoBuffers;
      release(turn, *piece);
      return Drop::kPacketTooBig;
    }
    const Drop drop =
        needs_fragments(*piece, out) ? send_fragments(turn, *piece, next) : send_whole(turn, *piece, next);
    if (drop != Drop::kNone) lose(turn, *piece, drop);
  }
  created.add(count - 1);
  release(turn, packet);
  return Drop::kNone;
}

/// Whether the port sends the packet as it is.
bool takes_whole(const PortEntry& out, const net::Packet& packet) noexcept {
  if (out.kind == PortKind::kTunnel || !net::checksum_may_be_left(packet)) return false;
  const TxOffload offload = out.port->tx_offload();
  return offload.checksum && (packet.headers.l3 == net::L3::kIpv4 ? offload.tcp4 : offload.tcp6);
}

}  // namespace

net::Drop send_pieces(Turn& turn, net::Packet& packet, WorkerId next) noexcept {
  const PortEntry& out = turn.snapshot.ports[packet.out_port];
  if (!can_leave(out)) return Drop::kTunnelUnresolved;
  if (packet.offload.gso_size_bytes == 0) return send_fragments(turn, packet, next);
  if (needs_fragments(packet, out)) {
    if (!may_be_fragmented(packet)) return Drop::kPacketTooBig;
  } else if (next != turn.self || takes_whole(out, packet)) {
    return send_whole(turn, packet, next);
  }
  return send_segments(turn, packet, next);
}

}  // namespace millrace::datapath
