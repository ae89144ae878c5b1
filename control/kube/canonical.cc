#include "control/kube/canonical.h"

#include "control/kube/manifest.h"
#include "control/kube/readers.h"

namespace millrace::control::kube {
namespace {

using Json = nlohmann::json;

std::string_view name_of(auto names, auto value) { return names[static_cast<std::size_t>(value)]; }

Json texts(const std::vector<net::IpAddress>& addresses) {
  Json list = Json::array();
  for (const net::IpAddress& address : addresses) list.push_back(address.to_string());
  return list;
}

void write_metadata(const Metadata& meta, Kind kind, Json& json) {
  Json& metadata = json["metadata"];
  for (const char* const key : {"creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink"}) {
    metadata.erase(key);
  }
  if (names_of(kind).has_namespace) metadata["namespace"] = meta.name_space;
  if (const auto found = metadata.find("annotations"); found != metadata.end()) {
    // The whole object once more, as kubectl keeps it for its own use.
    found->erase("kubectl.kubernetes.io/last-applied-configuration");
    if (found->empty()) metadata.erase(found);
  }
  if (kind == Kind::kNamespace) metadata["labels"] = meta.labels;
}

void write_protocols(Json& ports) {
  for (Json& port : ports) {
    if (!port.contains("protocol")) port["protocol"] = "TCP";
  }
}

void write_container_protocols(Json& json) {
  for (const char* const list : {"containers", "initContainers"}) {
    if (!json["spec"].contains(list)) continue;
    for (Json& container : json["spec"][list]) {
      if (container.contains("ports")) write_protocols(container["ports"]);
    }
  }
}

void write_ports(const Service& service, Json& spec) {
  if (service.ports.empty()) return;
  Json& ports = spec["ports"];
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    ports[i]["protocol"] = name_of(kProtocolNames, port.protocol);
    if (port.target.name.empty()) ports[i]["targetPort"] = port.target.number;
    if (port.node_port != 0) {
      ports[i]["nodePort"] = port.node_port;
    } else {
      ports[i].erase("nodePort");
    }
  }
}

void write_policy(const NetworkPolicy& policy, Json& spec) {
  if (!spec.contains("podSelector")) spec["podSelector"] = Json::object();
  if (!spec.contains("policyTypes") || spec["policyTypes"].empty()) {
    Json& types = spec["policyTypes"] = Json::array();
    if (policy.isolates_ingress) types.push_back(kPolicyTypeNames[0]);
    if (policy.isolates_egress) types.push_back(kPolicyTypeNames[1]);
  }
  for (const char* const direction : {"ingress", "egress"}) {
    if (!spec.contains(direction)) continue;
    for (Json& rule : spec[direction]) {
      if (rule.contains("ports")) write_protocols(rule["ports"]);
    }
  }
}

}  // namespace

void write_decided(const Service& service, Json& json) {
  Json& spec = json["spec"];
  spec["type"] = name_of(kServiceTypeNames, service.type);
  spec["sessionAffinity"] = service.session_affinity_seconds == 0 ? "None" : "ClientIP";
  if (service.session_affinity_seconds != 0) {
    spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] = service.session_affinity_seconds;
  }
  if (!service.selector.empty()) spec["selector"] = service.selector;
  write_ports(service, spec);
  if (service.type == ServiceType::kExternalName) return;
  spec["internalTrafficPolicy"] = name_of(kTrafficPolicyNames, service.internal_traffic_policy);
  if (service.has_node_ports() || !service.external_ips.empty()) {
    spec["externalTrafficPolicy"] = name_of(kTrafficPolicyNames, service.external_traffic_policy);
  }
  if (service.type == ServiceType::kLoadBalancer) {
    spec["allocateLoadBalancerNodePorts"] = service.allocate_load_balancer_node_ports;
  }
  if (service.health_check_node_port != 0) spec["healthCheckNodePort"] = service.health_check_node_port;
  if (service.headless || !service.cluster_ips.empty()) {
    spec["clusterIPs"] = service.headless ? Json::array({"None"}) : texts(service.cluster_ips);
    spec["clusterIP"] = spec["clusterIPs"][0];
  } else {
    spec.erase("clusterIP");
    spec.erase("clusterIPs");
  }
  if (!service.ip_families.empty()) {
    Json families = Json::array();
    for (const std::uint8_t family : service.ip_families) families.push_back(family == 4 ? "IPv4" : "IPv6");
    spec["ipFamilies"] = std::move(families);
  }
  if (service.ip_family_policy) spec["ipFamilyPolicy"] = name_of(kIpFamilyPolicyNames, *service.ip_family_policy);
}

Json canonical(const Object& object, Json json) {
  const Kind kind = kind_of(object);
  json["apiVersion"] = names_of(kind).api_version;
  json["kind"] = names_of(kind).name;
  write_metadata(meta_of(object), kind, json);
  if (const auto* service = std::get_if<Service>(&object)) write_decided(*service, json);
  if (const auto* policy = std::get_if<NetworkPolicy>(&object)) write_policy(*policy, json["spec"]);
  if (kind == Kind::kPod) write_container_protocols(json);
  if (kind == Kind::kEndpointSlice && json.contains("ports")) write_protocols(json["ports"]);
  if (kind == Kind::kEndpoints && json.contains("subsets")) {
    for (Json& subset : json["subsets"]) {
      if (subset.contains("ports")) write_protocols(subset["ports"]);
    }
  }
  return json;
}

}  // namespace millrace::control::kube
