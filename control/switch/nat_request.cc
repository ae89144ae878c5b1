#include "control/switch/nat_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "control/switch/field_checks.h"

namespace millrace::control::switchd {
namespace {

net::Result<void> parse_masquerade(const api::Nat& wire, datapath::NatSpec& nat) {
  if (!wire.masquerade_ipv4().empty()) {
    const auto address = check_unicast("nat.masquerade_ipv4", wire.masquerade_ipv4());
    if (!address) return address.error();
    if (!address->is_v4()) {
      return net::invalid_argument(fmt::format("nat.masquerade_ipv4: {}; allowed: IPv4", address->to_string()));
    }
    nat.masquerade_v4 = address->v4();
  }
  if (!wire.masquerade_ipv6().empty()) {
    const auto address = check_unicast("nat.masquerade_ipv6", wire.masquerade_ipv6());
    if (!address) return address.error();
    if (address->is_v4() || address->v6().is_link_local()) {
      return net::invalid_argument(
          fmt::format("nat.masquerade_ipv6: {}; allowed: IPv6 that is routed", address->to_string()));
    }
    nat.masquerade_v6 = address->v6();
  }
  return {};
}

template <typename Repeated>
net::Result<std::vector<net::Prefix>> parse_prefixes(const char* field, const Repeated& wire, std::size_t limit) {
  if (static_cast<std::size_t>(wire.size()) > limit) {
    return net::resource_exhausted(fmt::format("{}: {} entries; allowed: at most {}", field, wire.size(), limit));
  }
  std::vector<net::Prefix> prefixes;
  for (const api::RoutePrefix& route : wire) {
    const std::string entry = fmt::format("{}[{}]", field, prefixes.size());
    const auto prefix = check_prefix(entry, route.address(), route.length());
    if (!prefix) return prefix.error();
    if (std::find(prefixes.begin(), prefixes.end(), *prefix) != prefixes.end()) {
      return net::invalid_argument(fmt::format("{}: {} is named twice", entry, prefix->to_string()));
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

net::Result<std::vector<net::IpAddress>> parse_node_addresses(const api::Nat& wire) {
  if (static_cast<std::size_t>(wire.node_addresses_size()) > datapath::kMaxNodeAddresses) {
    return net::resource_exhausted(fmt::format("nat.node_addresses: {} entries; allowed: at most {}",
                                               wire.node_addresses_size(), datapath::kMaxNodeAddresses));
  }
  std::vector<net::IpAddress> addresses;
  for (const std::string& bytes : wire.node_addresses()) {
    const auto address = check_unicast(fmt::format("nat.node_addresses[{}]", addresses.size()), bytes);
    if (!address) return address.error();
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

net::Result<datapath::NatSpec> parse_nat(const api::Nat& wire) {
  datapath::NatSpec nat;
  if (auto parsed = parse_masquerade(wire, nat); !parsed) return parsed.error();
  auto not_masqueraded = parse_prefixes("nat.not_masqueraded", wire.not_masqueraded(), datapath::kMaxNotMasqueraded);
  if (!not_masqueraded) return not_masqueraded.error();
  nat.not_masqueraded = std::move(not_masqueraded).value();
  auto service_prefixes =
      parse_prefixes("nat.service_prefixes", wire.service_prefixes(), datapath::kMaxServicePrefixes);
  if (!service_prefixes) return service_prefixes.error();
  nat.service_prefixes = std::move(service_prefixes).value();
  auto addresses = parse_node_addresses(wire);
  if (!addresses) return addresses.error();
  nat.node_addresses = std::move(addresses).value();
  return nat;
}

}  // namespace millrace::control::switchd
