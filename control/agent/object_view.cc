#include "control/agent/object_view.h"

#include <ctime>

#include <fmt/chrono.h>

#include "control/kube/manifest.h"

namespace millrace::control::agent {
namespace {

using Json = nlohmann::json;

std::string rfc3339(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

Json ports_json(const std::vector<kube::EndpointPort>& ports) {
  Json list = Json::array();
  for (const kube::EndpointPort& port : ports) {
    Json& json = list.emplace_back();
    json = {{"port", port.port}, {"protocol", kube::kProtocolNames[static_cast<std::size_t>(port.protocol)]}};
    if (!port.name.empty()) json["name"] = port.name;
  }
  return list;
}

void add_whereabouts(const std::string& node_name, const kube::TargetRef& target, Json& json) {
  if (!node_name.empty()) json["nodeName"] = node_name;
  if (target.name.empty()) return;
  json["targetRef"] = {{"kind", target.kind}, {"namespace", target.name_space}, {"name", target.name}};
}

void add_document(const kube::EndpointSlice& slice, Json& json) {
  constexpr std::string_view kTypes[] = {"IPv4", "IPv6", "FQDN"};
  json["addressType"] = kTypes[static_cast<std::size_t>(slice.address_type)];
  json["ports"] = ports_json(slice.ports);
  json["endpoints"] = Json::array();
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    Json& made = json["endpoints"].emplace_back();
    for (const net::IpAddress& address : endpoint.addresses) made["addresses"].push_back(address.to_string());
    made["conditions"] = {
        {"ready", endpoint.is_ready()}, {"serving", endpoint.is_serving()}, {"terminating", endpoint.is_terminating()}};
    add_whereabouts(endpoint.node_name, endpoint.target, made);
  }
}

void add_document(const kube::Endpoints& endpoints, Json& json) {
  json["subsets"] = Json::array();
  for (const kube::EndpointSubset& subset : endpoints.subsets) {
    Json& made = json["subsets"].emplace_back();
    const auto add = [&made](const char* key, const std::vector<kube::EndpointAddress>& addresses) {
      for (const kube::EndpointAddress& address : addresses) {
        Json entry = {{"ip", address.ip.to_string()}};
        add_whereabouts(address.node_name, address.target, entry);
        made[key].push_back(std::move(entry));
      }
    };
    add("addresses", subset.addresses);
    add("notReadyAddresses", subset.not_ready_addresses);
    made["ports"] = ports_json(subset.ports);
  }
}

/// The document of an object when there is none: what an API server would demand.
Json document_of(const kube::Object& object) {
  const kube::Metadata& meta = kube::meta_of(object);
  const kube::KindNames& kind = kube::names_of(kube::kind_of(object));
  Json json = {{"apiVersion", kind.api_version}, {"kind", kind.name}, {"metadata", {{"name", meta.name}}}};
  if (!meta.name_space.empty()) json["metadata"]["namespace"] = meta.name_space;
  if (!meta.labels.empty()) json["metadata"]["labels"] = meta.labels;
  if (std::holds_alternative<kube::Pod>(object)) json["spec"]["containers"] = Json::array({{{"name", "main"}}});
  if (const auto* node = std::get_if<kube::Node>(&object)) {
    Json cidrs = Json::array();
    for (const net::Prefix& prefix : node->pod_cidrs) cidrs.push_back(prefix.to_string());
    if (!cidrs.empty()) json["spec"] = {{"podCIDR", cidrs[0]}, {"podCIDRs", cidrs}};
  }
  if (const auto* slice = std::get_if<kube::EndpointSlice>(&object)) add_document(*slice, json);
  if (const auto* endpoints = std::get_if<kube::Endpoints>(&object)) add_document(*endpoints, json);
  return json;
}

/// A pod that says of itself that it is ready, or nothing, on a node that is not there.
void show_lost(Json& status) {
  Json lost = {{"type", "Ready"}, {"status", "False"}, {"reason", "NodeLost"}};
  Json& conditions = status["conditions"];
  if (!conditions.is_array()) conditions = Json::array();
  for (Json& condition : conditions) {
    if (!condition.is_object() || condition.value("type", "") != "Ready") continue;
    if (condition.value("status", "") == "True") condition = std::move(lost);
    return;
  }
  conditions.push_back(std::move(lost));
}

void show_pod(const kube::Pod& pod, Json& json) {
  constexpr std::string_view kPhases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
  if (!pod.meta.uid.empty()) json["metadata"]["uid"] = pod.meta.uid;
  if (!pod.node_name.empty()) json["spec"]["nodeName"] = pod.node_name;
  Json& status = json["status"];
  status["phase"] = kPhases[static_cast<std::size_t>(pod.phase)];
  status.erase("podIP");
  status.erase("podIPs");
  for (const net::IpAddress& address : pod.addresses) {
    if (!status.contains("podIP")) status["podIP"] = address.to_string();
    status["podIPs"].push_back({{"ip", address.to_string()}});
  }
  if (!pod.ready.value_or(true)) show_lost(status);
}

}  // namespace

kube::Pod attached_pod(kube::Pod pod, const PodAttachment& attachment, const std::string& node, bool is_node_there) {
  pod.node_name = node;
  if (pod.phase == kube::PodPhase::kPending || pod.phase == kube::PodPhase::kUnknown) {
    pod.phase = kube::PodPhase::kRunning;
  }
  if (!is_node_there) pod.ready = false;
  pod.addresses = attachment.addresses;
  if (pod.meta.uid.empty()) pod.meta.uid = attachment.pod_uid;
  return pod;
}

kube::Pod pod_of(const kube::ObjectKey& key) {
  kube::Pod pod;
  pod.meta.name = key.name;
  pod.meta.name_space = key.name_space;
  return pod;
}

kube::Namespace namespace_of(const std::string& name) {
  kube::Namespace made;
  made.meta.name = name;
  made.meta.labels.emplace(kube::kNamespaceNameLabel, name);
  return made;
}

Json shown_json(const kube::Object& seen, Json stored, std::uint64_t created_unix_ms) {
  Json json = stored.is_null() ? document_of(seen) : std::move(stored);
  if (created_unix_ms != 0) json["metadata"]["creationTimestamp"] = rfc3339(created_unix_ms);
  if (const auto* pod = std::get_if<kube::Pod>(&seen)) show_pod(*pod, json);
  return json;
}

}  // namespace millrace::control::agent
