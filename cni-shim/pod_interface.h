/// What the agent made for a pod, and what an IPAM plugin assigned: plain values between the RPC, IPAM and the result.
///
/// Thread:  plain values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cni-shim/dns.h"
#include "net/address.h"

namespace millrace::cni_shim {

struct AssignedAddress {
  net::IpAddress address;
  std::uint8_t prefix_bits = 0;
  std::optional<net::IpAddress> gateway;
};

struct PodRoute {
  net::Prefix destination;
  std::optional<net::IpAddress> gateway;
  std::uint32_t mtu = 0;       // bytes of an IP packet; 0: not told
  std::uint32_t advmss = 0;    // bytes of a TCP segment; 0: not told
  std::uint32_t priority = 0;  // 0: not told
};

struct PodInterface {
  std::string host_interface;
  net::Mac host_mac;
  net::Mac mac;
  std::uint32_t mtu = 0;  // 0: not told
  std::vector<AssignedAddress> addresses;
  std::vector<PodRoute> routes;
  Dns dns;                  // the agent's; empty: it has none for this pod
  std::string socket_path;  // of vhost-user, in place of interfaces of the kernel; empty: these
};

/// The result of a delegated IPAM plugin. The agent sets its routes by way of the pod's gateway.
struct IpamResult {
  std::vector<AssignedAddress> addresses;
  std::vector<PodRoute> routes;
  Dns dns;
};

}  // namespace millrace::cni_shim
