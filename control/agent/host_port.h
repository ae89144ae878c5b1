/// The host port: the veth pair by which the node's own network and the pods reach each other.
///
/// Shape:   NAME (millrace0) is the node's end: the first address of each block as /32 and /128, and a route to each
///          block by way of the gateway, which the switch answers for. NAME + "s" is the switch's end: no address.
///          Service ranges are routed like the blocks, with the same source. What the switch masquerades comes in by
///          NAME with an address of the node itself: accept_local and a loose rp_filter let it pass. It stays when the
///          agent ends, so the pods keep the node; remove_host_port() takes it away.
/// Errors:  kFailedPrecondition when an interface of that name is something else.
/// Thread:  any, one call at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/agent/address_block.h"
#include "control/netlink/netlink.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

struct HostPort {
  std::string name;
  std::uint32_t mtu = 0;
  net::Ipv4 gateway_ipv4;
  net::Ipv6 gateway_ipv6;
  std::vector<AddressBlock> blocks;  // one of each family: the first, with the node's address
  std::vector<net::Prefix> more_blocks = {};
  /// Addresses of pods that lie in no block: delegated ones, and those of a block this node had before.
  std::vector<net::IpAddress> extra_pods;
  std::vector<net::Prefix> services;  // of families that have a block

  std::string switch_end() const { return name + "s"; }
};

/// Makes the port, or mends the one that is there; returns the MAC of the node's end.
net::Result<net::Mac> ensure_host_port(const HostPort& port);
/// Success when it is not there.
net::Result<void> remove_host_port(const std::string& name);

/// What tells the routes of this instance from another's: the number of its table, the priority of its closed prefixes.
std::uint32_t route_number(const std::string& host_port);

/// To the switch, with the node's address in the pods' network as the source of what the node itself sends.
netlink::LinkRoute route_by_host_port(const HostPort& port, const net::Prefix& destination);

/// The node's route to one pod in no block, or to one more block. Removing one that is not there is success.
net::Result<void> add_pod_route(const HostPort& port, const net::Prefix& pods);
net::Result<void> remove_pod_route(const HostPort& port, const net::Prefix& pods);

}  // namespace millrace::control::agent
