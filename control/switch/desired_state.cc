#include "control/switch/desired_state.h"

#include <fmt/core.h>

#include <unordered_map>
#include <utility>

namespace millrace::control::switchd {
namespace {

/// "upsert_ports[2]" when the port is of the request, else the port's name.
using FieldNames = std::map<std::string, std::string>;

std::string field_of(const FieldNames& fields, const std::string& name) {
  const auto found = fields.find(name);
  return found == fields.end() ? fmt::format("port \"{}\"", name) : found->second;
}

/// Every address is a prefix of its family's whole length, so one map finds both kinds of collision.
struct Owner {
  const PortConfig* port = nullptr;
  std::string field;
};

/// A port of the request is blamed rather than one that was there before it.
net::Error collision(const FieldNames& fields, const Owner& one, const Owner& other, const std::string& what) {
  const bool other_is_new = fields.contains(other.port->name);
  const bool one_is_new = fields.contains(one.port->name);
  const Owner& blamed = one_is_new || !other_is_new ? one : other;
  const Owner& owner = &blamed == &one ? other : one;
  return net::invalid_argument(fmt::format("{}{}: {} is also that of port \"{}\"", field_of(fields, blamed.port->name),
                                           blamed.field, what, owner.port->name));
}

net::Result<void> check_interfaces(const DesiredState& state, const FieldNames& fields) {
  std::unordered_map<std::string, const PortConfig*> owners;
  for (const auto& [name, port] : state.ports) {
    const auto [found, is_new] = owners.emplace(port.interface, &port);
    if (is_new) continue;
    const char* const field = port.vhost ? ".vhost_user.path" : ".interface";
    return collision(fields, {&port, field}, {found->second, field}, fmt::format("\"{}\"", port.interface));
  }
  return {};
}

net::Result<void> check_addresses(const DesiredState& state, const FieldNames& fields) {
  std::unordered_map<net::Prefix, Owner, PrefixHash> owners;
  const auto claim = [&](const net::Prefix& prefix, const Owner& owner) -> net::Result<void> {
    const auto [found, is_new] = owners.emplace(prefix, owner);
    if (is_new) return {};
    return collision(fields, owner, found->second, prefix.to_string());
  };
  for (const auto& [name, port] : state.ports) {
    for (std::size_t i = 0; i < port.addresses.size(); ++i) {
      const net::IpAddress& address = port.addresses[i];
      const net::Prefix host{address, static_cast<std::uint8_t>(address.bits())};
      if (auto claimed = claim(host, {&port, fmt::format(".addresses[{}]", i)}); !claimed) return claimed;
    }
    for (std::size_t i = 0; i < port.prefixes.size(); ++i) {
      if (auto claimed = claim(port.prefixes[i], {&port, fmt::format(".prefixes[{}]", i)}); !claimed) return claimed;
    }
  }
  return {};
}

net::Result<void> check_gateway(const DesiredState& state, const FieldNames& fields) {
  const datapath::Gateway& gateway = state.gateway;
  for (const auto& [name, port] : state.ports) {
    if (port.mac == gateway.mac) {
      return net::invalid_argument(
          fmt::format("{}.mac: {} is the gateway's", field_of(fields, name), port.mac.to_string()));
    }
    for (std::size_t i = 0; i < port.addresses.size(); ++i) {
      const net::IpAddress& address = port.addresses[i];
      if (address.is_v4() ? address.v4() != gateway.ipv4 : address.v6() != gateway.ipv6) continue;
      return net::invalid_argument(
          fmt::format("{}.addresses[{}]: {} is the gateway's", field_of(fields, name), i, address.to_string()));
    }
  }
  return {};
}

/// Those of `before` when nothing is said of services, or all that is said is so already.
net::Result<std::shared_ptr<const ServiceState>> merge_services(const std::shared_ptr<const ServiceState>& before,
                                                                const Change& change) {
  const ServiceChange& services = change.services;
  if (services.empty() && !change.replace_all) return before;
  auto after = std::make_shared<ServiceState>();
  if (!change.replace_all) after->by_name = before->by_name;
  for (const std::string& name : services.removals) after->by_name.erase(name);
  for (const auto& [name, service] : services.upserts) after->by_name[name] = service;
  if (after->by_name == before->by_name) return before;
  auto table = build_services(after->by_name, services);
  if (!table) return table.error();
  after->table = std::move(table).value();
  return std::shared_ptr<const ServiceState>(std::move(after));
}

}  // namespace

net::Result<DesiredState> merge(const DesiredState& before, const Change& change, const Limits& limits) {
  DesiredState after;
  after.gateway = change.gateway.value_or(before.gateway);
  after.nat = change.nat.value_or(before.nat);
  if (!change.replace_all) after.ports = before.ports;
  for (const std::string& name : change.removals) after.ports.erase(name);
  FieldNames fields;
  for (std::size_t i = 0; i < change.upserts.size(); ++i) {
    const PortConfig& port = change.upserts[i];
    after.ports[port.name] = port;
    fields[port.name] = fmt::format("upsert_ports[{}]", i);
  }
  if (after.ports.size() > limits.port_limit) {
    return net::resource_exhausted(fmt::format("upsert_ports: {} ports in all; portLimit of the switch is {}",
                                               after.ports.size(), limits.port_limit));
  }
  if (auto checked = check_interfaces(after, fields); !checked) return checked.error();
  if (auto checked = check_addresses(after, fields); !checked) return checked.error();
  if (auto checked = check_gateway(after, fields); !checked) return checked.error();
  auto services = merge_services(before.services, change);
  if (!services) return services.error();
  after.services = std::move(services).value();
  auto tunnels = merge_tunnels(before.tunnels, change.tunnels, change.replace_all);
  if (!tunnels) return tunnels.error();
  after.tunnels = std::move(tunnels).value();
  if (auto checked = check_ports(*after.tunnels, change.tunnels, after.ports); !checked) return checked.error();
  after.policy = before.policy;
  after.port_policies = merge_port_policies(before.port_policies, change.policy, change.replace_all);
  return after;
}

}  // namespace millrace::control::switchd
