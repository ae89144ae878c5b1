#include "control/switch/uplink_rules.h"

#include <algorithm>

#include "nat/service.h"

namespace millrace::control::switchd {

datapath::UplinkRules uplink_rules(const DesiredState& state, bool has_uplink) {
  datapath::UplinkRules rules;
  if (!has_uplink) return rules;
  const datapath::NatSpec& nat = state.nat;
  if (const auto& underlay = state.tunnels->underlay) {
    rules.vtep_v4 = underlay->node.ipv4;
    rules.vtep_v6 = underlay->node.ipv6;
    rules.vtep_port = underlay->node.udp_port;
    rules.local_prefixes = underlay->local_prefixes;
  }
  rules.masquerade_v4 = nat.masquerade_v4;
  rules.masquerade_v6 = nat.masquerade_v6;
  rules.ports = nat.ports;
  for (const auto& [name, live] : state.services->by_name) {
    for (const nat::Service::Key& key : live->service->keys()) {
      const bool is_inside = std::any_of(nat.service_prefixes.begin(), nat.service_prefixes.end(),
                                         [&](const net::Prefix& prefix) { return prefix.contains(key.address); });
      if (!is_inside) rules.frontends.push_back({key.address, key.protocol, key.port});
    }
  }
  std::sort(rules.frontends.begin(), rules.frontends.end());
  return rules;
}

}  // namespace millrace::control::switchd
