/// An attachment as everybody in a cluster knows it: which pod has which addresses on which node.
///
/// Thread:  plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "control/kube/metadata.h"
#include "net/address.h"

namespace millrace::control::agent {

/// Unique in a cluster.
struct AttachmentPlace {
  std::string node;
  std::string host_interface;
  friend auto operator<=>(const AttachmentPlace&, const AttachmentPlace&) = default;
};

struct PodAttachment {
  kube::ObjectKey pod;
  std::string pod_uid;
  std::int64_t id = 0;  // the lower, the earlier on its node
  std::uint64_t created_unix_ms = 0;
  std::vector<net::IpAddress> addresses;
  friend bool operator==(const PodAttachment&, const PodAttachment&) = default;
};

}  // namespace millrace::control::agent
