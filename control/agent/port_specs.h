/// Desired state of the switch, from what the agent knows: how an attachment and the host port look as ports.
///
/// Thread:  pure functions.
#pragma once

#include <vector>

#include "control/agent/address_block.h"
#include "control/agent/model.h"
#include "control/api/switch.pb.h"
#include "control/config/config.h"
#include "net/address.h"

namespace millrace::control::agent {

/// `masquerade`: its packets to the outside leave with the node's address.
api::PortSpec pod_port(const Attachment& attachment, bool masquerade);
api::PortSpec host_port(const config::Config& config, const std::vector<AddressBlock>& blocks, const net::Mac& mac);
/// ICMP errors come from the node's own address, so that a traceroute shows the node; without a block, from the
/// gateway's.
api::Gateway gateway(const config::Config& config, const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
