/// The node link: the veth pair by which the node keeps its own network over an uplink that DPDK drives.
///
/// Shape:   only with the key `uplinkDevice`. NAME, the key `uplink`, is the node's end, and the node's addresses and
///          routes on it are whoever's who gave them before to the device: the agent adds none, and its network manager
///          finds NAME as it would find the device's interface. NAME + "s" is the switch's end. The switch gives NAME
///          the device's MAC when it opens the device. A pair that is there is kept as it is, with its MTU.
///          It outlives both daemons, since the node's addresses would go with it; `--purge` takes it away.
/// Errors:  kFailedPrecondition when an interface of that name is something else.
/// Thread:  any, one call at a time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Name of the node link's port in the switch.
inline constexpr const char* kNodeLinkPort = "node-link";

/// Makes the pair, or mends the one that is there. Nothing without `uplinkDevice`.
net::Result<void> ensure_node_link(const config::Config& config);
net::Result<void> remove_node_link(const config::Config& config);

/// Has the switch open `ports` and leaves all else there as it is: what the agent must ask of the network before it
/// knows what the switch is to do (etcd, the first time) goes by them. Waits until the switch is there, at most
/// `patience`. Error: kUnavailable when it was not; else what the switch answered.
net::Result<void> open_node_network(const std::string& switch_socket, const std::vector<api::PortSpec>& ports,
                                    std::chrono::milliseconds patience);

/// The switch's end; `uplink` is the port of the device.
api::PortSpec node_link_port(const config::Config& config, const api::PortSpec& uplink);

}  // namespace millrace::control::agent
