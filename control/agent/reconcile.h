/// At start: what the database says and what the kernel has are made one again.
///
/// Shape:   | row       | host interface | then |
///          | kAdding   | any            | the ADD did not answer: undone |
///          | kDeleting | any            | the DEL did not answer: finished |
///          | kActive   | is there       | kept |
///          | kActive   | is gone        | so is the pod (or the machine was started anew): removed |
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
bool is_kept(AttachmentState state, bool host_interface_is_there);

/// Brings store and kernel together and returns the attachments that are kept. Also notes the configured blocks in the
/// store; pods keep their addresses when a block changed, and the log says so.
net::Result<std::vector<Attachment>> reconcile(Store& store, const std::vector<AddressBlock>& blocks);

/// Addresses of `attachments` in no block of `blocks`.
std::vector<net::IpAddress> addresses_outside(const std::vector<Attachment>& attachments,
                                              const std::vector<AddressBlock>& blocks);

}  // namespace millrace::control::agent
