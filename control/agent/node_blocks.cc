#include "control/agent/node_blocks.h"

#include <algorithm>
#include <mutex>

namespace millrace::control::agent {

std::vector<AddressBlock> NodeBlocks::all() const {
  const std::shared_lock guard(mutex_);
  return blocks_;
}

std::vector<AddressBlock> NodeBlocks::first() const {
  const std::shared_lock guard(mutex_);
  std::vector<AddressBlock> firsts;
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    const auto found = std::ranges::find(blocks_, family, &AddressBlock::family);
    if (found != blocks_.end()) firsts.push_back(*found);
  }
  return firsts;
}

void NodeBlocks::add(const AddressBlock& block) {
  if (on_change_) on_change_(block, true);
  const std::unique_lock guard(mutex_);
  blocks_.push_back(block);
}

net::Result<void> NodeBlocks::remove_if(const AddressBlock& block, const std::function<net::Result<void>()>& may_go) {
  {
    const std::unique_lock guard(mutex_);
    if (auto agreed = may_go(); !agreed) return agreed;
    std::erase_if(blocks_, [&](const AddressBlock& other) { return other.block() == block.block(); });
  }
  if (on_change_) on_change_(block, false);
  return {};
}

}  // namespace millrace::control::agent
