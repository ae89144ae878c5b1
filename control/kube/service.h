/// Service: an address (or several) before a set of pods.
///
/// Shape:   as the API server would store it: defaults filled in, one entry of cluster_ips and ip_families a family.
///          cluster_ips is empty for a headless or ExternalName Service, and before the agent allocated one.
///          Ports are host order; 0 is "none".
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/core/v1 (ServiceSpec, ServiceStatus), k8s.io/kubernetes/pkg/apis/core/validation
///          (ValidateService).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/kube/metadata.h"
#include "net/address.h"

namespace millrace::control::kube {

enum class Protocol : std::uint8_t { kTcp, kUdp, kSctp };
enum class ServiceType : std::uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalName };
enum class TrafficPolicy : std::uint8_t { kCluster, kLocal };
enum class IpFamilyPolicy : std::uint8_t { kSingleStack, kPreferDualStack, kRequireDualStack };

inline constexpr std::string_view kProtocolNames[] = {"TCP", "UDP", "SCTP"};  // of Protocol

inline constexpr std::uint32_t kDefaultAffinitySeconds = 10'800;
inline constexpr std::uint32_t kMaxAffinitySeconds = 86'400;

/// A number, or the name of a container's port, which each pod resolves for itself.
struct TargetPort {
  std::uint16_t number = 0;  // 0: `name` says it
  std::string name;
  friend bool operator==(const TargetPort&, const TargetPort&) = default;
};

struct ServicePort {
  std::string name;  // may be "" if it is the only port
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  TargetPort target;            // default: `port`
  std::uint16_t node_port = 0;  // 0: none, or not allocated yet
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

struct Service {
  Metadata meta;
  ServiceType type = ServiceType::kClusterIp;
  std::vector<ServicePort> ports;
  Labels selector;        // empty: no selector; EndpointSlices and Endpoints of other origin are used
  bool headless = false;  // clusterIP: None
  std::vector<net::IpAddress> cluster_ips;
  std::vector<std::uint8_t> ip_families;           // 4 and 6, the first is that of clusterIP; empty: not decided yet
  std::optional<IpFamilyPolicy> ip_family_policy;  // absent: not decided yet
  std::vector<net::IpAddress> external_ips;
  std::optional<net::IpAddress> load_balancer_ip;     // spec.loadBalancerIP
  std::vector<net::IpAddress> load_balancer_ingress;  // status.loadBalancer.ingress[].ip with ipMode VIP
  std::vector<net::Prefix> load_balancer_source_ranges;
  bool allocate_load_balancer_node_ports = true;
  TrafficPolicy external_traffic_policy = TrafficPolicy::kCluster;
  TrafficPolicy internal_traffic_policy = TrafficPolicy::kCluster;
  std::uint16_t health_check_node_port = 0;    // type LoadBalancer with externalTrafficPolicy Local
  std::uint32_t session_affinity_seconds = 0;  // 0: sessionAffinity None
  bool publish_not_ready_addresses = false;
  std::string external_name;  // type ExternalName

  bool has_node_ports() const { return type == ServiceType::kNodePort || type == ServiceType::kLoadBalancer; }
  friend bool operator==(const Service&, const Service&) = default;
};

}  // namespace millrace::control::kube
