/// Kinds of Kubernetes that Millrace does not keep: those that make containers, and those that the network does not
/// need.
///
/// Thread:  pure functions.
#pragma once

#include <string>
#include <string_view>

#include "control/kube/value.h"

namespace millrace::control::kube {

/// Deployment, StatefulSet, Job and the like.
bool is_workload(std::string_view kind);
/// ConfigMap, Secret, ServiceAccount and the like: the network is the same without them.
bool is_unrelated(std::string_view kind);
/// What a person does in the place of a workload: "make its pods with: millrace pod add NAME --label app=web ...".
std::string pod_add_hint(const Value& workload);

}  // namespace millrace::control::kube
