#include "datapath/tunnel_in.h"

#include "net/ip_header.h"
#include "net/vxlan.h"

namespace millrace::datapath {
namespace {

using net::Drop;

bool is_for_vtep(const net::Packet& packet, const Underlay& underlay) noexcept {
  if (packet.headers.l3 == net::L3::kIpv4) [[likely]]
    return net::ipv4(packet).destination == underlay.ipv4;
  return packet.headers.l3 == net::L3::kIpv6 && net::ipv6(packet).destination == underlay.ipv6;
}

TunnelIndex find_peer(const net::Packet& packet, const Snapshot& snapshot, TunnelIndex last) noexcept {
  if (packet.headers.l3 == net::L3::kIpv4) [[likely]] {
    const net::Ipv4 source = net::ipv4(packet).source;
    if (last != kNoTunnel && snapshot.tunnels[last].remote.is_v4() && snapshot.tunnels[last].remote.v4() == source) {
      return last;
    }
    return snapshot.peers.find(source);
  }
  return snapshot.peers.find(net::ipv6(packet).source);
}

void note_arrival(Turn& turn, net::Packet& packet, TunnelIndex index) noexcept {
  packet.tunnel = static_cast<net::PortId>(turn.snapshot.first_tunnel + index);
  TunnelCounters& row = turn.counters.tunnel(index);
  row.rx_packets.add(1);
  row.rx_bytes.add(packet.headers.l3_length);
}

/// Without VXLAN: from a node that is reached so?
[[gnu::noinline]] void note_plain(Turn& turn, net::Packet& packet) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  net::PortId way = net::kNoPort;
  if (packet.headers.l3 == net::L3::kIpv4) way = snapshot.routes.lookup(net::ipv4(packet).source);
  if (packet.headers.l3 == net::L3::kIpv6) way = snapshot.routes.lookup(net::ipv6(packet).source);
  if (!is_tunnel(snapshot, way) || tunnel_of(snapshot, way).is_encapsulated) return;
  note_arrival(turn, packet, static_cast<TunnelIndex>(way - snapshot.first_tunnel));
}

/// Later fragments have no ports: those of their first say what they are. kNone: not of VXLAN, or nobody knows.
[[gnu::noinline]] Drop check_fragment(Turn& turn, net::Packet& packet) noexcept {
  if (!turn.flows.fragments().follow(packet, turn.now_ms())) return Drop::kNone;
  const bool is_vxlan = packet.headers.destination_port == turn.snapshot.underlay.udp_port;
  return is_vxlan ? Drop::kTunnelFragment : Drop::kNone;
}

}  // namespace

Drop take_from_uplink(Turn& turn, net::Packet& packet, LastPeer& last) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const Underlay& underlay = snapshot.underlay;
  const net::Headers& headers = packet.headers;
  const bool may_be_vxlan = underlay.udp_port != 0 && headers.l4_protocol == net::ip_protocol::kUdp;
  if (may_be_vxlan && is_for_vtep(packet, underlay)) [[likely]] {
    if (headers.is_fragment) [[unlikely]]
      return check_fragment(turn, packet);
    if (headers.has_l4 && headers.destination_port == underlay.udp_port) [[likely]] {
      const TunnelIndex peer = find_peer(packet, snapshot, last.index);
      if (peer == kNoTunnel) [[unlikely]]
        return Drop::kTunnelUnknownPeer;
      last.index = peer;
      Drop drop = net::check_vxlan(packet, underlay.vni, underlay.vtep_mac);
      if (drop != Drop::kNone) [[unlikely]]
        return drop;
      drop = net::open_vxlan(packet);
      if (drop != Drop::kNone) [[unlikely]]
        return drop;
      note_arrival(turn, packet, peer);
      return Drop::kNone;
    }
  }
  if (snapshot.has_plain_tunnels) note_plain(turn, packet);
  return Drop::kNone;
}

}  // namespace millrace::datapath
