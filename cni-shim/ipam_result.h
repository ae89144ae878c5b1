/// What a delegated IPAM plugin writes to stdout: a result of any version of the specification, or an error.
///
/// Shape:   since 0.3.0 "ips": [{"address","gateway"}] and "routes": [{"dst","gw"}], since 1.1.0 with "mtu", "advmss",
///          "priority", "table", "scope"; before, "ip4" and "ip6": {"ip","gateway","routes"}. A route of a table other
///          than main or a scope other than global is refused: nothing here would set it as it is meant.
/// Source:  CNI specification 1.1.0, section 4 "Plugin Delegation"; libcni pkg/types/{020,040,100}.
/// Thread:  pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "cni-shim/pod_interface.h"

namespace millrace::cni_shim {

inline constexpr std::size_t kMaxDelegatedAddresses = 16;
inline constexpr std::size_t kMaxDelegatedRoutes = 64;

/// Error: kIpamFailure, the message names the plugin and what is wrong with its result.
CniResult<IpamResult> parse_ipam_result(std::string_view text, const std::string& plugin);

/// The plugin's own error from its stdout, code and all; kIpamFailure with its exit status when it wrote none.
CniError parse_ipam_error(std::string_view text, const std::string& plugin, int exit_status);

}  // namespace millrace::cni_shim
