#include "control/agent/services/endpoints.h"

#include <algorithm>
#include <tuple>

namespace millrace::control::agent::services {
namespace {

bool is_port(const kube::EndpointPort& named, const kube::ServicePort& port) {
  return named.name == port.name && named.protocol == port.protocol && named.port != 0;
}

void add_from_slice(const kube::EndpointSlice& slice, const kube::ServicePort& port, std::uint8_t family,
                    const Node& node, std::vector<Endpoint>& found) {
  if (!is_of_family(slice, family)) return;
  for (const kube::EndpointPort& named : slice.ports) {
    if (!is_port(named, port)) continue;
    for (const kube::Endpoint& each : slice.endpoints) {
      if (each.addresses.empty()) continue;
      found.push_back({.address = each.addresses.front(),
                       .port = named.port,
                       .ready = each.ready.value_or(true),
                       .serving = each.serving.value_or(true),
                       .terminating = each.terminating.value_or(false),
                       .local = each.node_name == node.name,
                       .zone_hints = {each.hint_zones.begin(), each.hint_zones.end()},
                       .node_hints = {each.hint_nodes.begin(), each.hint_nodes.end()}});
    }
  }
}

void add_from_addresses(const std::vector<kube::EndpointAddress>& addresses, bool ready, std::uint16_t port,
                        std::uint8_t family, const Node& node, std::vector<Endpoint>& found) {
  for (const kube::EndpointAddress& each : addresses) {
    if (each.ip.family != family) continue;
    found.push_back({.address = each.ip,
                     .port = port,
                     .ready = ready,
                     .serving = ready,
                     .terminating = false,
                     .local = each.node_name == node.name,
                     .zone_hints = {},
                     .node_hints = {}});
  }
}

/// The number of the port in that pod; 0 when it has none of that name and protocol.
std::uint16_t target_in(const kube::Pod& pod, const kube::ServicePort& port) {
  if (port.target.number != 0) return port.target.number;
  if (port.target.name.empty()) return port.port;
  for (const kube::ContainerPort& each : pod.ports) {
    if (each.name == port.target.name && each.protocol == port.protocol) return each.port;
  }
  return 0;
}

/// Sorts, and makes one of those that are named twice.
void merge(std::vector<Endpoint>& endpoints) {
  const auto place = [](const Endpoint& endpoint) { return std::tie(endpoint.address, endpoint.port); };
  std::ranges::stable_sort(endpoints, [&](const Endpoint& a, const Endpoint& b) { return place(a) < place(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (kept > 0 && place(endpoints[kept - 1]) == place(endpoints[i])) {
      Endpoint& into = endpoints[kept - 1];
      into.ready |= endpoints[i].ready;
      into.serving |= endpoints[i].serving;
      into.terminating |= endpoints[i].terminating;
      into.local |= endpoints[i].local;
      into.zone_hints.merge(endpoints[i].zone_hints);
      into.node_hints.merge(endpoints[i].node_hints);
      continue;
    }
    if (kept != i) endpoints[kept] = std::move(endpoints[i]);
    ++kept;
  }
  endpoints.erase(endpoints.begin() + static_cast<std::ptrdiff_t>(kept), endpoints.end());
}

using Chosen = std::vector<const Endpoint*>;

/// The ready ones among `all`; if there is none, those that serve while they end.
Chosen ready_or_ending(const Chosen& all) {
  Chosen ready, ending;
  for (const Endpoint* endpoint : all) {
    if (endpoint->ready) ready.push_back(endpoint);
    if (endpoint->serving && endpoint->terminating) ending.push_back(endpoint);
  }
  return ready.empty() ? ending : ready;
}

/// Those with a hint for `here`. Empty: one of them has no hints at all, or none is for `here`.
Chosen hinted(const Chosen& all, std::set<std::string> Endpoint::*hints, const std::string& here) {
  Chosen chosen;
  for (const Endpoint* endpoint : all) {
    if ((endpoint->*hints).empty()) return {};
    if ((endpoint->*hints).contains(here)) chosen.push_back(endpoint);
  }
  return chosen;
}

}  // namespace

bool is_of_family(const kube::EndpointSlice& slice, std::uint8_t family) {
  return slice.address_type == (family == 4 ? kube::AddressType::kIpv4 : kube::AddressType::kIpv6);
}

bool serves_family(const kube::Service& service, std::uint8_t family) {
  const auto is_ours = [family](const net::IpAddress& address) { return address.family == family; };
  return service.cluster_ips.empty() || std::ranges::any_of(service.cluster_ips, is_ours);
}

bool come_from_pods(const EndpointSources& sources, std::uint8_t family) {
  // Who writes slices for one family leaves the other to the selector: while the first of two is there, too.
  const auto is_ours = [family](const auto& slice) { return is_of_family(*slice, family); };
  return sources.endpoints == nullptr && std::ranges::none_of(sources.slices, is_ours);
}

std::optional<Endpoint> endpoint_of(const kube::Pod& pod, const kube::Service& service, const kube::ServicePort& port,
                                    std::uint8_t family, const Node& node) {
  const std::uint16_t target = target_in(pod, port);
  if (target == 0 || pod.is_over()) return std::nullopt;
  const auto is_ours = [family](const net::IpAddress& address) { return address.family == family; };
  const auto address = std::ranges::find_if(pod.addresses, is_ours);  // one a family
  if (address == pod.addresses.end()) return std::nullopt;
  return Endpoint{.address = *address,
                  .port = target,
                  .ready = service.publish_not_ready_addresses || (pod.is_ready() && !pod.meta.deleting),
                  .serving = pod.is_ready(),
                  .terminating = pod.meta.deleting,
                  .local = pod.node_name == node.name,
                  .zone_hints = {},
                  .node_hints = {}};
}

std::vector<Endpoint> endpoints_of(const kube::Service& service, const kube::ServicePort& port, std::uint8_t family,
                                   const EndpointSources& sources, const Node& node) {
  std::vector<Endpoint> found;
  const auto is_ours = [family](const auto& slice) { return is_of_family(*slice, family); };
  if (come_from_pods(sources, family)) {
    for (const auto& pod : sources.pods) {
      if (auto endpoint = endpoint_of(*pod, service, port, family, node)) found.push_back(*std::move(endpoint));
    }
  } else if (std::ranges::any_of(sources.slices, is_ours)) {
    for (const auto& slice : sources.slices) add_from_slice(*slice, port, family, node, found);
  } else {
    for (const kube::EndpointSubset& subset : sources.endpoints->subsets) {
      for (const kube::EndpointPort& named : subset.ports) {
        if (!is_port(named, port)) continue;
        add_from_addresses(subset.addresses, true, named.port, family, node, found);
        add_from_addresses(subset.not_ready_addresses, false, named.port, family, node, found);
      }
    }
  }
  merge(found);
  return found;
}

bool selects(const kube::Labels& selector, const kube::Labels& labels) {
  return !selector.empty() && std::ranges::all_of(selector, [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

EligibleEndpoints eligible(std::span<const Endpoint> endpoints, const Node& node) {
  Chosen all, here;
  for (const Endpoint& endpoint : endpoints) {
    all.push_back(&endpoint);
    if (endpoint.local) here.push_back(&endpoint);
  }
  EligibleEndpoints chosen;
  chosen.cluster = ready_or_ending(all);
  chosen.local = ready_or_ending(here);
  chosen.any = !chosen.cluster.empty();
  if (!chosen.any || !chosen.cluster.front()->ready) return chosen;
  Chosen near = hinted(chosen.cluster, &Endpoint::node_hints, node.name);
  if (near.empty() && !node.zone.empty()) near = hinted(chosen.cluster, &Endpoint::zone_hints, node.zone);
  if (!near.empty()) chosen.cluster = std::move(near);
  return chosen;
}

}  // namespace millrace::control::agent::services
