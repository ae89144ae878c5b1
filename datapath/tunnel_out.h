/// To other nodes: a packet whose way out is a tunnel becomes one that is ready to leave by an uplink.
///
/// Thread:  the worker that tracked the packet. Never allocates.
#pragma once

#include "datapath/rewrite.h"
#include "datapath/snapshot.h"
#include "datapath/turn.h"
#include "net/drop.h"
#include "net/packet.h"
#include "net/vxlan.h"

namespace millrace::datapath {

/// out_port is the uplink's queue then; its owner sends it as it is. `headers` describe the inner packet on.
/// Errors:  kTunnelUnresolved, kTunnelNoHeadroom: nothing was changed.
/// Precondition: parsed, translated; out_port is a tunnel of the snapshot.
inline net::Drop enter_tunnel(Turn& turn, net::Packet& packet) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const auto index = static_cast<TunnelIndex>(packet.out_port - snapshot.first_tunnel);
  const Tunnel& tunnel = snapshot.tunnels[index];
  if (!tunnel.is_resolved) [[unlikely]]
    return net::Drop::kTunnelUnresolved;
  complete_checksum(packet);
  if (!net::encapsulate(packet, tunnel.outer)) [[unlikely]]
    return net::Drop::kTunnelNoHeadroom;
  TunnelCounters& row = turn.counters.tunnel(index);
  row.tx_packets.add(1);
  row.tx_bytes.add(packet.headers.l3_length);
  packet.out_port = snapshot.uplinks[tunnel.uplink].ports[turn.self];
  return net::Drop::kNone;
}

}  // namespace millrace::datapath
