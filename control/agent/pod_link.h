/// The kernel's side of a pod: a veth pair from the node into the pod's network namespace.
///
/// Shape:   pod end:  up, MAC, MTU, each address as /32 or /128, and a default route a family by way of the gateway,
///                    which is on the link (169.254.1.1, fe80::1): all of a pod's packets go to the switch. The routes
///                    an IPAM plugin asked for go by way of it, too. No router advertisements, no duplicate address
///                    detection. GRO is on, so the pod receives through NAPI in large pieces.
///          node end: up, no address, IPv6 off: the kernel itself sends nothing out of it. The switch opens it.
/// Errors:  kAlreadyExists when either interface is there (nothing was changed then); else the step that failed, and
///          the pair is removed again.
/// Thread:  any; different pods at the same time.
#pragma once

#include <string>
#include <vector>

#include "control/agent/model.h"
#include "control/agent/netns.h"
#include "control/netlink/netlink.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

struct PodLink {
  netlink::VethEnd node;
  netlink::VethEnd pod;
  std::uint32_t mtu = 0;
  std::vector<net::IpAddress> addresses;
  std::vector<ExtraRoute> routes;
  net::Ipv4 gateway_ipv4;
  net::Ipv6 gateway_ipv6;

  net::IpAddress gateway_for(const net::IpAddress& address) const {
    return address.is_v4() ? net::IpAddress::from(gateway_ipv4) : net::IpAddress::from(gateway_ipv6);
  }
};

net::Result<void> create_pod_link(const Netns& netns, const PodLink& link);

/// Gives a pod end that was made without addresses those of `link`, and its routes.
net::Result<void> configure_pod_addresses(const Netns& netns, const PodLink& link);

/// kFailedPrecondition with the first thing that differs from `link`.
net::Result<void> check_pod_link(const Netns& netns, const PodLink& link);

/// Routes of the pod's end: for each address, in order, the gateway's host route and the default route; then the
/// others. One of these with the destination and priority of a default route stands for it.
std::vector<netlink::LinkRoute> pod_routes(const PodLink& link);

}  // namespace millrace::control::agent
