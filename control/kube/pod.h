/// Pod, Namespace and Node: what Services and policies choose by.
///
/// Shape:   of a Pod, what the network needs; containers themselves are no matter of ours.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/core/v1 (PodSpec, PodStatus, NodeSpec, NodeStatus).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/kube/metadata.h"
#include "control/kube/service.h"
#include "net/address.h"

namespace millrace::control::kube {

enum class PodPhase : std::uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };

struct ContainerPort {
  std::string name;  // "" none; a Service's targetPort may name it
  std::uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t host_port = 0;  // 0: none
  friend bool operator==(const ContainerPort&, const ContainerPort&) = default;
};

struct Pod {
  Metadata meta;
  std::string node_name;
  bool host_network = false;
  std::vector<ContainerPort> ports;  // of all containers, in their order; sidecars (init containers that go on) too
  std::vector<net::IpAddress> addresses;  // status.podIPs; the first is status.podIP
  PodPhase phase = PodPhase::kPending;
  std::optional<bool> ready;  // the condition Ready, absent when nobody said

  /// Succeeded and Failed: its addresses may be another pod's by now.
  bool is_over() const { return phase == PodPhase::kSucceeded || phase == PodPhase::kFailed; }
  bool is_ready() const { return phase == PodPhase::kRunning && ready.value_or(true); }
  friend bool operator==(const Pod&, const Pod&) = default;
};

struct Namespace {
  Metadata meta;  // labels hold kubernetes.io/metadata.name
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct NodeAddress {
  std::string type;  // InternalIP or ExternalIP; those that are names are left out
  net::IpAddress ip;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

struct Node {
  Metadata meta;
  std::vector<net::Prefix> pod_cidrs;
  std::vector<NodeAddress> addresses;

  std::string_view zone() const {
    const auto found = meta.labels.find(kZoneLabel);
    return found == meta.labels.end() ? std::string_view() : found->second;
  }
  friend bool operator==(const Node&, const Node&) = default;
};

}  // namespace millrace::control::kube
