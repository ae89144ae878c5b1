/// One Kubernetes service to what the switch knows: for each of its ports a api::Service with frontends, rules and sets
/// of backends.
///
/// Shape:   frontend             | from a pod | from the node | from outside
///          ClusterIP            | set I      | set I, masq   | set I, masq      I: as internalTrafficPolicy says
///          the others, Cluster  | all, masq  | all, masq     | all, masq
///          the others, Local    | all        | all, masq     | local
///          "The others" are a node port on each address of the node, load balancer addresses and external IPs.
///          A packet from a backend to itself is masqueraded by the switch in any case.
///          No endpoint anywhere: reject. None on this node where only those count: drop, so that a balancer in front
///          tries another node. Source ranges are those of load balancer addresses alone; ranges of only the other
///          family let nobody in.
///          A family is served when the service has a ClusterIP of it; without any ClusterIP, both.
/// Errors:  what does not fit a limit of the switch (nat/service_spec.h) is left out and told in `problems`.
/// Thread:  pure functions.
/// Source:  KEP-1669, KEP-2086, KEP-2433; kubernetes/pkg/proxy/topology.go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/agent/services/endpoints.h"
#include "control/agent/services/node.h"
#include "control/api/switch.pb.h"

namespace millrace::control::agent::services {

struct Compiled {
  std::vector<api::Service> services;
  std::vector<std::string> problems;  // sentences that name the service
  std::size_t local_ready = 0;        // distinct addresses of ready endpoints on this node, for healthCheckNodePort
};

/// IANA's number, as api::Frontend has it.
std::uint8_t number_of(kube::Protocol protocol);

/// False for services of another proxy, headless ones and ExternalName.
bool is_proxied(const kube::Service& service);

/// NAMESPACE/NAME:PORT, without ":PORT" for a port without a name.
std::string switch_name(const kube::Service& service, const kube::ServicePort& port);

Compiled compile(const kube::Service& service, const EndpointSources& sources, const Node& node);

}  // namespace millrace::control::agent::services
