/// One object as it is seen beyond what is stored: a pod with its attachments, a namespace in use, its document.
///
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "control/agent/pod_attachment.h"
#include "control/kube/object.h"

namespace millrace::control::agent {

/// `pod` with what its attachment gives it. That makes it run, unless its own status says that it is over; and it is
/// not ready while its node is not there.
kube::Pod attached_pod(kube::Pod pod, const PodAttachment& attachment, const std::string& node, bool is_node_there);
/// A pod that nobody applied.
kube::Pod pod_of(const kube::ObjectKey& key);
kube::Namespace namespace_of(const std::string& name);

/// What is shown of an object: `stored` (null when it is not) with the fields that the view adds.
nlohmann::json shown_json(const kube::Object& seen, nlohmann::json stored, std::uint64_t created_unix_ms);

}  // namespace millrace::control::agent
