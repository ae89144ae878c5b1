/// What the agent knows of a node's pods: plain values shared by the store, the kernel side and the service.
///
/// Shape:   an Attachment is one interface of one container on one network, the thing a CNI ADD makes and a DEL ends.
///          Addresses are unique among all attachments, at most one a family from the built-in IPAM.
/// Thread:  plain values, any thread.
/// Source:  CNI spec 1.1.0 ("attachment": the triple network name, container id, interface name).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"

namespace millrace::control::agent {

struct AttachmentKey {
  std::string network;
  std::string container_id;
  std::string ifname;  // inside the pod

  /// For people and logs: NETWORK/CONTAINER/IFNAME.
  std::string to_string() const { return network + "/" + container_id + "/" + ifname; }
  friend auto operator<=>(const AttachmentKey&, const AttachmentKey&) = default;
};

/// Where an attachment stands. It is written down before the kernel or the switch is touched, so that after a crash
/// at any moment reconcile() knows what may exist: kAdding is rolled back, kDeleting is finished. An ADD in two steps
/// (agent.proto, AddPodStep) is kAdding between them.
enum class AttachmentState : std::uint8_t { kAdding = 1, kActive = 2, kDeleting = 3 };

/// A route of a pod besides its default ones, by way of the pod's gateway: it has no other neighbour.
struct ExtraRoute {
  net::Prefix destination;
  std::uint32_t mtu_bytes = 0;     // 0: the interface's
  std::uint32_t advmss_bytes = 0;  // 0: what follows from the MTU
  std::uint32_t priority = 0;      // the lower, the sooner; 0: the kernel's
  friend bool operator==(const ExtraRoute&, const ExtraRoute&) = default;
};

/// What is asked of a vhost-user socket.
struct VhostWish {
  bool pod_listens = false;       // and the switch connects; else the switch listens
  std::uint32_t queue_pairs = 0;  // that the pod is served by; 0: as many as the switch can
  friend bool operator==(const VhostWish&, const VhostWish&) = default;
};

/// A pod's socket, in place of a pair of kernel interfaces.
struct VhostSocket {
  std::string path;
  VhostWish wish;
  friend bool operator==(const VhostSocket&, const VhostSocket&) = default;
};

struct Attachment {
  std::int64_t id = 0;  // of the row; 0 before it is stored
  AttachmentKey key;
  AttachmentState state = AttachmentState::kAdding;
  std::string netns;  // path, as the runtime gave it
  std::string pod_namespace;
  std::string pod_name;
  std::string pod_uid;
  std::string host_interface;  // also the name of the switch's port
  net::Mac host_mac;
  net::Mac mac;  // of the pod's interface
  std::uint32_t mtu = 0;
  bool delegated_ipam = false;
  bool dhcp = false;                 // its addresses are leased: the port carries its DHCP
  std::optional<VhostSocket> vhost;  // then host_interface is the port's name alone, and host_mac nobody's
  std::uint64_t created_unix_ms = 0;
  std::vector<net::IpAddress> addresses;  // IPv4 before IPv6
  std::vector<ExtraRoute> routes;         // in the order they were asked for
};

struct ContainerPort {
  std::string name;  // may be empty
  std::uint16_t port = 0;
  std::string protocol;  // TCP, UDP or SCTP
  friend bool operator==(const ContainerPort&, const ContainerPort&) = default;
};

/// What is known of a pod besides its attachments.
struct PodObject {
  std::string pod_namespace;
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<ContainerPort> ports;  // in the order they were given
  friend bool operator==(const PodObject&, const PodObject&) = default;
};

}  // namespace millrace::control::agent
