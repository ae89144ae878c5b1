/// Messages of ApplyObjects, GetObjects and DeleteObjects <-> objects: every field is checked once.
///
/// Errors:  kInvalidArgument "FIELD: what is wrong; allowed: ...".
/// Thread:  pure functions.
#pragma once

#include <vector>

#include "control/agent/model.h"
#include "control/agent/object_manager.h"
#include "control/api/agent.pb.h"
#include "control/kube/manifest.h"
#include "net/result.h"

namespace millrace::control::agent {

net::Result<std::vector<kube::Manifest>> to_manifests(const api::ApplyObjectsRequest& message);
net::Result<std::vector<kube::ObjectKey>> to_keys(const api::DeleteObjectsRequest& message);
net::Result<kube::Kind> to_kind(const std::string& field, const std::string& name);
void to_message(const Applied& applied, api::ObjectResult& message);
/// What `millrace pod add` says of a pod, as a Pod.
net::Result<kube::Manifest> to_manifest(const PodObject& object);

}  // namespace millrace::control::agent
