#include "datapath/tunnel_builder.h"

#include <string>
#include <utility>

#include "net/vxlan.h"

namespace millrace::datapath {
namespace {

using net::Result;

std::string quoted(const TunnelSpec& tunnel) { return "tunnel \"" + tunnel.name + "\""; }
std::string quoted(const UplinkSpec& uplink) { return "uplink \"" + uplink.name + "\""; }

bool is_node_address(const net::IpAddress& address) {
  if (address.is_v4()) {
    const net::Ipv4 v4 = address.v4();
    return !(v4.is_multicast() || v4.is_broadcast() || v4.is_loopback() || v4.is_unspecified());
  }
  const net::Ipv6 v6 = address.v6();
  return !(v6.is_multicast() || v6.is_loopback() || v6.is_unspecified());
}

Result<void> check_underlay(const Underlay& underlay) {
  const auto wrong = [](std::string field) { return net::invalid_argument("underlay " + std::move(field)); };
  for (const net::IpAddress& address : {net::IpAddress::from(underlay.ipv4), net::IpAddress::from(underlay.ipv6)}) {
    const bool is_set = address != net::IpAddress{address.family, {}};
    if (is_set && !is_node_address(address)) return wrong("address " + address.to_string() + " is not a node's");
  }
  if (underlay.udp_port == 0) return {};
  if (underlay.vni == 0 || underlay.vni > net::kMaxVni) {
    return wrong("vni " + std::to_string(underlay.vni) + " is not in 1.." + std::to_string(net::kMaxVni));
  }
  if (!is_host_unicast(underlay.vtep_mac)) {
    return wrong("vtep_mac " + underlay.vtep_mac.to_string() + " is not a unicast address");
  }
  if (underlay.ipv4.is_unspecified() && underlay.ipv6.is_unspecified()) return wrong("has no address");
  return {};
}

Result<void> build_uplinks(const SnapshotSpec& spec, Snapshot& snapshot) {
  if (spec.uplinks.size() > kMaxUplinks) {
    return net::resource_exhausted(std::to_string(spec.uplinks.size()) + " uplinks are more than the limit of " +
                                   std::to_string(kMaxUplinks));
  }
  std::vector<const UplinkSpec*> owners(spec.port_limit, nullptr);
  for (const UplinkSpec& uplink : spec.uplinks) {
    if (!is_host_unicast(uplink.mac)) {
      return net::invalid_argument(quoted(uplink) + " mac " + uplink.mac.to_string() + " is not a unicast address");
    }
    if (uplink.queues.empty()) return net::invalid_argument(quoted(uplink) + " has no queues");
    Uplink made;
    for (WorkerId worker = 0; worker < kMaxWorkers; ++worker) {
      made.ports[worker] = uplink.queues[worker % uplink.queues.size()];
    }
    for (const net::PortId queue : uplink.queues) {
      const bool is_there = queue < spec.port_limit && snapshot.ports[queue].port != nullptr;
      if (!is_there || snapshot.ports[queue].kind != PortKind::kUplink) {
        return net::invalid_argument(quoted(uplink) + " queue " + std::to_string(queue) + " is no port of an uplink");
      }
      if (owners[queue] != nullptr) {
        return net::already_exists(quoted(uplink) + " queue " + std::to_string(queue) + " is already that of " +
                                   quoted(*owners[queue]));
      }
      owners[queue] = &uplink;
      made.ports[snapshot.ports[queue].worker] = queue;
    }
    snapshot.uplinks.push_back(made);
  }
  return {};
}

Result<void> check_tunnel(const SnapshotSpec& spec, const TunnelSpec& tunnel) {
  if (tunnel.index >= spec.tunnel_limit) {
    return net::invalid_argument(quoted(tunnel) + " index " + std::to_string(tunnel.index) +
                                 " is not below the limit of " + std::to_string(spec.tunnel_limit));
  }
  if (!is_node_address(tunnel.remote)) {
    return net::invalid_argument(quoted(tunnel) + " remote " + tunnel.remote.to_string() + " is not a node's address");
  }
  const Underlay& underlay = spec.underlay;
  const net::IpAddress own =
      tunnel.remote.is_v4() ? net::IpAddress::from(underlay.ipv4) : net::IpAddress::from(underlay.ipv6);
  if (tunnel.remote == own) {
    return net::invalid_argument(quoted(tunnel) + " remote " + tunnel.remote.to_string() + " is this node's own");
  }
  if (tunnel.is_encapsulated) {
    if (underlay.udp_port == 0) return net::invalid_argument(quoted(tunnel) + " needs an underlay with a udp_port");
    if (own == net::IpAddress{own.family, {}}) {
      return net::invalid_argument(quoted(tunnel) + " remote " + tunnel.remote.to_string() +
                                   " is of a family that the underlay has no address of");
    }
    if (!is_host_unicast(tunnel.remote_vtep_mac)) {
      return net::invalid_argument(quoted(tunnel) + " remote_vtep_mac " + tunnel.remote_vtep_mac.to_string() +
                                   " is not a unicast address");
    }
  }
  if (tunnel.prefixes.size() > kMaxTunnelPrefixes) {
    return net::resource_exhausted(quoted(tunnel) + " has " + std::to_string(tunnel.prefixes.size()) +
                                   " prefixes, more than the limit of " + std::to_string(kMaxTunnelPrefixes));
  }
  return {};
}

Result<void> resolve(const SnapshotSpec& spec, const TunnelSpec& tunnel, Tunnel& made, PortEntry& entry) {
  const TunnelHop& hop = *tunnel.hop;
  if (hop.uplink >= spec.uplinks.size()) {
    return net::invalid_argument(quoted(tunnel) + " uplink " + std::to_string(hop.uplink) +
                                 " is not below the count of " + std::to_string(spec.uplinks.size()));
  }
  if (!is_host_unicast(hop.mac)) {
    return net::invalid_argument(quoted(tunnel) + " next hop mac " + hop.mac.to_string() + " is not a unicast address");
  }
  const std::uint32_t overhead = overhead_bytes(tunnel.remote, tunnel.is_encapsulated);
  if (hop.path_mtu_bytes < kMinMtuBytes + overhead || hop.path_mtu_bytes > kMaxMtuBytes) {
    return net::invalid_argument(quoted(tunnel) + " path mtu " + std::to_string(hop.path_mtu_bytes) + " is not in " +
                                 std::to_string(kMinMtuBytes + overhead) + ".." + std::to_string(kMaxMtuBytes));
  }
  const net::Mac& own_mac = spec.uplinks[hop.uplink].mac;
  if (tunnel.is_encapsulated) {
    const Underlay& underlay = spec.underlay;
    made.outer = net::make_vxlan_header(
        {.source_mac = own_mac,
         .destination_mac = hop.mac,
         .source = tunnel.remote.is_v4() ? net::IpAddress::from(underlay.ipv4) : net::IpAddress::from(underlay.ipv6),
         .destination = tunnel.remote,
         .udp_port = underlay.udp_port,
         .vni = underlay.vni,
         .inner_source = underlay.vtep_mac,
         .inner_destination = tunnel.remote_vtep_mac});
  } else {
    made.outer = net::make_plain_header(hop.mac, own_mac);
  }
  made.uplink = static_cast<std::uint16_t>(hop.uplink);
  made.is_resolved = true;
  entry.mtu_bytes = static_cast<std::uint16_t>(hop.path_mtu_bytes - overhead);
  return {};
}

/// A tunnel stays what it was while it leads to the same node.
std::uint64_t since(const SnapshotSpec& spec, const TunnelSpec& tunnel, const Snapshot* previous) {
  if (previous == nullptr || tunnel.index >= previous->tunnels.size()) return spec.generation;
  const Tunnel& before = previous->tunnels[tunnel.index];
  if (!before.is_set || before.remote != tunnel.remote) return spec.generation;
  return previous->ports[static_cast<std::size_t>(previous->first_tunnel) + tunnel.index].since_generation;
}

}  // namespace

std::uint32_t overhead_bytes(const net::IpAddress& remote, bool is_encapsulated) noexcept {
  if (!is_encapsulated) return 0;
  return remote.is_v4() ? net::kVxlanOverIpv4Bytes : net::kVxlanOverIpv6Bytes;
}

Result<void> build_tunnels(const SnapshotSpec& spec, const Snapshot* previous, Snapshot& snapshot) {
  snapshot.first_tunnel = static_cast<net::PortId>(spec.port_limit);
  snapshot.tunnels.resize(spec.tunnel_limit);
  snapshot.underlay = spec.underlay;
  if (Result<void> checked = check_underlay(spec.underlay); !checked) return checked;
  if (Result<void> built = build_uplinks(spec, snapshot); !built) return built;
  if (spec.tunnels.size() > spec.tunnel_limit) {
    return net::resource_exhausted(std::to_string(spec.tunnels.size()) + " tunnels are more than the limit of " +
                                   std::to_string(spec.tunnel_limit));
  }
  snapshot.peers = PeerTable(spec.tunnels.size());
  std::vector<const TunnelSpec*> owners(spec.tunnel_limit, nullptr);
  std::vector<Route> nodes;
  for (const TunnelSpec& tunnel : spec.tunnels) {
    if (Result<void> checked = check_tunnel(spec, tunnel); !checked) return checked;
    if (const TunnelSpec* other = std::exchange(owners[tunnel.index], &tunnel); other != nullptr) {
      return net::already_exists("index " + std::to_string(tunnel.index) + " of " + quoted(tunnel) +
                                 " is already that of " + quoted(*other));
    }
    if (!snapshot.peers.insert(tunnel.remote, tunnel.index)) {
      return net::already_exists("remote " + tunnel.remote.to_string() + " of " + quoted(tunnel) +
                                 " is already that of another tunnel");
    }
    const auto id = static_cast<net::PortId>(spec.port_limit + tunnel.index);
    Tunnel& made = snapshot.tunnels[tunnel.index];
    PortEntry& entry = snapshot.ports[id];
    made.is_set = true;
    made.is_encapsulated = tunnel.is_encapsulated;
    made.remote = tunnel.remote;
    snapshot.has_plain_tunnels |= !tunnel.is_encapsulated;
    entry.kind = PortKind::kTunnel;
    entry.worker = snapshot.outside == net::kNoPort ? WorkerId{0} : snapshot.ports[snapshot.outside].worker;
    entry.since_generation = since(spec, tunnel, previous);
    if (tunnel.hop) {
      if (Result<void> resolved = resolve(spec, tunnel, made, entry); !resolved) return resolved;
    }
    for (const net::Prefix& prefix : tunnel.prefixes) {
      if (prefix.length_bits == prefix.address.bits()) nodes.push_back({prefix, id});
    }
  }
  Result<RouteTable> table = RouteTable::build(nodes);
  if (!table) return table.error();
  snapshot.tunnel_nodes = std::move(table).value();
  return {};
}

}  // namespace millrace::datapath
