/// The result of ADD on stdout.
///
/// Shape:   interfaces: the host's end, then the pod's with its sandbox; ips point at the pod's by index. Of a pod with
///          a vhost-user socket there is its own alone, with socketPath: of 1.1.0, and told to older callers, too, who
///          have no other word of it. A prevResult
///          (we are not the first plugin of the list) is kept as it is; ours is appended and the indices move on.
/// Source:  CNI specification 1.1.0 "ADD Success"; 0.4.0 and 1.0.0 for what they write otherwise (spec_version.h).
/// Thread:  pure functions, any thread.
#pragma once

#include <string>

#include "cni-shim/pod_interface.h"
#include "cni-shim/request.h"

namespace millrace::cni_shim {

/// `ipam_dns` is that of the delegated IPAM plugin; the configuration's own comes first, the agent's last.
/// One JSON object and a newline.
std::string render_add_result(const Request& request, const PodInterface& pod, const Dns& ipam_dns);

/// {"cniVersion": as asked, "supportedVersions": [...]} and a newline.
std::string render_version_result(const std::string& cni_version);

}  // namespace millrace::cni_shim
