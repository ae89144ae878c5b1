/// What stands under the cluster's keys: text <-> values. Other agents, of other versions, and people write there too.
///
/// Shape:   objects/      the object as `kubectl get -o json` shows it: canonical, with metadata.creationTimestamp
///          claims/       NAMESPACE/NAME of the Service
///          attachments/  {"addresses": [...], "createdUnixMs": N, "id": N, "pod": {"name", "namespace", "uid"}}
///          nodes/        {"addresses": [...], ...}; of it, this is what others see of a Node
///          blocks/       {"node": NAME, "state": "held" | "empty", ...}
///          Fields that are not known here are a later version's, and are left alone.
/// Errors:  kInvalidArgument with a sentence that does not name the key. A node and a block are read as far as it goes.
/// Thread:  pure functions.
#pragma once

#include <string>
#include <vector>

#include "control/agent/pod_attachment.h"
#include "control/agent/seen_objects.h"
#include "control/kube/object.h"
#include "net/result.h"

namespace millrace::control::agent::cluster {

inline constexpr std::size_t kMaxAttachmentAddresses = 16;

std::string object_value(const ObjectRecord& record);
/// `key`: under which it stands; an object that says it is another is refused.
net::Result<ObjectRecord> parse_object_value(const kube::ObjectKey& key, const std::string& text);

std::string attachment_value(const PodAttachment& attachment);
net::Result<PodAttachment> parse_attachment_value(const std::string& text);

/// InternalIP's.
std::vector<kube::NodeAddress> parse_node_addresses(const std::string& text);
/// "": nobody has pods in it, or it cannot be read.
std::string parse_block_node(const std::string& text);

}  // namespace millrace::control::agent::cluster
