#include "control/switch/tunnel_standing.h"

#include <algorithm>

#include "control/switch/wire_fields.h"
#include "datapath/tunnel_builder.h"

namespace millrace::control::switchd {

Uplinks uplinks_of(const LivePorts& ports) {
  Uplinks uplinks;
  for (const auto& [name, port] : ports) {
    if (port.config.kind != datapath::PortKind::kUplink) continue;
    const auto link = static_cast<int>(port.device->open.interface_number);
    uplinks.by_link.emplace(link, Uplinks::Entry{uplinks.specs.size(), port.config.mtu_bytes});
    uplinks.specs.push_back({name, port.mac(), port.ids});
  }
  return uplinks;
}

TunnelStanding standing_of(const TunnelConfig& tunnel, const UnderlayWays& ways, const Uplinks& uplinks) {
  TunnelStanding standing;
  standing.is_encapsulated = tunnel.encapsulation != api::ENCAPSULATION_NONE;
  const auto way = ways.find(tunnel.remote);
  if (way == ways.end() || way->second.link == 0) return standing;
  standing.way = way->second;
  if (tunnel.encapsulation == api::ENCAPSULATION_CROSS_SUBNET) standing.is_encapsulated = standing.way.is_routed;
  const auto uplink = uplinks.by_link.find(standing.way.link);
  if (uplink == uplinks.by_link.end()) {
    standing.state = api::TUNNEL_STATE_NOT_UPLINK;
    return standing;
  }
  const std::uint32_t path_mtu = std::min({standing.way.mtu_bytes, uplink->second.mtu_bytes, datapath::kMaxMtuBytes});
  const std::uint32_t overhead = datapath::overhead_bytes(tunnel.remote, standing.is_encapsulated);
  if (path_mtu < overhead + datapath::kMinMtuBytes) return standing;
  if (!standing.way.mac || !datapath::is_host_unicast(*standing.way.mac)) {
    standing.state = api::TUNNEL_STATE_NO_NEIGHBOR;
    return standing;
  }
  standing.state = api::TUNNEL_STATE_UP;
  standing.mtu_bytes = path_mtu - overhead;
  standing.hop = datapath::TunnelHop{uplink->second.index, *standing.way.mac, path_mtu};
  return standing;
}

datapath::TunnelSpec to_snapshot(const LiveTunnel& tunnel) {
  datapath::TunnelSpec spec;
  spec.index = tunnel.index;
  spec.name = tunnel.config->name;
  spec.remote = tunnel.config->remote;
  spec.is_encapsulated = tunnel.standing.is_encapsulated;
  spec.remote_vtep_mac = tunnel.config->remote_vtep_mac;
  spec.hop = tunnel.standing.hop;
  spec.prefixes = tunnel.config->prefixes;
  return spec;
}

api::TunnelStatus to_proto(const LiveTunnel& tunnel) {
  api::TunnelStatus status;
  const TunnelStanding& standing = tunnel.standing;
  *status.mutable_spec() = to_proto(*tunnel.config);
  status.set_state(standing.state);
  status.set_encapsulation(standing.is_encapsulated ? api::ENCAPSULATION_VXLAN : api::ENCAPSULATION_NONE);
  status.set_mtu(standing.mtu_bytes);
  if (standing.way.link == 0) return status;
  status.set_next_hop(wire_bytes(standing.way.next_hop));
  status.set_interface(standing.way.interface);
  if (standing.way.mac) status.set_next_hop_mac({standing.way.mac->bytes.begin(), standing.way.mac->bytes.end()});
  return status;
}

}  // namespace millrace::control::switchd
