/// What a pod wants to be attached by: CNI_ARGS, and the annotations of the pod that a runtime passes on.
///
/// Shape:   | CNI_ARGS                | annotation                 | value                                        |
///          | MILLRACE_PORT_TYPE      | millrace.io/port-type      | kernel, vhost-user                           |
///          | MILLRACE_VHOST_LISTENER | millrace.io/vhost-listener | switch, pod: who makes the vhost-user socket |
///          | MILLRACE_VHOST_QUEUES   | millrace.io/vhost-queues   | 1..64 queue pairs that the pod is served by  |
///          Without a type the agent asks the pod's object, and the other two say nothing.
/// Errors:  a sentence with the value and what is allowed, with the caller's code.
/// Source:  containerd pkg/cri/annotations and CRI-O: the capability "io.kubernetes.cri.pod-annotations".
/// Thread:  pure functions over what they are given, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cni-shim/cni_error.h"

namespace millrace::cni_shim {

inline constexpr std::uint32_t kMaxVhostQueuePairs = 64;  // what the switch takes
inline constexpr std::string_view kPodAnnotationsKey = "io.kubernetes.cri.pod-annotations";

enum class PortType : std::uint8_t { kUnspecified, kKernel, kVhostUser };

struct PortWish {
  PortType type = PortType::kUnspecified;
  bool pod_listens = false;
  std::uint32_t queue_pairs = 0;  // 0: as many as the switch can
};

enum class PortWishField : std::uint8_t { kType, kListener, kQueues };

/// Which one an annotation or a key of CNI_ARGS is; nullopt: none of them.
std::optional<PortWishField> port_wish_of_annotation(std::string_view name);
std::optional<PortWishField> port_wish_of_args(std::string_view key);

/// `name`: what the error begins with.
std::optional<CniError> set_port_wish(PortWishField field, std::string_view name, std::string_view value, CniCode code,
                                      PortWish& wish);

}  // namespace millrace::cni_shim
