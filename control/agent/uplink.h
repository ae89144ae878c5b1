/// The uplink: the node's interface to the world, and the addresses the world has for the node.
///
/// Shape:   key `uplink` names it, or `auto` takes that of the default route (IPv4's, else IPv6's) as it is at this
///          moment. Addresses are key `nodeAddresses`, else the uplink's own without link-local ones, in the kernel's
///          order, so that the primary one of a family is its first. What pods send to an address of the node on any
///          interface is not masqueraded: the kernel would answer a packet that comes from its own address to itself.
///          The addresses are those of this moment.
///          With `uplinkDevice` the interface is the node's end of the node link (node_link.h), which is made first.
/// Errors:  kNotFound when the interface that is named is not there. `auto` without a default route is no error.
/// Thread:  any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/agent/address_block.h"
#include "control/api/switch.pb.h"
#include "control/config/config.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Addresses of the node's interfaces that are told to the switch; the rest of api::Nat.not_masqueraded is the
/// config's.
inline constexpr std::size_t kLocalAddressLimit = 200;

/// Name of the uplink's port in the switch.
inline constexpr const char* kUplinkPort = "uplink";

struct Uplink {
  std::string interface;
  net::Mac mac;
  std::uint32_t mtu = 0;
  int index = 0;  // the kernel's number: with another one it is another interface of that name
  friend bool operator==(const Uplink&, const Uplink&) = default;
};

struct NodeNetwork {
  std::optional<Uplink> uplink;
  std::vector<net::IpAddress> addresses;  // where node ports are; the first of a family is masqueraded with
  std::vector<net::IpAddress> local;      // on all interfaces, without loopback ones; at most kLocalAddressLimit

  /// Pods leave with the node's address: only with an uplink, since answers to it come back that way.
  bool masquerades() const { return uplink.has_value(); }
};

net::Result<NodeNetwork> find_node_network(const config::Config& config);

/// MTU of this node's pods and host port, config::pod_mtu().
net::Result<std::uint32_t> pod_mtu_of(const config::Config& config, const NodeNetwork& node);

/// The uplink's; with `uplinkDevice` also that of the node link.
std::vector<api::PortSpec> uplink_ports(const config::Config& config, const Uplink& uplink);

/// What the switch translates besides services. Without an address of the node the host port's own is masqueraded with:
/// that serves the node itself and a pod that reaches itself through a service.
api::Nat nat_of(const config::Config& config, const NodeNetwork& node, const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
