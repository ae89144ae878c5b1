/// From other nodes: what comes by an uplink is taken out of its tunnel, and may only have the addresses that belong
/// to the way it came.
///
/// Shape:   take_from_uplink() is a stage before guard(): VXLAN for this node becomes the packet inside, and
///          Packet::tunnel says which way either kind came; kNoPort: none, it is the outside's. in_port stays the
///          uplink's. check_origin() is asked for the first packet of a flow, is_credible() for an ICMP error.
/// Errors:  kTunnel* of drop.def, those of the parser, kSpoofedAddress. A packet that is dropped inside its tunnel is
///          the inner one where it was taken out already.
/// Thread:  the worker. Never allocates.
/// Source:  RFC 7348 sections 4.1 and 4.3 (no fragments), RFC 6040, RFC 2827.
#pragma once

#include "datapath/snapshot.h"
#include "datapath/turn.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Whether packets of the port have to be shown to take_from_uplink().
inline bool may_be_tunnelled(const PortEntry& in, const Snapshot& snapshot) noexcept {
  return in.kind == PortKind::kUplink && (snapshot.underlay.udp_port != 0 || snapshot.has_plain_tunnels);
}

/// The tunnel that the packet before came by: mostly the next one does, too. Of one burst.
struct LastPeer {
  TunnelIndex index = kNoTunnel;
};

/// Precondition: parsed, in_port set, tunnel == kNoPort, may_be_tunnelled().
net::Drop take_from_uplink(Turn& turn, net::Packet& packet, LastPeer& last) noexcept;

/// How a packet of another node's came by the uplink.
enum class Origin : std::uint8_t {
  kAsRouted,  // by the way that its source is routed to, or from outside
  kOutside,   // of another node's own address, without the tunnel to it: its kernel speaks
};

/// May a flow begin with this source? `kind` is of the port it came in by, `tunnel` as in Packet.
template <typename Address>
net::Drop check_origin(const Snapshot& snapshot, PortKind kind, net::PortId tunnel, const Address& source,
                       Origin& origin) noexcept {
  origin = Origin::kAsRouted;
  if (kind != PortKind::kUplink && kind != PortKind::kTunnel) [[likely]]
    return net::Drop::kNone;
  const net::PortId way = snapshot.routes.lookup(source);
  if (tunnel != net::kNoPort) return way == tunnel ? net::Drop::kNone : net::Drop::kTunnelSource;
  if (way == net::kNoPort) return net::Drop::kNone;
  if (snapshot.ports[way].kind == PortKind::kPod || snapshot.nat.is_node(source)) return net::Drop::kSpoofedAddress;
  if (!is_tunnel(snapshot, way)) return net::Drop::kNone;
  if (snapshot.tunnel_nodes.lookup(source) == net::kNoPort) return net::Drop::kSpoofedAddress;
  origin = Origin::kOutside;
  return net::Drop::kNone;
}

/// Whether what came by an uplink (`tunnel` as in Packet) passes through this node on its way to another, or from
/// another to the outside: its answers would not come by here. For masquerade, which makes it this node's own, to allow.
/// `out`: the route of `destination`.
template <typename Address>
bool is_transit(const Snapshot& snapshot, net::PortId tunnel, net::PortId out, const Address& destination) noexcept {
  switch (snapshot.ports[out].kind) {
    case PortKind::kTunnel: return true;
    case PortKind::kPod: return false;
    default: return tunnel != net::kNoPort && !snapshot.nat.is_node(destination);
  }
}

/// Whether an ICMP error may speak of a packet that was sent to `destination`: what left in a tunnel is spoken of by
/// nobody outside of it, and nobody in a tunnel speaks of anything else.
template <typename Address>
bool is_credible(const Snapshot& snapshot, const net::Packet& error, const Address& destination) noexcept {
  const bool came_inside = error.tunnel != net::kNoPort && tunnel_of(snapshot, error.tunnel).is_encapsulated;
  const net::PortId way = snapshot.routes.lookup(destination);
  const bool left_inside = is_tunnel(snapshot, way) && tunnel_of(snapshot, way).is_encapsulated;
  if (!came_inside && !left_inside) return true;
  return way == error.tunnel ||
         (error.tunnel == net::kNoPort && snapshot.tunnel_nodes.lookup(destination) != net::kNoPort);
}

}  // namespace millrace::datapath
