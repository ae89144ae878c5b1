/// The resolver of a pod that the CLI made: /etc/netns/NAME/resolv.conf, which `ip netns exec` and `millrace pod exec`
/// put in the place of /etc/resolv.conf.
///
/// Shape:   made from the "dns" of the CNI result; without name servers there is no file, and the node's own is in
/// force.
/// Errors:  kFailedPrecondition with the system's reason.
/// Thread:  any; enter_resolver: before the process has other threads.
/// Source:  ip-netns(8), resolv.conf(5), CNI specification 1.1.0 "dns".
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "net/result.h"

namespace millrace::control::cli {

/// resolv.conf for a CNI result; "" when it names no server.
std::string resolver_text(const nlohmann::json& result);

net::Result<void> write_resolver(const std::string& netns_name, const nlohmann::json& result);
/// Success when there is none.
net::Result<void> remove_resolver(const std::string& netns_name);
/// Puts the calling process in a mount namespace of its own that has the pod's resolver, if it has one.
net::Result<void> enter_resolver(const std::string& netns_name);

}  // namespace millrace::control::cli
