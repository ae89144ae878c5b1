#include "control/switch/tunnel_request.h"

#include <fmt/core.h>

#include <set>
#include <utility>

#include "control/switch/field_checks.h"
#include "control/switch/wire_fields.h"
#include "net/vxlan.h"

namespace millrace::control::switchd {
namespace {

constexpr std::uint32_t kLastPort = 65'535;

/// A node's address in the underlay: IPv6 may not be link-local, for that says nothing of the link.
net::Result<net::IpAddress> parse_node(const std::string& field, const std::string& bytes, unsigned family = 0) {
  auto address = check_unicast(field, bytes);
  if (!address) return address;
  if (family != 0 && address->family != family) {
    return net::invalid_argument(fmt::format("{}: {}; allowed: IPv{}", field, address->to_string(), family));
  }
  if (!address->is_v4() && address->v6().is_link_local()) {
    return net::invalid_argument(
        fmt::format("{}: {} is link-local; allowed: addresses that are routed", field, address->to_string()));
  }
  return address;
}

template <typename Repeated>
net::Result<std::vector<net::Prefix>> parse_prefixes(const std::string& field, const Repeated& wire,
                                                     std::size_t limit) {
  if (static_cast<std::size_t>(wire.size()) > limit) {
    return net::invalid_argument(fmt::format("{}: {} entries; allowed: at most {}", field, wire.size(), limit));
  }
  std::vector<net::Prefix> prefixes;
  std::set<net::Prefix> seen;
  for (const api::RoutePrefix& route : wire) {
    const std::string entry = fmt::format("{}[{}]", field, prefixes.size());
    const auto prefix = check_prefix(entry, route.address(), route.length());
    if (!prefix) return prefix.error();
    if (!seen.insert(*prefix).second) {
      return net::invalid_argument(fmt::format("{}: {} is named twice", entry, prefix->to_string()));
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

net::Result<UnderlayConfig> parse_underlay(const api::Underlay& wire) {
  UnderlayConfig underlay;
  datapath::Underlay& node = underlay.node;
  if (!wire.ipv4().empty()) {
    const auto address = parse_node("underlay.ipv4", wire.ipv4(), 4);
    if (!address) return address.error();
    node.ipv4 = address->v4();
  }
  if (!wire.ipv6().empty()) {
    const auto address = parse_node("underlay.ipv6", wire.ipv6(), 6);
    if (!address) return address.error();
    node.ipv6 = address->v6();
  }
  if (wire.ipv4().empty() && wire.ipv6().empty()) {
    return net::invalid_argument("underlay: neither ipv4 nor ipv6; allowed: at least one");
  }
  const auto mac = check_mac("underlay.vtep_mac", wire.vtep_mac());
  if (!mac) return mac.error();
  node.vtep_mac = *mac;
  if (wire.vni() == 0 || wire.vni() > net::kMaxVni) {
    return net::invalid_argument(fmt::format("underlay.vni: {}; allowed: 1..{}", wire.vni(), net::kMaxVni));
  }
  node.vni = wire.vni();
  if (wire.udp_port() == 0 || wire.udp_port() > kLastPort) {
    return net::invalid_argument(fmt::format("underlay.udp_port: {}; allowed: 1..{}", wire.udp_port(), kLastPort));
  }
  node.udp_port = static_cast<std::uint16_t>(wire.udp_port());
  auto prefixes = parse_prefixes("underlay.local_prefixes", wire.local_prefixes(), kLocalPrefixLimit);
  if (!prefixes) return prefixes.error();
  underlay.local_prefixes = std::move(prefixes).value();
  return underlay;
}

net::Result<TunnelConfig> parse_tunnel(const std::string& field, const api::Tunnel& wire) {
  TunnelConfig tunnel;
  if (auto name = check_label(field + ".name", wire.name(), kTunnelNameLimit); !name) return name.error();
  tunnel.name = wire.name();
  const auto remote = parse_node(field + ".remote", wire.remote());
  if (!remote) return remote.error();
  tunnel.remote = *remote;
  tunnel.encapsulation = wire.encapsulation();
  if (tunnel.encapsulation < api::ENCAPSULATION_VXLAN || tunnel.encapsulation > api::ENCAPSULATION_NONE) {
    return net::invalid_argument(fmt::format(
        "{}.encapsulation: {}; allowed: ENCAPSULATION_VXLAN, ENCAPSULATION_CROSS_SUBNET or ENCAPSULATION_NONE", field,
        static_cast<int>(wire.encapsulation())));
  }
  if (tunnel.encapsulation != api::ENCAPSULATION_NONE) {
    const auto mac = check_mac(field + ".remote_vtep_mac", wire.remote_vtep_mac());
    if (!mac) return mac.error();
    tunnel.remote_vtep_mac = *mac;
  }
  auto prefixes = parse_prefixes(field + ".prefixes", wire.prefixes(), datapath::kMaxTunnelPrefixes);
  if (!prefixes) return prefixes.error();
  tunnel.prefixes = std::move(prefixes).value();
  return tunnel;
}

void fill(const net::Prefix& prefix, api::RoutePrefix& wire) {
  wire.set_address(wire_bytes(prefix.address));
  wire.set_length(prefix.length_bits);
}

std::string wire_bytes(const net::Mac& mac) { return {mac.bytes.begin(), mac.bytes.end()}; }

}  // namespace

net::Result<TunnelChange> parse_tunnels(const api::ApplyRequest& request) {
  TunnelChange change;
  if (request.has_underlay()) {
    auto underlay = parse_underlay(request.underlay());
    if (!underlay) return underlay.error();
    change.underlay = std::move(underlay).value();
  }
  if (static_cast<std::size_t>(request.upsert_tunnels_size()) > kTunnelLimit) {
    return net::resource_exhausted(fmt::format("upsert_tunnels: {} tunnels; the switch has room for {}",
                                               request.upsert_tunnels_size(), kTunnelLimit));
  }
  std::set<std::string> names;
  for (const api::Tunnel& wire : request.upsert_tunnels()) {
    const std::string field = fmt::format("upsert_tunnels[{}]", change.upserts.size());
    auto tunnel = parse_tunnel(field, wire);
    if (!tunnel) return tunnel.error();
    if (!names.insert(tunnel->name).second) {
      return net::invalid_argument(
          fmt::format("{}.name: {} is named twice in this request", field, quoted(wire.name())));
    }
    change.upserts.push_back(std::move(tunnel).value());
  }
  for (const std::string& name : request.remove_tunnels()) {
    const std::string field = fmt::format("remove_tunnels[{}]", change.removals.size());
    if (auto checked = check_label(field, name, kTunnelNameLimit); !checked) return checked.error();
    if (names.contains(name)) {
      return net::invalid_argument(fmt::format("{}: {} is also in upsert_tunnels", field, quoted(name)));
    }
    change.removals.push_back(name);
  }
  return change;
}

api::Underlay to_proto(const UnderlayConfig& underlay) {
  api::Underlay wire;
  const datapath::Underlay& node = underlay.node;
  if (!node.ipv4.is_unspecified()) wire.set_ipv4(wire_bytes(net::IpAddress::from(node.ipv4)));
  if (!node.ipv6.is_unspecified()) wire.set_ipv6(wire_bytes(net::IpAddress::from(node.ipv6)));
  wire.set_vtep_mac(wire_bytes(node.vtep_mac));
  wire.set_vni(node.vni);
  wire.set_udp_port(node.udp_port);
  for (const net::Prefix& prefix : underlay.local_prefixes) fill(prefix, *wire.add_local_prefixes());
  return wire;
}

api::Tunnel to_proto(const TunnelConfig& tunnel) {
  api::Tunnel wire;
  wire.set_name(tunnel.name);
  wire.set_remote(wire_bytes(tunnel.remote));
  if (tunnel.encapsulation != api::ENCAPSULATION_NONE) wire.set_remote_vtep_mac(wire_bytes(tunnel.remote_vtep_mac));
  wire.set_encapsulation(tunnel.encapsulation);
  for (const net::Prefix& prefix : tunnel.prefixes) fill(prefix, *wire.add_prefixes());
  return wire;
}

}  // namespace millrace::control::switchd
