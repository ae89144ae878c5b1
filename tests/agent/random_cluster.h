/// Clusters made of chance: every object a service may depend on, small enough that the interesting cases are common.
///
/// Shape:   names, nodes, zones, labels and addresses come from a few of each. `shared`: services may want the same
///          addresses. A seed gives the same cluster everywhere: std::mt19937 is specified, distributions are not used.
#pragma once

#include "tests/agent/chance.h"
#include "tests/agent/cluster.h"

namespace millrace::control::agent::services {

inline const std::vector<std::string> kNodes = {"here", "there", "far"};
inline const std::vector<std::string> kZones = {"z1", "z2"};
inline const std::vector<std::string> kServices = {"a", "b", "c"};
inline const std::vector<std::string> kPortNames = {"", "http"};
inline const std::vector<std::uint16_t> kTargets = {8080, 9090};

inline std::optional<bool> maybe(Chance& chance, std::uint32_t one_in) {
  if (chance.one_in(3)) return std::nullopt;
  return chance.one_in(one_in);
}

inline net::IpAddress backend_address(Chance& chance, std::uint8_t family) {
  const std::uint32_t number = 1 + chance.below(6);
  return ip(family == 4 ? fmt::format("10.244.0.{}", number) : fmt::format("fd00:244::{}", number));
}

inline kube::Protocol random_protocol(Chance& chance) {
  if (!chance.one_in(6)) return kube::Protocol::kTcp;
  return chance.one_in(2) ? kube::Protocol::kUdp : kube::Protocol::kSctp;
}

inline kube::Service random_service(Chance& chance, const std::string& name, bool shared) {
  kube::Service service;
  service.meta.name = name;
  service.meta.name_space = "default";
  const std::uint32_t number = shared ? 1 + chance.below(2) : static_cast<std::uint32_t>(name[0] - 'a') + 1;
  service.type = static_cast<kube::ServiceType>(chance.one_in(12) ? 3 : chance.below(3));
  if (!chance.one_in(4)) service.cluster_ips.push_back(ip(fmt::format("10.96.0.{}", number)));
  if (chance.one_in(2)) service.cluster_ips.push_back(ip(fmt::format("fd00:96::{}", number)));
  if (chance.one_in(12)) service.headless = true;
  if (chance.one_in(12)) service.meta.labels.emplace(kube::kServiceProxyNameLabel, "other");
  if (chance.one_in(12)) service.meta.labels.emplace(kube::kHeadlessLabel, "");
  if (chance.one_in(2)) service.selector.emplace("app", name);
  if (chance.one_in(4)) service.selector.emplace("tier", "front");
  const std::uint32_t ports = 1 + chance.below(2);
  for (std::uint32_t i = 0; i < ports; ++i) {
    kube::ServicePort port;
    port.name = ports == 1 ? chance.of(kPortNames) : (i == 0 ? "http" : "other");
    port.protocol = random_protocol(chance);
    port.port = static_cast<std::uint16_t>(80 + i);
    port.node_port = chance.one_in(3) ? 0 : static_cast<std::uint16_t>(30000 + 10 * number + i);
    if (chance.one_in(3)) {
      port.target.name = "http";
    } else {
      port.target.number = chance.of(kTargets);
    }
    service.ports.push_back(port);
  }
  if (chance.one_in(2)) service.external_ips.push_back(ip(fmt::format("203.0.113.{}", number)));
  if (chance.one_in(4)) service.external_ips.push_back(ip(fmt::format("2001:db8:1::{}", number)));
  if (chance.one_in(2)) service.load_balancer_ingress.push_back(ip(fmt::format("198.51.100.{}", number)));
  if (chance.one_in(4)) service.load_balancer_ip = ip(fmt::format("2001:db8:2::{}", number));
  if (chance.one_in(3)) service.load_balancer_source_ranges.push_back(*net::Prefix::parse("192.0.2.0/25"));
  if (chance.one_in(6)) service.load_balancer_source_ranges.push_back(*net::Prefix::parse("2001:db8:9::/48"));
  if (chance.one_in(2)) service.external_traffic_policy = kube::TrafficPolicy::kLocal;
  if (chance.one_in(3)) service.internal_traffic_policy = kube::TrafficPolicy::kLocal;
  if (chance.one_in(4)) service.session_affinity_seconds = 60;
  if (chance.one_in(6)) service.publish_not_ready_addresses = true;
  return service;
}

inline kube::EndpointSlice random_slice(Chance& chance, const std::string& name) {
  kube::EndpointSlice slice;
  slice.meta.name = name;
  slice.meta.name_space = "default";
  if (!chance.one_in(10)) slice.meta.labels.emplace(kube::kServiceNameLabel, chance.of(kServices));
  const std::uint8_t family = chance.one_in(3) ? 6 : 4;
  slice.address_type = family == 4 ? kube::AddressType::kIpv4 : kube::AddressType::kIpv6;
  const std::uint32_t ports = 1 + chance.below(2);
  for (std::uint32_t i = 0; i < ports; ++i) {
    slice.ports.push_back({.name = chance.of(kPortNames),
                           .protocol = random_protocol(chance),
                           .port = chance.one_in(8) ? std::uint16_t{0} : chance.of(kTargets)});
  }
  const bool hints = chance.one_in(2);
  for (std::uint32_t i = chance.below(4); i > 0; --i) {
    kube::Endpoint endpoint;
    endpoint.addresses.push_back(backend_address(chance, family));
    endpoint.ready = chance.one_in(3) ? std::optional<bool>() : std::optional<bool>(chance.one_in(2));
    endpoint.serving = maybe(chance, 2);
    endpoint.terminating = maybe(chance, 2);
    endpoint.node_name = chance.of(kNodes);
    if (hints && !chance.one_in(4)) endpoint.hint_zones.push_back(chance.of(kZones));
    if (hints && chance.one_in(2)) endpoint.hint_nodes.push_back(chance.of(kNodes));
    slice.endpoints.push_back(endpoint);
  }
  return slice;
}

inline kube::Endpoints random_endpoints(Chance& chance, const std::string& name) {
  kube::Endpoints endpoints;
  endpoints.meta.name = name;
  endpoints.meta.name_space = "default";
  kube::EndpointSubset subset;
  subset.ports.push_back(
      {.name = chance.of(kPortNames), .protocol = random_protocol(chance), .port = chance.of(kTargets)});
  for (std::uint32_t i = chance.below(4); i > 0; --i) {
    const kube::EndpointAddress address{backend_address(chance, chance.one_in(3) ? 6 : 4), chance.of(kNodes), {}};
    (chance.one_in(3) ? subset.not_ready_addresses : subset.addresses).push_back(address);
  }
  endpoints.subsets.push_back(subset);
  return endpoints;
}

inline kube::Pod random_pod(Chance& chance, std::uint32_t number) {
  kube::Pod pod = make_pod(fmt::format("p{}", number), {{"app", chance.of(kServices)}},
                           fmt::format("10.244.1.{}", number), {}, chance.of(kNodes));
  if (chance.one_in(2)) pod.meta.labels.emplace("tier", "front");
  if (chance.one_in(2)) pod.addresses.push_back(ip(fmt::format("fd00:244:1::{}", number)));
  if (!chance.one_in(3)) pod.ports.push_back({"http", chance.of(kTargets), random_protocol(chance), 0});
  if (chance.one_in(5)) pod.phase = kube::PodPhase::kSucceeded;
  if (chance.one_in(3)) pod.ready = chance.one_in(2);
  pod.meta.deleting = chance.one_in(3);
  return pod;
}

/// Some object, new or in the place of one of the same name.
inline kube::Object random_object(Chance& chance, bool shared) {
  switch (chance.below(8)) {
    case 0:
    case 1: return random_service(chance, chance.of(kServices), shared);
    case 2:
    case 3: return random_slice(chance, fmt::format("slice-{}", chance.below(5)));
    case 4: return random_endpoints(chance, chance.of(kServices));
    default: return random_pod(chance, 1 + chance.below(5));
  }
}

}  // namespace millrace::control::agent::services
