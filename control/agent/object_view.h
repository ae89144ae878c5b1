/// One object as it is seen beyond what is stored: a pod with its attachments, a namespace in use, its document.
///
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/agent/model.h"
#include "control/kube/object.h"

namespace millrace::control::agent {

/// `pod` with what its attachments give it. An attachment makes it run, unless its own status says that it is over.
kube::Pod attached_pod(kube::Pod pod, const std::vector<Attachment>& attachments, const std::string& node_name);
/// A pod that nobody applied.
kube::Pod pod_of(const Attachment& attachment);
kube::Namespace namespace_of(const std::string& name);

/// What is shown of an object: `stored` (null when it is not) with the fields that the view adds.
nlohmann::json shown_json(const kube::Object& seen, nlohmann::json stored, std::uint64_t created_unix_ms);

}  // namespace millrace::control::agent
