/// Blocks of addresses that this node claimed in etcd, on its disk: pods can be started from them while etcd is away.
/// The caller holds the store's mutex and, for changes, an open transaction.
///
/// Shape:   | state      | meaning |
///          | kHeld      | ours: pods get addresses from it |
///          | kReleasing | nobody gets one any more, and no pod has one; etcd may know it or not. Never kHeld again:
///                         what comes back is claimed anew |
///          | kLost      | another node has it, by a person's word (`node delete`): pods that have addresses keep them
///          |
/// Thread:  as the store's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/agent/sqlite.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

enum class ClaimState : std::uint8_t { kHeld = 1, kReleasing = 2, kLost = 3 };

struct ClaimedBlock {
  net::Prefix block;
  net::Prefix pool;
  ClaimState state = ClaimState::kHeld;
  friend bool operator==(const ClaimedBlock&, const ClaimedBlock&) = default;
};

/// In the order of their claims.
net::Result<std::vector<ClaimedBlock>> read_claimed_blocks(Database& database);
/// Adds the block, or changes its state.
net::Result<void> put_claimed_block(Database& database, const ClaimedBlock& claim);
net::Result<void> erase_claimed_block(Database& database, const net::Prefix& block);

}  // namespace millrace::control::agent
