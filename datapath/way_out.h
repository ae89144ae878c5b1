/// The way out: what becomes of a tracked packet before it leaves: it goes as it is, in segments, in fragments, inside
/// a tunnel, or on to the worker whose port it leaves by.
///
/// Shape:   a packet that stands for many (Offload::gso_size_bytes) stays whole up to here, and beyond where the port
///          takes it so: it is cut by the worker of its port, and in front of a tunnel, which goes round each piece. A
///          piece that is still too large for the MTU is fragmented like any other packet.
/// Errors:  the drop of the packet, which is still the caller's then; pieces that are lost are counted here, on the row
///          of its in port. kNoBuffers: the pool had none for the next piece; those before have left.
/// Thread:  the worker. Never allocates.
#pragma once

#include "datapath/forward.h"
#include "datapath/rewrite.h"
#include "datapath/tunnel_out.h"
#include "datapath/turn.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Sends a packet that is to be cut or fragmented; kNone: it is gone. send_out() is the way here.
net::Drop send_pieces(Turn& turn, net::Packet& packet, WorkerId next) noexcept;

/// Sends one packet by a port of this worker, by a tunnel, or to the worker that has the next word.
/// Precondition: as for send_out(); the packet need not be cut for it.
inline net::Drop send_whole(Turn& turn, net::Packet& packet, WorkerId next) noexcept {
  if (next != turn.self) [[unlikely]] {
    turn.outbox.hand_over(packet, next, HandoffStage::kForwarded);
    return net::Drop::kNone;
  }
  const PortEntry& out = turn.snapshot.ports[packet.out_port];
  if (out.kind == PortKind::kTunnel) {
    if (const net::Drop drop = enter_tunnel(turn, packet); drop != net::Drop::kNone) [[unlikely]]
      return drop;
  } else {
    rewrite(packet, out, turn.snapshot.gateway);
  }
  turn.outbox.put(packet);
  return net::Drop::kNone;
}

/// Precondition: tracked, so that out_port is a port or tunnel of the snapshot.
inline net::Drop send_out(Turn& turn, net::Packet& packet, WorkerId next) noexcept {
  const bool is_in_pieces =
      packet.offload.gso_size_bytes != 0 || needs_fragments(packet, turn.snapshot.ports[packet.out_port]);
  if (is_in_pieces) [[unlikely]]
    return send_pieces(turn, packet, next);
  return send_whole(turn, packet, next);
}

}  // namespace millrace::datapath
