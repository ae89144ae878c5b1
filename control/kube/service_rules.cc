// What holds between the fields of a Service (ValidateService).
#include <set>

#include <fmt/format.h>

#include "control/kube/readers.h"

namespace millrace::control::kube {
namespace {

constexpr std::uint16_t kKubeletPort = 10250;

bool has(const Cursor& spec, std::string_view field) { return spec.value.find(field) != nullptr; }

std::string at_port(std::size_t index, std::string_view field) { return fmt::format("ports[{}].{}", index, field); }

std::string_view type_name(const Service& service) { return kServiceTypeNames[static_cast<std::size_t>(service.type)]; }

void check_ports(const Cursor& spec, const Service& service) {
  const bool may_have_none = service.headless || service.type == ServiceType::kExternalName;
  if (service.ports.empty() && !may_have_none) spec.fail_at("ports", "is missing", "at least one port");
  std::set<std::string> names;
  std::set<std::pair<Protocol, std::uint16_t>> ports, node_ports;
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    const Value* list = spec.value.find("ports");
    const int line = list != nullptr && i < list->entries.size() ? list->entries[i].value.line : spec.value.line;
    const auto fail = [&](std::string_view field, std::string_view wrong, std::string_view allowed) {
      spec.fail_at_line(at_port(i, field), line, wrong, allowed);
    };
    const std::string_view protocol = kProtocolNames[static_cast<std::size_t>(port.protocol)];
    if (port.name.empty() && service.ports.size() > 1) fail("name", "is missing", "a name each, as there are several");
    if (!port.name.empty() && !names.insert(port.name).second) {
      fail("name", fmt::format("\"{}\" is there twice", port.name), "each name once");
    }
    if (port.port != 0 && !ports.emplace(port.protocol, port.port).second) {
      fail("port", fmt::format("{} {} is there twice", protocol, port.port), "each port of a protocol once");
    }
    if (port.node_port != 0 && !service.has_node_ports()) {
      fail("nodePort", fmt::format("with type {}", type_name(service)), "none, or type NodePort or LoadBalancer");
    } else if (port.node_port != 0 && !node_ports.emplace(port.protocol, port.node_port).second) {
      fail("nodePort", fmt::format("{} {} is there twice", protocol, port.node_port), "each port of a protocol once");
    }
    if (service.type == ServiceType::kLoadBalancer && port.port == kKubeletPort) {
      fail("port", "10250 is the kubelet's, which a load balancer may not show to the world", "another port");
    }
  }
}

void check_cluster_ips(const Cursor& spec, const Service& service) {
  const bool is_name = service.type == ServiceType::kExternalName;
  const std::string_view field = has(spec, "clusterIP") ? "clusterIP" : "clusterIPs";
  if (is_name && (service.headless || !service.cluster_ips.empty())) {
    spec.fail_at(field, "with type ExternalName", "none");
  }
  if (service.headless && !service.cluster_ips.empty()) spec.fail_at(field, "None and an address", "one of them");
  if (service.headless && service.has_node_ports()) {
    spec.fail_at(field, fmt::format("None with type {}", type_name(service)), "an address, or type ClusterIP");
  }
  if (has(spec, "clusterIPs") && has(spec, "clusterIP")) {
    const Value& first = *spec.value.find("clusterIP");
    const Value& all = *spec.value.find("clusterIPs");
    if (!all.entries.empty() && all.entries[0].value.text != first.text) {
      spec.fail_at("clusterIPs", "the first is not clusterIP", "clusterIP first");
    }
  }
  if (service.cluster_ips.size() > 2 ||
      (service.cluster_ips.size() == 2 && service.cluster_ips[0].family == service.cluster_ips[1].family)) {
    spec.fail_at("clusterIPs", "two of one family", "at most one a family");
  }
}

void check_families(const Cursor& spec, const Service& service) {
  if (service.type == ServiceType::kExternalName) {
    for (const std::string_view field : {"ipFamilies", "ipFamilyPolicy"}) {
      if (has(spec, field)) spec.fail_at(field, "with type ExternalName", "none");
    }
    return;
  }
  for (std::size_t i = 0; i < std::min(service.ip_families.size(), service.cluster_ips.size()); ++i) {
    if (service.ip_families[i] == service.cluster_ips[i].family) continue;
    spec.fail_at(
        "ipFamilies",
        fmt::format("the address {} is none of IPv{}", service.cluster_ips[i].to_string(), service.ip_families[i]),
        "the families of clusterIPs, in their order");
  }
  const bool is_single = service.ip_family_policy == IpFamilyPolicy::kSingleStack || !service.ip_family_policy;
  if (is_single && (service.ip_families.size() > 1 || service.cluster_ips.size() > 1)) {
    const std::string_view field = service.ip_families.size() > 1 ? "ipFamilies" : "clusterIPs";
    spec.fail_at(field, "two families", "one, or ipFamilyPolicy PreferDualStack or RequireDualStack");
  }
}

void check_outside(const Cursor& spec, const Service& service) {
  const bool is_balancer = service.type == ServiceType::kLoadBalancer;
  if (is_balancer && service.external_traffic_policy == TrafficPolicy::kLocal) {
    // healthCheckNodePort is for these.
  } else if (has(spec, "healthCheckNodePort") && service.health_check_node_port != 0) {
    spec.fail_at("healthCheckNodePort", "is of no use here",
                 "none, or type LoadBalancer with externalTrafficPolicy Local");
  }
  if (has(spec, "externalTrafficPolicy") && !service.has_node_ports() && service.external_ips.empty()) {
    spec.fail_at("externalTrafficPolicy", fmt::format("with type {} and no externalIPs", type_name(service)),
                 "none, or a Service that can be reached from outside");
  }
  for (const std::string_view field :
       {"loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"}) {
    if (has(spec, field) && !is_balancer) {
      spec.fail_at(field, fmt::format("with type {}", type_name(service)), "none, or type LoadBalancer");
    }
  }
}

}  // namespace

void check_service(const Cursor& spec, const Service& service) {
  check_ports(spec, service);
  check_cluster_ips(spec, service);
  check_families(spec, service);
  check_outside(spec, service);
  if (service.type == ServiceType::kExternalName && service.external_name.empty()) {
    spec.fail_at("externalName", "is missing", "the name that the Service stands for");
  }
}

}  // namespace millrace::control::kube
