/// Kubernetes objects in few words, and compiled services as text, for tests of the service compiler.
///
/// Shape:   an endpoint is written "ADDRESS [at NODE] [not-ready] [ending] [not-serving] [zone=Z] [node=N]"; a
///          compiled frontend "ADDRESS:PORT/PROTOCOL pod=RULE node=RULE external=RULE [ranges]", a RULE "reject",
///          "drop" or its backends with "+masq" behind.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "control/agent/object_store.h"
#include "control/agent/services/compiler.h"

namespace millrace::control::agent::services {

inline net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }

inline kube::Service make_service(const std::string& name, std::vector<std::string> cluster_ips,
                                  std::vector<kube::ServicePort> ports) {
  kube::Service service;
  service.meta.name = name;
  service.meta.name_space = "default";
  for (const std::string& address : cluster_ips) service.cluster_ips.push_back(ip(address));
  service.ports = std::move(ports);
  return service;
}

inline kube::ServicePort tcp_port(std::uint16_t port, std::uint16_t node_port = 0, const std::string& name = "") {
  kube::ServicePort made;
  made.name = name;
  made.port = port;
  made.target.number = 8080;
  made.node_port = node_port;
  return made;
}

inline kube::Endpoint make_endpoint(const std::string& words) {
  kube::Endpoint made;
  std::istringstream in(words);
  std::string word;
  in >> word;
  made.addresses.push_back(ip(word));
  while (in >> word) {
    if (word == "at") in >> made.node_name;
    if (word == "not-ready") made.ready = false;
    if (word == "ready") made.ready = true;
    if (word == "ending") made.terminating = true;
    if (word == "not-serving") made.serving = false;
    if (word.starts_with("zone=")) made.hint_zones.push_back(word.substr(5));
    if (word.starts_with("node=")) made.hint_nodes.push_back(word.substr(5));
  }
  return made;
}

inline kube::EndpointSlice make_slice(const std::string& name, const std::string& service,
                                      const std::vector<std::string>& endpoints, std::uint16_t port = 8080,
                                      const std::string& port_name = "") {
  kube::EndpointSlice slice;
  slice.meta.name = name;
  slice.meta.name_space = "default";
  slice.meta.labels.emplace(kube::kServiceNameLabel, service);
  slice.ports.push_back({.name = port_name, .protocol = kube::Protocol::kTcp, .port = port});
  for (const std::string& words : endpoints) slice.endpoints.push_back(make_endpoint(words));
  const bool is_v6 = !slice.endpoints.empty() && !slice.endpoints.front().addresses.front().is_v4();
  slice.address_type = is_v6 ? kube::AddressType::kIpv6 : kube::AddressType::kIpv4;
  return slice;
}

inline kube::Pod make_pod(const std::string& name, kube::Labels labels, const std::string& address,
                          std::vector<kube::ContainerPort> ports = {}, const std::string& node = "here") {
  kube::Pod pod;
  pod.meta.name = name;
  pod.meta.name_space = "default";
  pod.meta.labels = std::move(labels);
  pod.addresses.push_back(ip(address));
  pod.ports = std::move(ports);
  pod.node_name = node;
  pod.phase = kube::PodPhase::kRunning;
  return pod;
}

/// The objects of a cluster, which tells the compiler what changes.
class Cluster {
 public:
  explicit Cluster(Node node) : compiler_(std::move(node)) {}

  template <typename T>
  void put(T object) {
    ObjectRef after = std::make_shared<const kube::Object>(std::move(object));
    const kube::ObjectKey key = kube::key_of(*after);
    compiler_.note({key, objects_[key], after});
    objects_[key] = after;
  }
  void remove(kube::Kind kind, const std::string& name, const std::string& name_space = "default") {
    const kube::ObjectKey key{kind, name_space, name};
    compiler_.note({key, objects_[key], nullptr});
    objects_.erase(key);
  }
  /// Compiles what changed, and keeps what a switch would have.
  const Changes& step() {
    last_ = compiler_.take_changes();
    for (const api::Service& service : last_.upserts) in_switch_[service.name()] = service;
    for (const std::string& name : last_.removes) in_switch_.erase(name);
    return last_;
  }
  const std::map<std::string, api::Service>& in_switch() const { return in_switch_; }
  const std::map<kube::ObjectKey, ObjectRef>& objects() const { return objects_; }
  Compiler& compiler() { return compiler_; }

 private:
  Compiler compiler_;
  std::map<kube::ObjectKey, ObjectRef> objects_;
  std::map<std::string, api::Service> in_switch_;
  Changes last_;
};

inline std::string address_text(const std::string& bytes, std::uint32_t port) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const net::IpAddress address = net::IpAddress::from_bytes({raw, bytes.size()}).value();
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

inline std::string rule_text(const api::Service& service, const api::FrontendRule& rule) {
  if (rule.action() == api::FRONTEND_ACTION_REJECT) return "reject";
  if (rule.action() == api::FRONTEND_ACTION_DROP) return "drop";
  std::string text;
  for (const api::Backend& backend : service.backend_sets(static_cast<int>(rule.backend_set())).backends()) {
    if (!text.empty()) text += ',';
    text += address_text(backend.address(), backend.port());
  }
  if (rule.masquerade()) text += "+masq";
  return text;
}

/// One line a frontend, "NAME ADDRESS:PORT/PROTOCOL pod=... node=... external=...".
inline std::vector<std::string> lines_of(const std::map<std::string, api::Service>& services) {
  std::vector<std::string> lines;
  for (const auto& [name, service] : services) {
    for (const api::Frontend& frontend : service.frontends()) {
      const char* protocol = frontend.protocol() == 6 ? "tcp" : frontend.protocol() == 17 ? "udp" : "sctp";
      std::string line =
          fmt::format("{} {}/{} pod={} node={} external={}", name, address_text(frontend.address(), frontend.port()),
                      protocol, rule_text(service, frontend.from_pod()), rule_text(service, frontend.from_node()),
                      rule_text(service, frontend.from_external()));
      if (service.affinity_seconds() != 0) line += fmt::format(" affinity={}", service.affinity_seconds());
      if (frontend.source_ranges_size() > 0) line += fmt::format(" ranges={}", frontend.source_ranges_size());
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace millrace::control::agent::services
