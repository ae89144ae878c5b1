#include "control/switch/apply_request.h"

#include <fmt/core.h>

#include <set>

#include "control/switch/field_checks.h"
#include "control/switch/nat_request.h"
#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {
namespace {

/// An address of the gateway that may be left out: `bytes` empty, or exactly `size` of them.
template <typename Address>
net::Result<Address> optional_address(const std::string& field, const std::string& bytes, unsigned family) {
  if (bytes.empty()) return Address{};
  auto address = check_unicast(field, bytes);
  if (!address) return address.error();
  if (address->family != family) {
    return net::invalid_argument(fmt::format("{}: {}; allowed: IPv{}", field, address->to_string(), family));
  }
  if constexpr (std::is_same_v<Address, net::Ipv4>) {
    return address->v4();
  } else {
    return address->v6();
  }
}

net::Result<datapath::Gateway> parse_gateway(const api::Gateway& wire) {
  const auto mac = check_mac("gateway.mac", wire.mac());
  if (!mac) return mac.error();
  const auto ipv4 = optional_address<net::Ipv4>("gateway.ipv4", wire.ipv4(), 4);
  if (!ipv4) return ipv4.error();
  const auto ipv6 = optional_address<net::Ipv6>("gateway.ipv6", wire.ipv6(), 6);
  if (!ipv6) return ipv6.error();
  const auto source_v4 = optional_address<net::Ipv4>("gateway.icmp_source_ipv4", wire.icmp_source_ipv4(), 4);
  if (!source_v4) return source_v4.error();
  const auto source_v6 = optional_address<net::Ipv6>("gateway.icmp_source_ipv6", wire.icmp_source_ipv6(), 6);
  if (!source_v6) return source_v6.error();
  return datapath::Gateway{*mac, *ipv4, *ipv6, *source_v4, *source_v6};
}

net::Result<std::vector<net::IpAddress>> parse_addresses(const std::string& port, const api::PortSpec& wire) {
  std::vector<net::IpAddress> addresses;
  unsigned family_count[2] = {0, 0};
  for (int i = 0; i < wire.addresses_size(); ++i) {
    const std::string field = fmt::format("{}.addresses[{}]", port, i);
    auto address = check_unicast(field, wire.addresses(i));
    if (!address) return address.error();
    if (!address->is_v4() && address->v6().is_link_local()) {
      return net::invalid_argument(
          fmt::format("{}: {} is link-local; allowed: addresses that are routed", field, address->to_string()));
    }
    unsigned& count = family_count[address->is_v4() ? 0 : 1];
    if (++count > datapath::kMaxPortAddresses) {
      return net::invalid_argument(fmt::format("{}: address {} of IPv{}; allowed: {} a family", field, count,
                                               address->family, datapath::kMaxPortAddresses));
    }
    addresses.push_back(*address);
  }
  return addresses;
}

net::Result<std::vector<net::Prefix>> parse_prefixes(const std::string& port, const api::PortSpec& wire) {
  if (wire.prefixes_size() > kPrefixLimit) {
    return net::invalid_argument(
        fmt::format("{}.prefixes: {} entries; allowed: at most {}", port, wire.prefixes_size(), kPrefixLimit));
  }
  std::vector<net::Prefix> prefixes;
  for (int i = 0; i < wire.prefixes_size(); ++i) {
    const api::RoutePrefix& route = wire.prefixes(i);
    auto prefix = check_prefix(fmt::format("{}.prefixes[{}]", port, i), route.address(), route.length());
    if (!prefix) return prefix.error();
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

net::Result<void> check_mtu(const std::string& field, const PortConfig& port, const Limits& limits) {
  bool ipv6 = false;
  for (const net::IpAddress& address : port.addresses) ipv6 |= !address.is_v4();
  const std::uint32_t least = ipv6 ? datapath::kMinIpv6MtuBytes : datapath::kMinMtuBytes;
  if (port.mtu_bytes >= least && port.mtu_bytes <= limits.max_mtu_bytes) return {};
  return net::invalid_argument(fmt::format("{}: {}; allowed: {}..{}{}", field, port.mtu_bytes, least,
                                           limits.max_mtu_bytes, ipv6 ? " with IPv6 addresses" : ""));
}

net::Result<datapath::PortKind> parse_kind(const std::string& field, api::PortKind kind) {
  switch (kind) {
    case api::PORT_KIND_POD: return datapath::PortKind::kPod;
    case api::PORT_KIND_HOST: return datapath::PortKind::kHost;
    case api::PORT_KIND_UPLINK: return datapath::PortKind::kUplink;
    case api::PORT_KIND_NODE_LINK: return datapath::PortKind::kNodeLink;
    default:
      return net::invalid_argument(
          fmt::format("{}: {}; allowed: PORT_KIND_POD, PORT_KIND_HOST, PORT_KIND_UPLINK or PORT_KIND_NODE_LINK", field,
                      static_cast<int>(kind)));
  }
}

/// `interface` and `vhost` of the port: an interface, or the socket that stands in its place.
net::Result<void> parse_place(const std::string& field, const api::PortSpec& wire, PortConfig& port) {
  if (!wire.has_vhost_user()) {
    auto interface = check_interface(field + ".interface", wire.interface());
    if (!interface) return interface.error();
    port.interface = std::move(interface).value();
    return {};
  }
  const api::VhostUser& socket = wire.vhost_user();
  if (!wire.interface().empty()) {
    return net::invalid_argument(
        fmt::format("{}.interface: {}; allowed: none with vhost_user", field, quoted(wire.interface())));
  }
  if (auto path = check_socket_path(field + ".vhost_user.path", socket.path()); !path) return path;
  if (socket.role() != api::VHOST_ROLE_SERVER && socket.role() != api::VHOST_ROLE_CLIENT) {
    return net::invalid_argument(fmt::format("{}.vhost_user.role: {}; allowed: VHOST_ROLE_SERVER, VHOST_ROLE_CLIENT",
                                             field, static_cast<int>(socket.role())));
  }
  if (socket.queue_pairs() > kVhostPairLimit) {
    return net::invalid_argument(fmt::format("{}.vhost_user.queue_pairs: {}; allowed: 1..{}, or 0 for {}", field,
                                             socket.queue_pairs(), kVhostPairLimit, kVhostPairLimit));
  }
  port.interface = socket.path();
  port.vhost = VhostSocket{.is_client = socket.role() == api::VHOST_ROLE_CLIENT,
                           .queue_pairs = socket.queue_pairs() == 0 ? kVhostPairLimit : socket.queue_pairs()};
  return {};
}

/// What only ports of one kind can have.
net::Result<void> check_kind(const std::string& field, const PortConfig& port) {
  if (port.masquerade && port.kind != datapath::PortKind::kPod) {
    return net::invalid_argument(fmt::format("{}.masquerade: true; allowed: for PORT_KIND_POD alone", field));
  }
  if (port.dhcp && port.kind != datapath::PortKind::kPod) {
    return net::invalid_argument(fmt::format("{}.dhcp: true; allowed: for PORT_KIND_POD alone", field));
  }
  if (port.await_policy && port.kind != datapath::PortKind::kPod) {
    return net::invalid_argument(fmt::format("{}.await_policy: true; allowed: for PORT_KIND_POD alone", field));
  }
  if (!port.device.empty() && port.kind != datapath::PortKind::kUplink) {
    return net::invalid_argument(
        fmt::format("{}.device: {}; allowed: for PORT_KIND_UPLINK alone", field, quoted(port.device)));
  }
  if (port.vhost && port.kind != datapath::PortKind::kPod) {
    return net::invalid_argument(fmt::format("{}.vhost_user: allowed: for PORT_KIND_POD alone", field));
  }
  const bool is_uplink = port.kind == datapath::PortKind::kUplink;
  if ((is_uplink || port.kind == datapath::PortKind::kNodeLink) && !(port.addresses.empty() && port.prefixes.empty())) {
    return net::invalid_argument(fmt::format("{}.{}: allowed: none for {}", field,
                                             port.addresses.empty() ? "prefixes" : "addresses",
                                             is_uplink ? "PORT_KIND_UPLINK" : "PORT_KIND_NODE_LINK"));
  }
  return {};
}

net::Result<PortConfig> parse_port(const std::string& field, const api::PortSpec& wire, const Limits& limits) {
  PortConfig port;
  if (auto name = check_name(field + ".name", wire.name()); !name) return name.error();
  const auto kind = parse_kind(field + ".kind", wire.kind());
  if (!kind) return kind.error();
  if (auto place = parse_place(field, wire, port); !place) return place.error();
  const auto mac = check_mac(field + ".mac", wire.mac());
  if (!mac) return mac.error();
  auto addresses = parse_addresses(field, wire);
  if (!addresses) return addresses.error();
  auto prefixes = parse_prefixes(field, wire);
  if (!prefixes) return prefixes.error();
  if (auto text = check_description(field + ".description", wire.description()); !text) return text.error();
  if (auto text = check_text(field + ".device", wire.device(), kDeviceLimit); !text) return text.error();

  port.name = wire.name();
  port.kind = *kind;
  port.mac = *mac;
  port.addresses = std::move(addresses).value();
  port.prefixes = std::move(prefixes).value();
  port.mtu_bytes = wire.mtu();
  port.description = wire.description();
  port.masquerade = wire.masquerade();
  port.dhcp = wire.dhcp();
  port.await_policy = wire.await_policy();
  port.device = wire.device();
  if (auto fits = check_kind(field, port); !fits) return fits.error();
  if (auto mtu = check_mtu(field + ".mtu", port, limits); !mtu) return mtu.error();
  return port;
}

}  // namespace

net::Result<Change> parse_apply(const api::ApplyRequest& request, const Limits& limits, const LiveServices& services,
                                const PolicyState& policy) {
  if (static_cast<std::size_t>(request.upsert_ports_size()) > limits.port_limit) {
    return net::resource_exhausted(fmt::format("upsert_ports: {} ports; portLimit of the switch is {}",
                                               request.upsert_ports_size(), limits.port_limit));
  }
  Change change;
  change.replace_all = request.replace_all();
  if (request.has_nat()) {
    auto nat = parse_nat(request.nat());
    if (!nat) return nat.error();
    nat->ports = limits.nat_ports;
    change.nat = std::move(nat).value();
  }
  if (request.has_gateway()) {
    const auto gateway = parse_gateway(request.gateway());
    if (!gateway) return gateway.error();
    change.gateway = *gateway;
  }
  std::set<std::string> names;
  for (int i = 0; i < request.upsert_ports_size(); ++i) {
    const std::string field = fmt::format("upsert_ports[{}]", i);
    auto port = parse_port(field, request.upsert_ports(i), limits);
    if (!port) return port.error();
    if (!names.insert(port->name).second) {
      return net::invalid_argument(fmt::format("{}.name: \"{}\" is named twice in this request", field, port->name));
    }
    change.upserts.push_back(std::move(port).value());
  }
  for (int i = 0; i < request.remove_ports_size(); ++i) {
    const std::string field = fmt::format("remove_ports[{}]", i);
    auto name = check_name(field, request.remove_ports(i));
    if (!name) return name.error();
    if (names.contains(*name)) {
      return net::invalid_argument(fmt::format("{}: \"{}\" is also in upsert_ports", field, *name));
    }
    change.removals.push_back(std::move(name).value());
  }
  auto services_change = parse_services(request, services);
  if (!services_change) return services_change.error();
  change.services = std::move(services_change).value();
  auto policy_change = parse_policy(request, policy);
  if (!policy_change) return policy_change.error();
  change.policy = std::move(policy_change).value();
  auto tunnels = parse_tunnels(request);
  if (!tunnels) return tunnels.error();
  change.tunnels = std::move(tunnels).value();
  return change;
}

}  // namespace millrace::control::switchd
