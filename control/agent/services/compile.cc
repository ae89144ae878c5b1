#include "control/agent/services/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "control/agent/requests.h"
#include "nat/service_spec.h"

namespace millrace::control::agent::services {
namespace {

/// One port of a service in the making, one family at a time.
class PortCompiler {
 public:
  PortCompiler(const kube::Service& service, const kube::ServicePort& port, const Node& node, Compiled& out)
      : service_(service), port_(port), node_(node), out_(out), name_(switch_name(service, port)) {
    made_.set_name(name_);
    made_.set_affinity_seconds(std::min(service.session_affinity_seconds, kube::kMaxAffinitySeconds));
  }

  void add_family(std::uint8_t family, const EndpointSources& sources, std::set<net::IpAddress>& local_ready) {
    const std::vector<Endpoint> endpoints = endpoints_of(service_, port_, family, sources, node_);
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.local && endpoint.ready) local_ready.insert(endpoint.address);
    }
    eligible_ = eligible(endpoints, node_);
    cluster_set_.reset();
    local_set_.reset();
    add_cluster_ips(family);
    if (service_.has_node_ports() && port_.node_port != 0) {
      for (const net::IpAddress& address : node_.addresses) {
        if (address.family == family) add_external(address, port_.node_port);
      }
    }
    // Before the external IPs: an address that is both lets in whom the ranges let in.
    if (service_.type == kube::ServiceType::kLoadBalancer) {
      for (const net::IpAddress& address : service_.load_balancer_ingress) add_load_balancer(address, family);
      if (service_.load_balancer_ip) add_load_balancer(*service_.load_balancer_ip, family);
    }
    for (const net::IpAddress& address : service_.external_ips) {
      if (address.family == family) add_external(address, port_.port);
    }
  }

  void finish() {
    if (made_.frontends_size() > 0) out_.services.push_back(std::move(made_));
  }

 private:
  enum class From { kCluster, kLocal };

  /// Null when the address and port has a frontend already (an external IP that is the balancer's address, too).
  api::Frontend* add_frontend(const net::IpAddress& address, std::uint16_t port) {
    if (!seen_.insert({address, port}).second) return nullptr;
    if (seen_.size() > nat::kMaxFrontendsPerService) {
      if (seen_.size() == nat::kMaxFrontendsPerService + 1) {
        problem(fmt::format("has more than {} addresses; {} and those after it are left out",
                            nat::kMaxFrontendsPerService, address.to_string()));
      }
      return nullptr;
    }
    api::Frontend& frontend = *made_.add_frontends();
    frontend.set_address(to_bytes(address));
    frontend.set_protocol(number_of(port_.protocol));
    frontend.set_port(port);
    return &frontend;
  }

  void add_cluster_ips(std::uint8_t family) {
    const From from = service_.internal_traffic_policy == kube::TrafficPolicy::kLocal ? From::kLocal : From::kCluster;
    for (const net::IpAddress& address : service_.cluster_ips) {
      if (address.family != family) continue;
      api::Frontend* frontend = add_frontend(address, port_.port);
      if (frontend == nullptr) continue;
      *frontend->mutable_from_pod() = rule(from, false);
      *frontend->mutable_from_node() = rule(from, true);
      *frontend->mutable_from_external() = rule(from, true);
    }
  }

  api::Frontend* add_external(const net::IpAddress& address, std::uint16_t port) {
    api::Frontend* frontend = add_frontend(address, port);
    if (frontend == nullptr) return nullptr;
    const bool local = service_.external_traffic_policy == kube::TrafficPolicy::kLocal;
    *frontend->mutable_from_pod() = rule(From::kCluster, !local);
    *frontend->mutable_from_node() = rule(From::kCluster, true);
    *frontend->mutable_from_external() = local ? rule(From::kLocal, false) : rule(From::kCluster, true);
    return frontend;
  }

  void add_load_balancer(const net::IpAddress& address, std::uint8_t family) {
    if (address.family != family) return;
    api::Frontend* frontend = add_external(address, port_.port);
    if (frontend == nullptr || service_.load_balancer_source_ranges.empty()) return;
    for (const net::Prefix& range : service_.load_balancer_source_ranges) {
      if (range.address.family != address.family) continue;
      api::RoutePrefix& said = *frontend->add_source_ranges();
      said.set_address(to_bytes(range.address));
      said.set_length(range.length_bits);
    }
    const std::size_t count = static_cast<std::size_t>(frontend->source_ranges_size());
    if (count > 0 && count <= nat::kMaxSourceRanges) return;
    if (count > 0) {
      problem(fmt::format("has {} loadBalancerSourceRanges, at most {} are possible: nobody is let in by {}", count,
                          nat::kMaxSourceRanges, address.to_string()));
    }
    frontend->clear_source_ranges();
    for (auto* each :
         {frontend->mutable_from_pod(), frontend->mutable_from_node(), frontend->mutable_from_external()}) {
      each->Clear();
      each->set_action(api::FRONTEND_ACTION_DROP);
    }
  }

  api::FrontendRule rule(From from, bool masquerade) {
    const auto& endpoints = from == From::kLocal ? eligible_.local : eligible_.cluster;
    api::FrontendRule made;
    if (endpoints.empty()) {
      made.set_action(eligible_.any ? api::FRONTEND_ACTION_DROP : api::FRONTEND_ACTION_REJECT);
      return made;
    }
    made.set_action(api::FRONTEND_ACTION_BALANCE);
    made.set_backend_set(set_of(from));
    made.set_masquerade(masquerade);
    return made;
  }

  /// Index of the set, which is made at its first use. Cluster and local are one set when they hold the same.
  std::uint32_t set_of(From from) {
    auto& index = from == From::kLocal ? local_set_ : cluster_set_;
    if (index) return *index;
    const auto& other = from == From::kLocal ? cluster_set_ : local_set_;
    if (other && eligible_.local == eligible_.cluster) return *(index = other);
    const auto& endpoints = from == From::kLocal ? eligible_.local : eligible_.cluster;
    index = static_cast<std::uint32_t>(made_.backend_sets_size());
    api::BackendSet& set = *made_.add_backend_sets();
    for (const Endpoint* endpoint : endpoints) {
      if (static_cast<std::size_t>(set.backends_size()) == nat::kMaxBackendsPerSet) {
        problem(fmt::format("has {} endpoints, the first {} are used", endpoints.size(), nat::kMaxBackendsPerSet));
        break;
      }
      api::Backend& backend = *set.add_backends();
      backend.set_address(to_bytes(endpoint->address));
      backend.set_port(endpoint->port);
    }
    return *index;
  }

  void problem(const std::string& what) { out_.problems.push_back(fmt::format("service {} {}", name_, what)); }

  const kube::Service& service_;
  const kube::ServicePort& port_;
  const Node& node_;
  Compiled& out_;
  const std::string name_;
  api::Service made_;
  std::set<std::pair<net::IpAddress, std::uint16_t>> seen_;
  EligibleEndpoints eligible_;
  std::optional<std::uint32_t> cluster_set_, local_set_;
};

}  // namespace

std::uint8_t number_of(kube::Protocol protocol) {
  switch (protocol) {
    case kube::Protocol::kTcp: return 6;
    case kube::Protocol::kUdp: return 17;
    case kube::Protocol::kSctp: return 132;
  }
  return 0;
}

bool is_proxied(const kube::Service& service) {
  return service.type != kube::ServiceType::kExternalName && !service.headless &&
         !service.meta.labels.contains(kube::kServiceProxyNameLabel) &&
         !service.meta.labels.contains(kube::kHeadlessLabel);
}

std::string switch_name(const kube::Service& service, const kube::ServicePort& port) {
  const std::string name = fmt::format("{}/{}", service.meta.name_space, service.meta.name);
  return port.name.empty() ? name : fmt::format("{}:{}", name, port.name);
}

Compiled compile(const kube::Service& service, const EndpointSources& sources, const Node& node) {
  Compiled out;
  if (!is_proxied(service)) return out;
  std::set<net::IpAddress> local_ready;
  for (const kube::ServicePort& port : service.ports) {
    PortCompiler compiler(service, port, node, out);
    for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
      if (serves_family(service, family)) compiler.add_family(family, sources, local_ready);
    }
    compiler.finish();
  }
  out.local_ready = local_ready.size();
  return out;
}

}  // namespace millrace::control::agent::services
