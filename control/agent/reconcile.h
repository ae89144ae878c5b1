/// At start: what the database says and what the kernel has are made one again.
///
/// Shape:   | row       | host interface | then |
///          | kAdding   | any            | the ADD did not answer: undone |
///          | kDeleting | any            | the DEL did not answer: finished |
///          | kActive   | is there       | kept |
///          | kActive   | is gone        | so is the pod (or the machine was started anew): removed |
///          Of a pod with a vhost-user socket it is the socket's directory (pod_socket.h) and the pod's namespace that
///          are there or are gone.
/// Errors:  kFailedPrecondition when an address of a kept pod is the node's own in the configured block; those of the
///          store and the kernel.
/// Thread:  at start, before anything is served.
#pragma once

#include <vector>

#include "control/agent/host_port.h"
#include "control/agent/model.h"
#include "control/agent/store.h"
#include "net/result.h"

namespace millrace::control::agent {

/// One row of the table above.
bool is_kept(AttachmentState state, bool is_there);
/// Takes away the interfaces of a pod, or its vhost-user socket. Nothing there is no error.
net::Result<void> remove_pod_end(Store& store, const Attachment& attachment);
/// Of a pod with a socket: its directory and its namespace, either of which may go without a DEL. Such a port has no
/// interface of the kernel's that would go with the namespace.
bool socket_is_there(const Attachment& attachment);

/// Brings store and kernel together and returns the attachments that are kept. Also notes the configured blocks in the
/// store; pods keep their addresses when a block changed, and the log says so.
net::Result<std::vector<Attachment>> reconcile(Store& store, const std::vector<AddressBlock>& blocks);

/// Addresses of `attachments` in no block of `blocks`.
std::vector<net::IpAddress> addresses_outside(const std::vector<Attachment>& attachments,
                                              const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
