/// The endpoints of a service's port, whoever names them: slices, Endpoints, or the labels of pods.
///
/// Shape:   slices are there: they alone count, merged by port name and address family. Else an Endpoints object of the
///          service's name. Else the pods of the namespace that carry the selector's labels; a pod without the named
///          port, without an address, or that is over is none. A condition that is absent holds (ready, serving). An
///          address and port that is named twice is one endpoint: conditions, locality and hints of both hold.
/// Order:   by address, then port: what is compiled does not depend on the order in which objects came.
/// Thread:  pure functions.
/// Source:  kubernetes/pkg/proxy/endpointslicecache.go, pkg/controller/endpointslice (conditions of a pod).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "control/agent/services/node.h"
#include "control/kube/endpoints.h"
#include "control/kube/pod.h"
#include "control/kube/service.h"

namespace millrace::control::agent::services {

struct Endpoint {
  net::IpAddress address;
  std::uint16_t port = 0;
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  bool local = false;  // on the node this is compiled for
  std::set<std::string> zone_hints;
  std::set<std::string> node_hints;
};

/// All that may name endpoints of one service. `pods`: those that carry the selector's labels.
struct EndpointSources {
  std::vector<std::shared_ptr<const kube::EndpointSlice>> slices;
  std::shared_ptr<const kube::Endpoints> endpoints;
  std::vector<std::shared_ptr<const kube::Pod>> pods;
};

/// The endpoints of `port`, of one family.
std::vector<Endpoint> endpoints_of(const kube::Service& service, const kube::ServicePort& port, std::uint8_t family,
                                   const EndpointSources& sources, const Node& node);

/// The pod as an endpoint of `port`; nullopt when it is none.
std::optional<Endpoint> endpoint_of(const kube::Pod& pod, const kube::Service& service, const kube::ServicePort& port,
                                    std::uint8_t family, const Node& node);

/// Whether endpoints of that family are the pods': no slice of it is there, and no Endpoints object.
bool come_from_pods(const EndpointSources& sources, std::uint8_t family);
bool is_of_family(const kube::EndpointSlice& slice, std::uint8_t family);
/// A family is served when the service has a ClusterIP of it; without any ClusterIP, both.
bool serves_family(const kube::Service& service, std::uint8_t family);

/// Whether all of `selector` is among `labels`. An empty selector selects nothing.
bool selects(const kube::Labels& selector, const kube::Labels& labels);

/// Those of a port's endpoints that get packets, and whether there is one anywhere in the cluster.
///
/// Shape:   `cluster`: the ready ones; if none, those serving and terminating. Hints narrow the ready ones when each
///          has them and one of them is for this node (node hints first) or its zone. `local`: the same choice among
///          those of this node, without hints.
struct EligibleEndpoints {
  std::vector<const Endpoint*> cluster;
  std::vector<const Endpoint*> local;
  bool any = false;
};
EligibleEndpoints eligible(std::span<const Endpoint> endpoints, const Node& node);

}  // namespace millrace::control::agent::services
