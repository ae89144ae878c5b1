/// PortConfig: one port as the agent wants it, every field checked.
///
/// Shape:   api::PortSpec with types instead of bytes: see control/api/switch.proto for the meaning of the fields.
/// Thread:  plain values, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/port_opener.h"
#include "datapath/snapshot.h"
#include "net/address.h"

namespace millrace::control::switchd {

struct PortConfig {
  std::string name;
  datapath::PortKind kind = datapath::PortKind::kPod;
  std::string interface;  // or the path of the socket of `vhost`, which may be no other port's either
  net::Mac mac;
  std::vector<net::IpAddress> addresses;
  std::vector<net::Prefix> prefixes;
  std::uint32_t mtu_bytes = 0;
  std::string description;
  bool masquerade = false;
  bool dhcp = false;
  bool await_policy = false;
  std::string device;  // an uplink's that DPDK drives
  std::optional<VhostSocket> vhost;

  friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

/// What a request is measured against.
struct Limits {
  std::uint32_t port_limit = 0;     // config portLimit
  std::uint32_t max_mtu_bytes = 0;  // what a frame of the packet pool can hold
  nat::PortRange nat_ports = {};    // config nat.portRange
  std::uint32_t rule_limit = 0;     // config policy.ruleLimit
};

inline constexpr std::size_t kNameLimit = 63;
inline constexpr std::size_t kInterfaceLimit = 15;  // IFNAMSIZ with its end mark is 16
inline constexpr std::size_t kDescriptionLimit = 253;
inline constexpr std::size_t kDeviceLimit = 255;
inline constexpr std::size_t kSocketPathLimit = 107;  // sockaddr_un.sun_path with its end mark is 108
inline constexpr unsigned kVhostPairLimit = 64;       // datapath::io::kVhostQueuePairs
inline constexpr int kPrefixLimit = 256;              // further prefixes of one port

api::PortSpec to_proto(const PortConfig& port);

}  // namespace millrace::control::switchd
