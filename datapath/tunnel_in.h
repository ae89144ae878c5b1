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
#include "net/vxlan.h"
#include "net/wire.h"

namespace millrace::datapath {

/// Whether packets of the port have to be shown to take_from_uplink().
inline bool may_be_tunnelled(const PortEntry& in, const Snapshot& snapshot) noexcept {
  return in.kind == PortKind::kUplink && (snapshot.underlay.udp_port != 0 || snapshot.has_plain_tunnels);
}

/// The tunnels that a burst comes by. Mostly it is one for many packets: it is looked up once, and counted once, when
/// another follows it or the burst ends.
class Peers {
 public:
  explicit Peers(Turn& turn) noexcept : turn_(turn) {}
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;
  ~Peers() { count(); }

  /// kNoTunnel: no tunnel leads to the address.
  TunnelIndex find(net::Ipv4 remote) const noexcept {
    return remote == last_remote_ && !remote.is_unspecified() ? last_ : turn_.snapshot.peers.find(remote);
  }
  TunnelIndex find(const net::Ipv6& remote) const noexcept { return turn_.snapshot.peers.find(remote); }
  /// The packet, as it is now, came by this tunnel. `remote`: whence, of IPv4.
  void note(net::Packet& packet, TunnelIndex index, net::Ipv4 remote = {}) noexcept {
    if (index != last_) [[unlikely]] {
      count();
      last_ = index;
    }
    last_remote_ = remote;
    packet.tunnel = static_cast<net::PortId>(turn_.snapshot.first_tunnel + index);
    packets_ += 1;
    bytes_ += packet.headers.l3_length;
  }

 private:
  void count() noexcept {
    if (packets_ == 0) return;
    TunnelCounters& row = turn_.counters.tunnel(last_);
    row.rx_packets.add(packets_);
    row.rx_bytes.add(bytes_);
    packets_ = bytes_ = 0;
  }

  Turn& turn_;
  TunnelIndex last_ = kNoTunnel;
  net::Ipv4 last_remote_;  // of the last tunnel; unspecified: it is not known by one of IPv4
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

/// Precondition: parsed, in_port set, tunnel == kNoPort, may_be_tunnelled().
net::Drop take_from_uplink(Turn& turn, net::Packet& packet, Peers& peers) noexcept;

/// The same of a packet that is not parsed yet, if it is VXLAN as nearly all is: true, and `packet.drop` says what
/// take_from_uplink() would. False: nothing was changed. `vtep`: of the snapshot's underlay.
inline bool take_common(net::Packet& packet, const net::Vtep& vtep, Peers& peers) noexcept {
  if (!net::is_common_vxlan(packet, vtep)) return false;
  const net::Ipv4 remote = net::view<net::Ipv4Header>(packet.data + sizeof(net::EthernetHeader)).source;
  const TunnelIndex index = peers.find(remote);
  if (index == kNoTunnel) [[unlikely]]
    return false;
  packet.drop = net::open_common_vxlan(packet);
  if (packet.drop == net::Drop::kNone) [[likely]]
    peers.note(packet, index, remote);
  return true;
}

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
/// another to the outside: its answers would not come by here. For masquerade, which makes it this node's own, to
/// allow. `out`: the route of `destination`.
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
