#include "control/cli/object_table.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "control/cli/table.h"
#include "control/kube/manifest.h"

namespace millrace::control::cli {
namespace {

using Cells = std::vector<std::string>;
constexpr const char* kNone = "<none>";
constexpr std::size_t kShownEndpoints = 3;  // more are counted

template <typename List, typename Text>
std::string joined(const List& list, Text text) {
  std::string out;
  for (const auto& entry : list) {
    if (!out.empty()) out += ',';
    out += text(entry);
  }
  return out.empty() ? kNone : out;
}

std::string addresses_text(const std::vector<net::IpAddress>& addresses) {
  return joined(addresses, [](const net::IpAddress& address) { return address.to_string(); });
}

std::string labels_text(const kube::Labels& labels) {
  return joined(labels, [](const auto& label) { return fmt::format("{}={}", label.first, label.second); });
}

std::string age_text(std::uint64_t age_ms) {
  if (age_ms == 0) return "<unknown>";
  return duration_text(age_ms / 1000 * 1000);
}

std::string type_text(kube::ServiceType type) {
  constexpr const char* kNames[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string protocol_text(kube::Protocol protocol) {
  return std::string(kube::kProtocolNames[static_cast<std::size_t>(protocol)]);
}

std::string external_text(const kube::Service& service) {
  if (service.type == kube::ServiceType::kExternalName) return service.external_name;
  std::vector<net::IpAddress> all = service.load_balancer_ingress;
  if (service.type == kube::ServiceType::kLoadBalancer && service.load_balancer_ip) {
    if (std::ranges::find(all, *service.load_balancer_ip) == all.end()) all.push_back(*service.load_balancer_ip);
  }
  all.insert(all.end(), service.external_ips.begin(), service.external_ips.end());
  if (all.empty() && service.type == kube::ServiceType::kLoadBalancer) return "<pending>";
  return addresses_text(all);
}

Cells cells_of(const kube::Service& service, bool wide) {
  const std::string address = service.headless              ? "None"
                              : service.cluster_ips.empty() ? kNone
                                                            : service.cluster_ips[0].to_string();
  const std::string ports = joined(service.ports, [](const kube::ServicePort& port) {
    const std::string node_port = port.node_port == 0 ? "" : fmt::format(":{}", port.node_port);
    return fmt::format("{}{}/{}", port.port, node_port, protocol_text(port.protocol));
  });
  Cells cells = {type_text(service.type), address, external_text(service), ports};
  if (wide) cells.push_back(labels_text(service.selector));
  return cells;
}

Cells cells_of(const kube::Pod& pod, bool wide) {
  constexpr const char* kPhases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
  const std::string ip = pod.addresses.empty() ? kNone : pod.addresses[0].to_string();
  Cells cells = {pod.is_ready() ? "yes" : "no",
                 pod.meta.deleting ? "Terminating" : kPhases[static_cast<std::size_t>(pod.phase)], ip};
  if (wide) {
    cells.push_back(pod.node_name.empty() ? kNone : pod.node_name);
    cells.push_back(addresses_text(pod.addresses));
    cells.push_back(labels_text(pod.meta.labels));
  }
  return cells;
}

std::string with_more(const std::vector<std::string>& all) {
  std::string out;
  for (std::size_t i = 0; i < std::min(all.size(), kShownEndpoints); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ",", all[i]);
  if (all.size() > kShownEndpoints) out += fmt::format(" + {} more...", all.size() - kShownEndpoints);
  return out.empty() ? kNone : out;
}

Cells cells_of(const kube::Endpoints& endpoints, bool) {
  std::vector<std::string> all;
  for (const kube::EndpointSubset& subset : endpoints.subsets) {
    for (const kube::EndpointAddress& address : subset.addresses) {
      const std::string ip = address.ip.is_v4() ? address.ip.to_string() : fmt::format("[{}]", address.ip.to_string());
      for (const kube::EndpointPort& port : subset.ports) all.push_back(fmt::format("{}:{}", ip, port.port));
      if (subset.ports.empty()) all.push_back(address.ip.to_string());
    }
  }
  return {with_more(all)};
}

Cells cells_of(const kube::EndpointSlice& slice, bool) {
  constexpr const char* kTypes[] = {"IPv4", "IPv6", "FQDN"};
  std::vector<std::string> all;
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    for (const net::IpAddress& address : endpoint.addresses) all.push_back(address.to_string());
  }
  const std::string ports = joined(slice.ports, [](const kube::EndpointPort& port) {
    return port.port == 0 ? std::string("*") : std::to_string(port.port);
  });
  return {kTypes[static_cast<std::size_t>(slice.address_type)], ports, with_more(all)};
}

Cells cells_of(const kube::NetworkPolicy& policy, bool) {
  const std::string selector = to_string(policy.pod_selector);
  std::vector<std::string_view> types;
  if (policy.isolates_ingress) types.push_back(kube::kPolicyTypeNames[0]);
  if (policy.isolates_egress) types.push_back(kube::kPolicyTypeNames[1]);
  return {selector.empty() ? kNone : selector, joined(types, [](std::string_view type) { return type; })};
}

Cells cells_of(const kube::Namespace& name_space, bool wide) {
  Cells cells = {name_space.meta.deleting ? "Terminating" : "Active"};
  if (wide) cells.push_back(labels_text(name_space.meta.labels));
  return cells;
}

Cells cells_of(const kube::Node& node, bool wide) {
  Cells cells = {joined(node.pod_cidrs, [](const net::Prefix& prefix) { return prefix.to_string(); })};
  if (wide) {
    cells.push_back(joined(node.addresses, [](const kube::NodeAddress& address) { return address.ip.to_string(); }));
    cells.push_back(labels_text(node.meta.labels));
  }
  return cells;
}

/// Between NAME and AGE, and behind AGE.
struct Titles {
  std::vector<std::string> all, wide;
};

Titles titles_of(kube::Kind kind) {
  switch (kind) {
    case kube::Kind::kService: return {{"TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)"}, {"SELECTOR"}};
    case kube::Kind::kPod: return {{"READY", "STATUS", "IP"}, {"NODE", "IPS", "LABELS"}};
    case kube::Kind::kEndpoints: return {{"ENDPOINTS"}, {}};
    case kube::Kind::kEndpointSlice: return {{"ADDRESSTYPE", "PORTS", "ENDPOINTS"}, {}};
    case kube::Kind::kNetworkPolicy: return {{"POD-SELECTOR", "POLICY-TYPES"}, {}};
    case kube::Kind::kNamespace: return {{"STATUS"}, {"LABELS"}};
    case kube::Kind::kNode: break;
  }
  return {{"POD-CIDRS"}, {"ADDRESSES", "LABELS"}};
}

}  // namespace

net::Result<ObjectRow> object_row(const nlohmann::json& json, std::uint64_t now_unix_ms) {
  auto read = kube::parse_object(json);
  if (!read) return net::internal_error(fmt::format("millrace-agent: an object: {}", read.error().message));
  ObjectRow row{std::move(read->object), 0};
  const auto created = json.find("metadata")->find("creationTimestamp");
  if (created == json.find("metadata")->end() || !created->is_string()) return row;
  std::tm time{};
  if (strptime(created->get_ref<const std::string&>().c_str(), "%Y-%m-%dT%H:%M:%SZ", &time) == nullptr) return row;
  const auto made_ms = static_cast<std::uint64_t>(timegm(&time)) * 1000;
  row.age_ms = now_unix_ms > made_ms ? now_unix_ms - made_ms : 1;
  return row;
}

std::string object_table(kube::Kind kind, const std::vector<ObjectRow>& rows, bool with_namespace, bool wide) {
  const Titles titles = titles_of(kind);
  std::vector<Table::Column> columns;
  if (with_namespace) columns.push_back({"NAMESPACE"});
  columns.push_back({"NAME"});
  for (const std::string& title : titles.all) columns.push_back({title});
  columns.push_back({"AGE"});
  if (wide) {
    for (const std::string& title : titles.wide) columns.push_back({title});
  }
  Table table(columns);
  for (const ObjectRow& row : rows) {
    const kube::Metadata& meta = kube::meta_of(row.object);
    Cells cells = std::visit([&](const auto& object) { return cells_of(object, wide); }, row.object);
    cells.insert(cells.begin() + static_cast<std::ptrdiff_t>(titles.all.size()), age_text(row.age_ms));
    cells.insert(cells.begin(), meta.name);
    if (with_namespace) cells.insert(cells.begin(), meta.name_space);
    table.add(std::move(cells));
  }
  return table.to_string();
}

}  // namespace millrace::control::cli
