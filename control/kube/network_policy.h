/// NetworkPolicy: which connections the pods it selects may take and make.
///
/// Shape:   as the API server would store it, defaults filled in. The pods are those of the policy's own namespace that
///          pod_selector selects. A direction that the policy isolates lets through what a rule of it allows and what
///          rules of other policies allow, nothing else; so no rule at all denies. Rules of a direction that it does
///          not isolate are kept and have no effect.
///          A rule allows what is to or from one of its peers and on one of its ports; a list of either that is empty
///          restricts nothing. Ports are those of the destination pod, host order.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/networking/v1 (NetworkPolicySpec), k8s.io/kubernetes/pkg/apis/networking/validation
///          (ValidateNetworkPolicySpec), pkg/apis/networking/v1 (SetDefaults_NetworkPolicy).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/kube/label_selector.h"
#include "control/kube/metadata.h"
#include "control/kube/service.h"
#include "net/address.h"

namespace millrace::control::kube {

// Kubernetes has no limits but the size of an object. These are far above what people write, and keep one object from
// taking the memory of the agent.
inline constexpr std::size_t kMaxPolicyRules = 10'000;  // of one direction
inline constexpr std::size_t kMaxPolicyPeers = 10'000;  // of one rule
inline constexpr std::size_t kMaxPolicyPorts = 1'000;   // of one rule
inline constexpr std::size_t kMaxPolicyExcepts = 1'000;

inline constexpr std::string_view kPolicyTypeNames[] = {"Ingress", "Egress"};

/// The addresses of cidr that are in none of except; each of these is inside cidr and smaller.
struct IpBlock {
  net::Prefix cidr;
  std::vector<net::Prefix> except;
  friend bool operator==(const IpBlock&, const IpBlock&) = default;
};

/// Either one or both selectors, or ip_block alone.
/// pod_selector alone: pods of the policy's namespace. namespace_selector alone: all pods of the namespaces. Both: the
/// pods that the one selects in the namespaces that the other selects.
struct PolicyPeer {
  std::optional<LabelSelector> pod_selector;
  std::optional<LabelSelector> namespace_selector;
  std::optional<IpBlock> ip_block;
  friend bool operator==(const PolicyPeer&, const PolicyPeer&) = default;
};

struct PolicyPort {
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;      // 0: every port of the protocol, or `name` says it
  std::string name;            // of a container's port, which each destination pod resolves for itself
  std::uint16_t end_port = 0;  // the last of a range that starts with `port`; 0: only `port`
  friend bool operator==(const PolicyPort&, const PolicyPort&) = default;
};

struct PolicyRule {
  std::vector<PolicyPeer> peers;  // `from` or `to`
  std::vector<PolicyPort> ports;
  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

struct NetworkPolicy {
  Metadata meta;
  LabelSelector pod_selector;
  bool isolates_ingress = true;
  bool isolates_egress = false;
  std::vector<PolicyRule> ingress, egress;
  friend bool operator==(const NetworkPolicy&, const NetworkPolicy&) = default;
};

}  // namespace millrace::control::kube
