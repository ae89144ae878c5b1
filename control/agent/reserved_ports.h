/// Ports that the kernel must not take for connections of its own: masqueraded packets leave with them.
///
/// Shape:   net.ipv4.ip_local_reserved_ports (IPv6 has the same one) gets the range in addition to what an
///          administrator has there. What was added is noted in the store before it is set, and only that is taken
///          back.
/// Errors:  those of the store and of the setting.
/// Thread:  any, one call at a time.
/// Source:  Linux Documentation/networking/ip-sysctl.rst.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "control/agent/store.h"
#include "net/result.h"

namespace millrace::control::agent {

using PortSet = std::bitset<65536>;

/// "8080,30000-30010"; what is no list of ports is left out.
PortSet parse_ports(std::string_view text);
std::string to_string(const PortSet& ports);
PortSet port_range(std::uint16_t first, std::uint16_t last);

/// Reserves `wanted`, and gives back what an earlier configuration reserved besides.
net::Result<void> reserve_ports(Store& store, const PortSet& wanted);
/// Gives back all that was reserved.
net::Result<void> release_ports(Store& store);

}  // namespace millrace::control::agent
