/// The first step of an ADD: the attachment is written down with its addresses, of a block that is claimed for it when
/// all are full.
///
/// Errors:  Store::begin_add()'s; kResourceExhausted and what NodeBlocks::grow() says when there is no other block.
/// Thread:  any.
#pragma once

#include "control/agent/model.h"
#include "control/agent/node_blocks.h"
#include "control/agent/store.h"
#include "net/result.h"

namespace millrace::control::agent {

/// `request.blocks` is not looked at: one address of each family of `blocks`, unless the attachment is of DHCP.
net::Result<Attachment> begin_attachment(Store& store, const NodeBlocks& blocks, const Attachment& planned,
                                         const Store::AddressRequest& request);

}  // namespace millrace::control::agent
