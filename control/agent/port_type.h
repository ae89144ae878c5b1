/// What a pod is attached by, when the request leaves it to the annotations of the pod's object.
///
/// Shape:   | annotation                  | value                                                |
///          | millrace.io/port-type       | kernel (as without it), vhost-user                   |
///          | millrace.io/vhost-listener  | switch (as without it), pod: who makes the socket    |
///          | millrace.io/vhost-queues    | 1..64 queue pairs that the pod is served by; else 64 |
///          A request that names the type has its own word on all three.
/// Errors:  kInvalidArgument with the annotation, its value and what is allowed; for a step that a type does not have.
/// Thread:  pure functions.
#pragma once

#include "control/agent/requests.h"
#include "control/kube/pod.h"
#include "net/result.h"

namespace millrace::control::agent {

/// `vhost` of the request, from `pod`, which may be nullptr: nothing is known of it.
net::Result<void> choose_port_type(const kube::Pod* pod, PodRequest& request);

}  // namespace millrace::control::agent
