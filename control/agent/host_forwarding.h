/// Forwarding of packets by the node's kernel, which pods need to reach the world by way of the node.
///
/// Shape:   global settings of the node, so a key of the configuration (hostForwarding) decides whether they are
///          touched.
///          IPv6 forwarding makes the kernel ignore router advertisements (accept_ra = 1 means "unless forwarding"), by
///          which the node may have its own default route: interfaces that listen to them are set to listen always (2).
/// Errors:  none: what cannot be set is logged; pods and node still reach one another.
/// Source:  Linux Documentation/networking/ip-sysctl.rst.
#pragma once

#include <vector>

#include "control/agent/address_block.h"

namespace millrace::control::agent {

/// With `enable` false: says in the log which forwarding is off and what that means.
void set_host_forwarding(bool enable, const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
