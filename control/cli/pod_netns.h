/// The network namespaces that `millrace pod add` makes.
///
/// Shape:   named as `ip netns` names them: a bind mount on /run/netns/NAME, so that `ip netns exec NAME` works; NAME
///          is "mr-NAMESPACE.POD" ("." cannot be in a Kubernetes namespace, so two pods never share a name); an
///          instance with another runtime directory puts 8 hex digits of its FNV-1a in front, so that instances do not
///          meet. A name that would be too long for a file ends in the FNV-1a of the whole.
/// Errors:  kAlreadyExists; kPermissionDenied without root; kFailedPrecondition with the system's reason.
/// Thread:  create works in a thread of its own, enter changes the calling thread's namespace.
/// Source:  ip-netns(8), network_namespaces(7); FNV-1a, draft-eastlake-fnv.
#pragma once

#include <string>

#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::cli {

std::string netns_name(const std::string& runtime_dir, const std::string& name_space, const std::string& pod);
std::string netns_path(const std::string& name);

/// A new namespace with its loopback interface up.
net::Result<void> create_netns(const std::string& name);
/// Succeeds when it is not there.
net::Result<void> delete_netns(const std::string& name);
/// The calling thread is in that namespace from here on.
net::Result<void> enter_netns(const std::string& path);

}  // namespace millrace::control::cli
