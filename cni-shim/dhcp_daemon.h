/// The daemon of the `dhcp` IPAM plugin: it holds the leases and renews them, the plugin only asks it.
///
/// Theory:  looked for before an interface is made, so that a node on which nobody started it says so at once, and
///          STATUS, which Debian's plugin does not know, says so too.
/// Source:  CNI plugins, ipam/dhcp: "daemonSocketPath", default /run/cni/dhcp.sock; `dhcp daemon -socketpath`.
/// Thread:  any thread.
#pragma once

#include <string>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

inline constexpr std::string_view kDhcpPlugin = "dhcp";
inline constexpr std::string_view kDefaultDhcpSocket = "/run/cni/dhcp.sock";

/// Error: kTryAgainLater when nobody listens, kNotPermitted when this process may not ask; the message names the socket
/// and its key.
CniResult<void> check_dhcp_daemon(const std::string& socket_path);

}  // namespace millrace::cni_shim
