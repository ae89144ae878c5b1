/// What the parts of an agent are made of, out of the configuration.
///
/// Thread:  pure functions, but for the warnings in the log.
#pragma once

#include <vector>

#include "control/agent/address_block.h"
#include "control/agent/cluster/cluster_link.h"
#include "control/agent/host_port.h"
#include "control/agent/service_allocator.h"
#include "control/agent/services/node_port_table.h"
#include "control/config/config.h"
#include "control/kube/object.h"
#include "net/result.h"

namespace millrace::control::agent {

/// Pools of the families that pods get addresses of; without IPv6 when the kernel has it switched off.
std::vector<config::AddressPool> pools_in_use(const config::Config& config);
/// `ipam.block` of each of them.
net::Result<std::vector<AddressBlock>> configured_blocks(const config::Config& config);

/// `first`: blocks with the node's addresses; `all`: these, too.
HostPort host_port_of(const config::Config& config, std::vector<AddressBlock> first,
                      const std::vector<AddressBlock>& all);
ServiceRanges service_ranges_of(const config::Config& config);
services::NodePortTable node_ports_of(const config::Config& config, const HostPort& host);
kube::Node self_of(const config::Config& config, const std::vector<AddressBlock>& blocks);
cluster::ClusterLink::Options cluster_link_of(const config::Config& config);

}  // namespace millrace::control::agent
