#include "cni-shim/add_result.h"

namespace millrace::cni_shim {
namespace {

/// The list of `result` under its exact key, taken over from whatever case it came in; empty when there was none.
Json& take_list(Json& result, const std::string& key) {
  Json list = Json::array();
  if (Json* member = find_member(result, key)) {
    list = std::move(*member);
    for (auto it = result.begin(); it != result.end(); ++it) {
      if (&*it == member) {
        result.erase(it);
        break;
      }
    }
  }
  return result[key] = std::move(list);
}

void append_interfaces(Json& interfaces, const Request& request, const PodInterface& pod) {
  Json inside = {
      {"name", request.environment.ifname}, {"mac", pod.mac.to_string()}, {"sandbox", request.environment.netns}};
  const bool tells_mtu = has_interface_mtu(request.config.version) && pod.mtu != 0;
  if (tells_mtu) inside["mtu"] = pod.mtu;
  if (!pod.socket_path.empty()) {
    inside["socketPath"] = pod.socket_path;
    interfaces.push_back(std::move(inside));
    return;
  }
  Json host = {{"name", pod.host_interface}, {"mac", pod.host_mac.to_string()}};
  if (tells_mtu) host["mtu"] = pod.mtu;
  interfaces.push_back(std::move(host));
  interfaces.push_back(std::move(inside));
}

Json to_json(const AssignedAddress& assigned, SpecVersion version, std::size_t interface_index) {
  Json entry = {{"address", assigned.address.to_string() + "/" + std::to_string(assigned.prefix_bits)},
                {"interface", interface_index}};
  if (assigned.gateway) entry["gateway"] = assigned.gateway->to_string();
  if (names_family_of_ips(version)) entry["version"] = assigned.address.is_v4() ? "4" : "6";
  return entry;
}

Json to_json(const PodRoute& route, SpecVersion version) {
  Json entry = {{"dst", route.destination.to_string()}};
  if (route.gateway) entry["gw"] = route.gateway->to_string();
  if (!has_route_metrics(version)) return entry;
  if (route.mtu != 0) entry["mtu"] = route.mtu;
  if (route.advmss != 0) entry["advmss"] = route.advmss;
  if (route.priority != 0) entry["priority"] = route.priority;
  return entry;
}

}  // namespace

std::string render_add_result(const Request& request, const PodInterface& pod, const Dns& ipam_dns) {
  const NetworkConfig& config = request.config;
  Json result = config.prev_result.is_object() ? config.prev_result : Json::object();
  result["cniVersion"] = std::string(text_of(config.version));

  Json& interfaces = take_list(result, "interfaces");
  append_interfaces(interfaces, request, pod);
  const std::size_t pod_index = interfaces.size() - 1;

  Json& ips = take_list(result, "ips");
  for (const AssignedAddress& address : pod.addresses) ips.push_back(to_json(address, config.version, pod_index));

  Json& routes = take_list(result, "routes");
  for (const PodRoute& route : pod.routes) routes.push_back(to_json(route, config.version));
  if (routes.empty()) result.erase("routes");

  const Dns& dns = config.dns.empty() ? ipam_dns : config.dns;
  const Json* before = find_member(result, "dns");
  if (!dns.empty()) {
    result["dns"] = to_json(dns);
  } else if (before == nullptr || before->empty()) {
    result["dns"] = to_json(pod.dns);
  }
  return to_line(result);
}

std::string render_version_result(const std::string& cni_version) {
  Json supported = Json::array();
  for (const SpecVersionName& known : kSpecVersions) supported.push_back(std::string(known.text));
  return to_line(Json{{"cniVersion", cni_version}, {"supportedVersions", std::move(supported)}});
}

}  // namespace millrace::cni_shim
