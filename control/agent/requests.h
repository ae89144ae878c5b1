/// Between the messages of agent.proto and the agent's own types: every field is checked here, once.
///
/// Errors:  kInvalidArgument "FIELD: what is wrong; allowed: ...".
/// Thread:  pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/route_request.h"
#include "control/api/agent.pb.h"
#include "control/kube/pod.h"
#include "net/result.h"

namespace millrace::control::agent {

inline constexpr std::uint32_t kMinMtu = 576;       // RFC 791: what every host must take
inline constexpr std::uint32_t kMinMtuIpv6 = 1280;  // RFC 8200 s.5
inline constexpr std::uint32_t kMaxMtu = 65535;
/// Addresses a pod may bring along in each family: what the switch takes.
inline constexpr std::size_t kMaxAddressesPerFamily = 4;
inline constexpr int kMaxLabels = 256;
inline constexpr std::uint32_t kMaxVhostQueuePairs = 64;  // what the switch takes
inline constexpr int kMaxContainerPorts = 256;

/// A checked AddPodRequest.
struct PodRequest {
  api::AddPodStep step = api::ADD_POD_STEP_WHOLE;
  AttachmentKey key;
  std::string netns;
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  std::optional<net::Mac> mac;
  std::uint32_t mtu = 0;  // 0: the node's
  std::vector<net::IpAddress> wanted;
  std::vector<net::IpAddress> delegated;
  std::vector<net::IpAddress> delegated_gateways;  // of those that have one
  std::vector<RouteRequest> routes;
  bool names_port_type = false;    // else the annotations of the pod's object are asked (port_type.h)
  std::optional<VhostWish> vhost;  // nullopt: a kernel interface
};

net::Result<AttachmentKey> to_key(const api::AttachmentKey& message);
net::Result<PodRequest> to_pod_request(const api::AddPodRequest& message);
net::Result<PodObject> to_pod_object(const api::PodObject& message);
/// `field` is for the error.
net::Result<net::IpAddress> to_address(const std::string& field, const std::string& bytes);

void to_message(const AttachmentKey& key, api::AttachmentKey& message);
/// `pod`: what is known of it besides, or nullptr.
void to_message(const Attachment& attachment, const kube::Pod* pod, api::Pod& message);

inline std::string to_bytes(const net::IpAddress& address) {
  const auto raw = address.raw();
  return {raw.begin(), raw.end()};
}
inline std::string to_bytes(const net::Mac& mac) { return {mac.bytes.begin(), mac.bytes.end()}; }

}  // namespace millrace::control::agent
