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

/// Without VXLAN: from a node that is reached so?
[[gnu::noinline]] void note_plain(const Snapshot& snapshot, net::Packet& packet, Peers& peers) noexcept {
  net::PortId way = net::kNoPort;
  if (packet.headers.l3 == net::L3::kIpv4) way = snapshot.routes.lookup(net::ipv4(packet).source);
  if (packet.headers.l3 == net::L3::kIpv6) way = snapshot.routes.lookup(net::ipv6(packet).source);
  if (!is_tunnel(snapshot, way) || tunnel_of(snapshot, way).is_encapsulated) return;
  peers.note(packet, static_cast<TunnelIndex>(way - snapshot.first_tunnel));
}

/// Later fragments have no ports: those of their first say what they are. kNone: not of VXLAN, or nobody knows.
[[gnu::noinline]] Drop check_fragment(Turn& turn, net::Packet& packet) noexcept {
  if (!turn.flows.fragments().follow(packet, turn.now_ms())) return Drop::kNone;
  const bool is_vxlan = packet.headers.destination_port == turn.snapshot.underlay.udp_port;
  return is_vxlan ? Drop::kTunnelFragment : Drop::kNone;
}

}  // namespace

Drop take_from_uplink(Turn& turn, net::Packet& packet, Peers& peers) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const Underlay& underlay = snapshot.underlay;
  const net::Headers& headers = packet.headers;
  const bool may_be_vxlan = underlay.udp_port != 0 && headers.l4_protocol == net::ip_protocol::kUdp;
  if (may_be_vxlan && is_for_vtep(packet, underlay)) [[likely]] {
    if (headers.is_fragment) [[unlikely]] {
      if (const Drop drop = check_fragment(turn, packet); drop != Drop::kNone) return drop;
    } else if (headers.has_l4 && headers.destination_port == underlay.udp_port) [[likely]] {
      const bool is_v4 = headers.l3 == net::L3::kIpv4;
      const net::Ipv4 remote = is_v4 ? net::ipv4(packet).source : net::Ipv4();
      const TunnelIndex peer = is_v4 ? peers.find(remote) : peers.find(net::ipv6(packet).source);
      if (peer == kNoTunnel) [[unlikely]]
        return Drop::kTunnelUnknownPeer;
      Drop drop = net::check_vxlan(packet, underlay.vni, underlay.vtep_mac);
      if (drop != Drop::kNone) [[unlikely]]
        return drop;
      drop = net::open_vxlan(packet);
      if (drop != Drop::kNone) [[unlikely]]
        return drop;
      peers.note(packet, peer, remote);
      return Drop::kNone;
    }
  }
  if (snapshot.has_plain_tunnels) note_plain(snapshot, packet, peers);
  return Drop::kNone;
}

}  // namespace millrace::datapath
