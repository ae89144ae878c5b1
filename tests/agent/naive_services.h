/// A naive evaluator of services, written from the text of what Kubernetes expects of a proxy: one packet at a time,
/// over all objects, with nothing prepared. It shares no code with the compiler.
///
/// Shape:   sentences in quotes are the text's. That a backend which reaches itself is masqueraded is not said here: it
///          is decided after the choice, by the switch.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "nat/service_spec.h"
#include "tests/agent/cluster.h"

namespace millrace::control::agent::services {

using nat::SourceKind;
using Objects = std::map<kube::ObjectKey, ObjectRef>;
using Place = std::pair<net::IpAddress, std::uint16_t>;

inline const Node kNode{.name = "here", .zone = "z1", .addresses = {ip("192.0.2.200"), ip("2001:db8::200")}};
inline const std::vector<net::Prefix> kServiceRanges = {net::Prefix::parse("10.96.0.0/24").value(),
                                                        net::Prefix::parse("fd00:96::/112").value()};

struct Packet {
  SourceKind from = SourceKind::kPod;
  net::IpAddress source, destination;
  kube::Protocol protocol = kube::Protocol::kTcp;
  std::uint16_t port = 0;
};

/// Where a packet may go. kPass: it is for no service.
struct Verdict {
  enum Kind { kPass, kForward, kReject, kDrop } kind = kPass;
  std::set<Place> backends;
  bool snat = false;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

struct Facts {
  bool ready = false, serving = false, terminating = false, here = false;
  bool zone_hints = false, my_zone = false, node_hints = false, my_node = false;
};

template <typename T>
inline std::vector<const T*> all(const Objects& objects) {
  std::vector<const T*> found;
  for (const auto& [key, object] : objects) {
    if (const T* typed = std::get_if<T>(object.get())) found.push_back(typed);
  }
  return found;
}

/// "Merge the slices of a Service by port name and address type"; a family without slices has the
/// Endpoints, without those labels.
inline std::map<Place, Facts> facts_of(const Objects& objects, const kube::Service& service,
                                       const kube::ServicePort& port) {
  std::map<Place, Facts> facts;
  bool has_endpoints = false;
  std::set<kube::AddressType> sliced;
  const auto is_sliced = [&](const net::IpAddress& address) {
    return sliced.contains(address.is_v4() ? kube::AddressType::kIpv4 : kube::AddressType::kIpv6);
  };
  for (const auto* slice : all<kube::EndpointSlice>(objects)) {
    if (slice->service_name() != service.meta.name) continue;
    sliced.insert(slice->address_type);
    for (const auto& named : slice->ports) {
      if (named.name != port.name || named.protocol != port.protocol || named.port == 0) continue;
      for (const auto& endpoint : slice->endpoints) {
        Facts& fact = facts[{endpoint.addresses[0], named.port}];
        if (endpoint.ready != std::optional(false)) fact.ready = true;      // absent = true
        if (endpoint.serving != std::optional(false)) fact.serving = true;  // absent = true
        if (endpoint.terminating == std::optional(true)) fact.terminating = true;
        if (endpoint.node_name == kNode.name) fact.here = true;
        for (const auto& zone : endpoint.hint_zones) fact.zone_hints = true, fact.my_zone |= zone == kNode.zone;
        for (const auto& node : endpoint.hint_nodes) fact.node_hints = true, fact.my_node |= node == kNode.name;
      }
    }
  }
  for (const auto* endpoints : all<kube::Endpoints>(objects)) {
    if (endpoints->meta.name != service.meta.name) continue;
    has_endpoints = true;
    for (const auto& subset : endpoints->subsets) {
      for (const auto& named : subset.ports) {
        if (named.name != port.name || named.protocol != port.protocol) continue;
        for (const auto& each : subset.addresses) {
          if (is_sliced(each.ip)) continue;
          Facts& fact = facts[{each.ip, named.port}];
          fact.ready = fact.serving = true;
          if (each.node_name == kNode.name) fact.here = true;
        }
        for (const auto& each : subset.not_ready_addresses) {
          if (each.node_name == kNode.name && !is_sliced(each.ip)) facts[{each.ip, named.port}].here = true;
        }
      }
    }
  }
  if (has_endpoints || service.selector.empty()) return facts;
  for (const auto* pod : all<kube::Pod>(objects)) {
    bool matches = true;
    for (const auto& [key, value] : service.selector) {
      matches &= pod->meta.labels.contains(key) && pod->meta.labels.find(key)->second == value;
    }
    std::uint16_t target = port.target.number;
    for (const auto& named : pod->ports) {
      if (target == 0 && named.name == port.target.name && named.protocol == port.protocol) target = named.port;
    }
    if (!matches || target == 0 || pod->phase != kube::PodPhase::kRunning) continue;
    for (const auto& address : pod->addresses) {
      if (is_sliced(address)) continue;
      Facts& fact = facts[{address, target}];
      fact.serving = pod->ready != std::optional(false);
      fact.terminating = pod->meta.deleting;
      fact.ready = service.publish_not_ready_addresses || (fact.serving && !fact.terminating);
      fact.here = pod->node_name == kNode.name;
    }
  }
  return facts;
}

/// "Ready ones; if none, those serving and terminating, decided apart for Cluster and for Local."
inline std::set<Place> endpoints_for(const std::map<Place, Facts>& facts, std::uint8_t family, bool local) {
  std::set<Place> ready, ending, my_zone, my_node;
  bool all_zone = true, all_node = true;
  for (const auto& [place, fact] : facts) {
    if (place.first.family != family || (local && !fact.here)) continue;
    if (fact.serving && fact.terminating) ending.insert(place);
    if (!fact.ready) continue;
    ready.insert(place);
    all_zone &= fact.zone_hints;
    all_node &= fact.node_hints;
    if (fact.my_zone) my_zone.insert(place);
    if (fact.my_node) my_node.insert(place);
  }
  if (ready.empty()) return ending;
  if (local) return ready;
  // "Zone and node hints apply only if every ready endpoint has them", and someone is meant for here.
  if (all_node && !my_node.empty()) return my_node;
  if (all_zone && !my_zone.empty()) return my_zone;
  return ready;
}

enum class Way { kClusterIp, kLoadBalancer, kOther };  // the last: node port, external IP

/// How the packet's destination belongs to the service's port, if it does.
inline std::optional<Way> way_to(const kube::Service& service, const kube::ServicePort& port, const Packet& packet) {
  const auto among = [&](const std::vector<net::IpAddress>& addresses) {
    return std::find(addresses.begin(), addresses.end(), packet.destination) != addresses.end();
  };
  if (packet.protocol != port.protocol) return std::nullopt;
  if (packet.port == port.port) {
    if (among(service.cluster_ips)) return Way::kClusterIp;
    if (service.type == kube::ServiceType::kLoadBalancer &&
        (among(service.load_balancer_ingress) || service.load_balancer_ip == packet.destination)) {
      return Way::kLoadBalancer;
    }
    if (among(service.external_ips)) return Way::kOther;
  }
  const bool node_ports = service.type != kube::ServiceType::kClusterIp && port.node_port != 0;
  if (node_ports && packet.port == port.node_port && among(kNode.addresses)) return Way::kOther;
  return std::nullopt;
}

/// The table of section 3, a row at a time.
inline Verdict verdict_of(const Objects& objects, const kube::Service& service, const kube::ServicePort& port, Way way,
                          const Packet& packet) {
  using kube::TrafficPolicy;
  const auto& ranges = service.load_balancer_source_ranges;
  if (way == Way::kLoadBalancer && !ranges.empty()) {
    bool in = false;
    for (const auto& range : ranges) in |= range.contains(packet.source);
    if (!in) return {Verdict::kDrop, {}, false};  // "checked before DNAT"
  }
  bool local = false, snat = false;
  if (way == Way::kClusterIp) {
    local = service.internal_traffic_policy == TrafficPolicy::kLocal;
    snat = packet.from != SourceKind::kPod;
  } else if (service.external_traffic_policy == TrafficPolicy::kCluster) {
    snat = true;
  } else {
    local = packet.from == SourceKind::kExternal;
    snat = packet.from == SourceKind::kNode;
  }
  const auto facts = facts_of(objects, service, port);
  const auto chosen = endpoints_for(facts, packet.destination.family, local);
  if (!chosen.empty()) return {Verdict::kForward, chosen, snat};
  // "No endpoint anywhere: reject. Endpoints only elsewhere under Local: drop."
  const bool elsewhere = !endpoints_for(facts, packet.destination.family, false).empty();
  return {elsewhere ? Verdict::kDrop : Verdict::kReject, {}, false};
}

inline Verdict naive(const Objects& objects, const Packet& packet) {
  bool is_cluster_ip = false;
  for (const auto* service : all<kube::Service>(objects)) {
    const auto& labels = service->meta.labels;
    if (labels.contains("service.kubernetes.io/service-proxy-name") ||
        labels.contains("service.kubernetes.io/headless") || service->headless ||
        service->type == kube::ServiceType::kExternalName) {
      continue;
    }
    bool has_family = service->cluster_ips.empty();
    for (const auto& own : service->cluster_ips) {
      has_family |= own.family == packet.destination.family;
      is_cluster_ip |= own == packet.destination;
    }
    if (!has_family) continue;
    for (const auto& port : service->ports) {
      if (const auto way = way_to(*service, port, packet)) return verdict_of(objects, *service, port, *way, packet);
    }
  }
  if (is_cluster_ip) return {Verdict::kReject, {}, false};  // "A port that the ClusterIP does not define"
  for (const auto& range : kServiceRanges) {
    if (range.contains(packet.destination)) return {Verdict::kDrop, {}, false};  // "An unallocated address"
  }
  return {};
}

}  // namespace millrace::control::agent::services
