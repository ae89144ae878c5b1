#include "datapath/snapshot_builder.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "datapath/tunnel_builder.h"

namespace millrace::datapath {
namespace {

using net::Result;

std::string quoted(const PortSpec& port) { return "port \"" + port.name + "\""; }

Result<void> check_limits(const SnapshotSpec& spec) {
  if (spec.port_limit < 1 || spec.port_limit > kMaxPorts) {
    return net::invalid_argument("port_limit " + std::to_string(spec.port_limit) + " is not in 1.." +
                                 std::to_string(kMaxPorts));
  }
  if (spec.worker_count < 1 || spec.worker_count > kMaxWorkers) {
    return net::invalid_argument("worker_count " + std::to_string(spec.worker_count) + " is not in 1.." +
                                 std::to_string(kMaxWorkers));
  }
  if (spec.ports.size() > spec.port_limit) {
    return net::resource_exhausted(std::to_string(spec.ports.size()) + " ports are more than the limit of " +
                                   std::to_string(spec.port_limit));
  }
  if (spec.tunnel_limit > kMaxTunnels) {
    return net::invalid_argument("tunnel_limit " + std::to_string(spec.tunnel_limit) + " is not in 0.." +
                                 std::to_string(kMaxTunnels));
  }
  if (spec.generation == 0) return net::invalid_argument("generation must be at least 1");
  return {};
}

Result<void> check_gateway(const Gateway& gateway) {
  if (!is_host_unicast(gateway.mac)) {
    return net::invalid_argument("gateway mac " + gateway.mac.to_string() + " is not a unicast address");
  }
  for (const net::Ipv4& address : {gateway.ipv4, gateway.icmp_source_v4}) {
    if (address.is_multicast() || address.is_broadcast() || address.is_loopback()) {
      return net::invalid_argument("gateway address " + address.to_string() + " is not a unicast address");
    }
  }
  for (const net::Ipv6& address : {gateway.ipv6, gateway.icmp_source_v6}) {
    if (address.is_multicast() || address.is_loopback()) {
      return net::invalid_argument("gateway address " + address.to_string() + " is not a unicast address");
    }
  }
  return {};
}

Result<void> check_address(const PortSpec& port, const net::IpAddress& address, const Gateway& gateway) {
  const std::string name = quoted(port) + " address " + address.to_string();
  if (address.is_v4()) {
    const net::Ipv4 v4 = address.v4();
    if (v4.is_multicast() || v4.is_broadcast() || v4.is_loopback() || v4.is_unspecified()) {
      return net::invalid_argument(name + " is not a unicast address");
    }
    if (v4 == gateway.ipv4) return net::already_exists(name + " is the gateway's");
  } else {
    const net::Ipv6 v6 = address.v6();
    if (v6.is_multicast() || v6.is_loopback() || v6.is_unspecified() || v6.is_link_local()) {
      return net::invalid_argument(name + " is not a unicast address that can be routed");
    }
    if (v6 == gateway.ipv6) return net::already_exists(name + " is the gateway's");
  }
  return {};
}

/// Checks one port by itself and fills its entry.
Result<void> fill_entry(const SnapshotSpec& spec, const PortSpec& port, PortEntry& entry) {
  if (port.port == nullptr) return net::invalid_argument(quoted(port) + " has no device");
  if (port.worker >= spec.worker_count) {
    return net::invalid_argument(quoted(port) + " worker " + std::to_string(port.worker) +
                                 " is not below the count of " + std::to_string(spec.worker_count));
  }
  if (!is_host_unicast(port.mac)) {
    return net::invalid_argument(quoted(port) + " mac " + port.mac.to_string() + " is not a unicast address");
  }
  if (port.mac == spec.gateway.mac) return net::already_exists(quoted(port) + " mac is the gateway's");
  entry.port = port.port;
  entry.kind = port.kind;
  entry.worker = port.worker;
  entry.mac = port.mac;
  entry.masquerade = port.masquerade;
  entry.dhcp = port.dhcp;
  if (port.dhcp && port.kind != PortKind::kPod) {
    return net::invalid_argument(quoted(port) + " has DHCP and is not a pod's");
  }
  entry.awaits_policy = port.awaits_policy;
  entry.ingress = port.ingress.get();
  entry.egress = port.egress.get();
  if ((port.awaits_policy || port.ingress || port.egress) && port.kind != PortKind::kPod) {
    return net::invalid_argument(quoted(port) + " has policies and is not a pod's");
  }
  const bool is_way_out = port.kind == PortKind::kUplink || port.kind == PortKind::kNodeLink;
  if (is_way_out && !(port.addresses.empty() && port.prefixes.empty())) {
    return net::invalid_argument(quoted(port) + " is an uplink or beside one and cannot have addresses or prefixes");
  }
  entry.has_prefixes = !port.prefixes.empty();
  entry.is_filtered = port.is_filtered;
  if (port.is_filtered && port.kind != PortKind::kUplink) {
    return net::invalid_argument(quoted(port) + " is filtered and no uplink");
  }
  for (const net::IpAddress& address : port.addresses) {
    if (Result<void> checked = check_address(port, address, spec.gateway); !checked) return checked.error();
    std::uint8_t& count = address.is_v4() ? entry.ipv4_count : entry.ipv6_count;
    if (count == kMaxPortAddresses) {
      return net::resource_exhausted(quoted(port) + " has more than " + std::to_string(kMaxPortAddresses) +
                                     " addresses of one family");
    }
    if (address.is_v4()) {
      entry.ipv4[count++] = address.v4();
    } else {
      entry.ipv6[count++] = address.v6();
    }
  }
  const std::uint32_t min_mtu_bytes = entry.ipv6_count > 0 ? kMinIpv6MtuBytes : kMinMtuBytes;
  if (port.mtu_bytes < min_mtu_bytes || port.mtu_bytes > kMaxMtuBytes) {
    return net::invalid_argument(quoted(port) + " mtu " + std::to_string(port.mtu_bytes) + " is not in " +
                                 std::to_string(min_mtu_bytes) + ".." + std::to_string(kMaxMtuBytes));
  }
  entry.mtu_bytes = static_cast<std::uint16_t>(port.mtu_bytes);
  return {};
}

/// The node link and the queues of the device that no kernel drives, of which there is at most one each.
Result<void> join_node_link(const SnapshotSpec& spec, Snapshot& snapshot) {
  const PortSpec* link = nullptr;
  const PortSpec* device = nullptr;  // its queue of the link's worker, else the first
  for (const PortSpec& port : spec.ports) {
    if (port.kind != PortKind::kNodeLink) continue;
    if (link != nullptr) return net::already_exists(quoted(port) + " is a second node link beside " + quoted(*link));
    link = &port;
  }
  for (const PortSpec& port : spec.ports) {
    if (!port.is_filtered) continue;
    if (device != nullptr && device->name != port.name) {
      return net::already_exists(quoted(port) + " is a second device that no kernel drives, beside " + quoted(*device));
    }
    const bool is_nearer =
        link != nullptr && port.worker == link->worker && device != nullptr && device->worker != link->worker;
    if (device == nullptr || is_nearer) device = &port;
    if (link != nullptr) snapshot.ports[port.id].beside = link->id;
  }
  if (link != nullptr && device != nullptr) snapshot.ports[link->id].beside = device->id;
  return {};
}

struct PrefixHash {
  std::size_t operator()(const net::Prefix& prefix) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(prefix.address.bytes.data()), 16}) * 131 +
           prefix.length_bits;
  }
};

/// Routes of all ports and tunnels; says which two want the same prefix.
class RouteCollector {
 public:
  Result<void> add(const net::Prefix& prefix, net::PortId id, const char* kind, const std::string& name) {
    const auto [found, is_new] = owners_.emplace(prefix, Owner{kind, &name});
    if (!is_new) {
      return net::already_exists(prefix.to_string() + " of " + Owner{kind, &name}.text() + " is already that of " +
                                 found->second.text());
    }
    routes.push_back({prefix, id});
    return {};
  }

  std::vector<Route> routes;

 private:
  struct Owner {
    const char* kind;
    const std::string* name;
    std::string text() const { return std::string(kind) + " \"" + *name + "\""; }
  };
  std::unordered_map<net::Prefix, Owner, PrefixHash> owners_;
};

Result<std::vector<Route>> collect_routes(const SnapshotSpec& spec) {
  RouteCollector collector;
  for (const PortSpec& port : spec.ports) {
    std::vector<net::Prefix> prefixes;
    for (const net::IpAddress& address : port.addresses) {
      prefixes.push_back({address, static_cast<std::uint8_t>(address.bits())});
    }
    prefixes.insert(prefixes.end(), port.prefixes.begin(), port.prefixes.end());
    for (const net::Prefix& prefix : prefixes) {
      if (Result<void> added = collector.add(prefix, port.id, "port", port.name); !added) return added.error();
    }
  }
  for (const TunnelSpec& tunnel : spec.tunnels) {
    const auto id = static_cast<net::PortId>(spec.port_limit + tunnel.index);
    for (const net::Prefix& prefix : tunnel.prefixes) {
      if (Result<void> added = collector.add(prefix, id, "tunnel", tunnel.name); !added) return added.error();
    }
  }
  return std::move(collector.routes);
}

std::string count_text(const char* what, std::size_t count, std::size_t limit) {
  return std::to_string(count) + " " + what + " are more than the limit of " + std::to_string(limit);
}

Result<RouteTable> build_prefixes(const char* what, const std::vector<net::Prefix>& prefixes, std::size_t limit) {
  if (prefixes.size() > limit) return net::resource_exhausted(count_text(what, prefixes.size(), limit));
  std::vector<Route> routes;
  constexpr net::PortId kAnyPort = 0;
  for (const net::Prefix& prefix : prefixes) routes.push_back({prefix, kAnyPort});
  return RouteTable::build(routes);
}

Result<NatRules> build_nat(const NatSpec& spec, unsigned worker_count) {
  NatRules rules;
  constexpr std::uint32_t kPortNumbers = 65'536;
  if (spec.ports.count > kPortNumbers - spec.ports.first) {
    return net::invalid_argument("masquerade: " + std::to_string(spec.ports.count) + " ports from " +
                                 std::to_string(spec.ports.first) + " on go beyond 65535");
  }
  rules.masquerade_v4 = spec.masquerade_v4;
  rules.masquerade_v6 = spec.masquerade_v6;
  rules.ports_a_worker = ports_of_worker(spec.ports, worker_count, 0).count;
  rules.ports = {spec.ports.first, rules.ports_a_worker * worker_count};
  const bool masquerades = !spec.masquerade_v4.is_unspecified() || !spec.masquerade_v6.is_unspecified();
  if (masquerades && rules.ports_a_worker == 0) {
    return net::invalid_argument("masquerade: " + std::to_string(spec.ports.count) + " ports are fewer than the " +
                                 std::to_string(worker_count) + " workers");
  }
  auto not_masqueraded = build_prefixes("not_masqueraded prefixes", spec.not_masqueraded, kMaxNotMasqueraded);
  if (!not_masqueraded) return not_masqueraded.error();
  rules.not_masqueraded = std::move(not_masqueraded).value();
  auto service_prefixes = build_prefixes("service_prefixes", spec.service_prefixes, kMaxServicePrefixes);
  if (!service_prefixes) return service_prefixes.error();
  rules.service_prefixes = std::move(service_prefixes).value();
  if (spec.node_addresses.size() > kMaxNodeAddresses) {
    return net::resource_exhausted(count_text("node addresses", spec.node_addresses.size(), kMaxNodeAddresses));
  }
  for (const net::IpAddress& address : spec.node_addresses) {
    if (address.is_v4()) {
      rules.node_v4.push_back(address.v4());
    } else {
      rules.node_v6.push_back(address.v6());
    }
  }
  return rules;
}

/// The port stays what it was when the same device stands under the id. The device of the snapshot before is alive
/// while this one is built, so an equal pointer is the same device.
std::uint64_t since(const SnapshotSpec& spec, const PortSpec& port, const Snapshot* previous) {
  if (previous == nullptr || port.id >= previous->first_tunnel) return spec.generation;
  const PortEntry& before = previous->ports[port.id];
  return before.port == port.port ? before.since_generation : spec.generation;
}

const std::shared_ptr<const policy::IdentityTable>& no_identities() {
  static const std::shared_ptr<const policy::IdentityTable> kNone = policy::IdentityTable::build({}).value();
  return kNone;
}

const std::shared_ptr<const nat::ServiceTable>& no_services() {
  static const std::shared_ptr<const nat::ServiceTable> kNone = nat::ServiceTable::build({}).value();
  return kNone;
}

}  // namespace

nat::PortRange ports_of_worker(nat::PortRange ports, unsigned worker_count, WorkerId worker) noexcept {
  const std::uint32_t count = ports.count / worker_count;
  return {static_cast<std::uint16_t>(ports.first + count * worker), count};
}

Result<std::unique_ptr<Snapshot>> build_snapshot(const SnapshotSpec& spec, const Snapshot* previous) {
  if (Result<void> checked = check_limits(spec); !checked) return checked.error();
  if (Result<void> checked = check_gateway(spec.gateway); !checked) return checked.error();

  auto snapshot = std::make_unique<Snapshot>();
  snapshot->generation = spec.generation;
  snapshot->gateway = spec.gateway;
  snapshot->ports.resize(spec.port_limit + spec.tunnel_limit);
  std::vector<const PortSpec*> owner_of_id(spec.port_limit, nullptr);
  for (const PortSpec& port : spec.ports) {
    if (port.id >= spec.port_limit) {
      return net::invalid_argument(quoted(port) + " id " + std::to_string(port.id) + " is not below the limit of " +
                                   std::to_string(spec.port_limit));
    }
    if (const PortSpec* other = owner_of_id[port.id]; other != nullptr) {
      return net::already_exists("id " + std::to_string(port.id) + " of " + quoted(port) + " is already that of " +
                                 quoted(*other));
    }
    owner_of_id[port.id] = &port;
    PortEntry& entry = snapshot->ports[port.id];
    if (Result<void> filled = fill_entry(spec, port, entry); !filled) return filled.error();
    entry.since_generation = since(spec, port, previous);
    snapshot->has_dhcp |= entry.dhcp;
    snapshot->has_policies |= entry.awaits_policy || entry.ingress != nullptr || entry.egress != nullptr;
    for (const auto& rules : {port.ingress, port.egress}) {
      if (rules != nullptr) snapshot->rule_sets.push_back(rules);
    }
    snapshot->polled[port.worker].push_back(port.id);
    if (port.kind == PortKind::kHost && snapshot->outside == net::kNoPort) snapshot->outside = port.id;
  }
  if (Result<void> joined = join_node_link(spec, *snapshot); !joined) return joined.error();
  Result<std::vector<Route>> routes = collect_routes(spec);
  if (!routes) return routes.error();
  if (Result<void> built = build_tunnels(spec, previous, *snapshot); !built) return built.error();
  Result<RouteTable> table = RouteTable::build(*routes);
  if (!table) return table.error();
  snapshot->routes = std::move(table).value();
  Result<NatRules> nat = build_nat(spec.nat, spec.worker_count);
  if (!nat) return nat.error();
  snapshot->nat = std::move(nat).value();
  snapshot->services = spec.services != nullptr ? spec.services : no_services();
  snapshot->identities = spec.identities != nullptr ? spec.identities : no_identities();
  // Any change may change a route, a backend or a verdict: each flow asks again, once.
  snapshot->epoch = static_cast<std::uint32_t>(spec.generation);
  return snapshot;
}

}  // namespace millrace::datapath
