/// The interface that the configuration means by `uplink`.
///
/// Shape:   a name, or `auto`: that of the default route (IPv4's, else IPv6's) as it is at this moment. The host port
///          leads back to the switch and is nobody's way to the world.
/// Errors:  kNotFound when the interface that is named is not there. `auto` without a default route is nullopt.
/// Thread:  that of the Netlink.
#pragma once

#include <optional>
#include <string>

#include "control/netlink/netlink.h"
#include "net/result.h"

namespace millrace::control::netlink {

/// `uplink`: "" is none.
net::Result<std::optional<LinkInfo>> find_uplink(Netlink& netlink, const std::string& uplink,
                                                 const std::string& host_port);

}  // namespace millrace::control::netlink
