/// The blocks of addresses that this node hands out, as they are now.
///
/// Shape:   with the embedded store, one of each family, for ever. With etcd the list grows when its addresses run out,
///          and shrinks when other nodes need what nobody uses here; the first block of a family stays, because the
///          node's own address on the host port is in it.
/// Use:     use() keeps blocks from going meanwhile: who takes an address does it inside. So a block that has gone is
///          one that nobody takes from any more.
/// Thread:  any. add(), remove_if() and grow() are not called inside of use().
#pragma once

#include <cstdint>
#include <functional>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "control/agent/address_block.h"
#include "net/result.h"

namespace millrace::control::agent {

class NodeBlocks {
 public:
  /// Gets one more block of the family, or says why there is none.
  using Grow = std::function<net::Result<void>(std::uint8_t family)>;
  /// A block came, or went. Called before a block is used for the first time, and after the last time.
  using OnChange = std::function<void(const AddressBlock& block, bool is_there)>;

  NodeBlocks() = default;
  explicit NodeBlocks(std::vector<AddressBlock> blocks) : blocks_(std::move(blocks)) {}

  /// In the order in which they came.
  std::vector<AddressBlock> all() const;
  /// The first of each family that has one, IPv4 before IPv6: that with the node's address.
  std::vector<AddressBlock> first() const;

  template <typename Function>
  auto use(const Function& function) const {
    const std::shared_lock guard(mutex_);
    return function(blocks_);
  }

  void add(const AddressBlock& block);
  /// Takes the block away if `may_go` agrees, which is asked while nobody uses the list. The error is that of may_go.
  net::Result<void> remove_if(const AddressBlock& block, const std::function<net::Result<void>()>& may_go);

  /// Both before anybody else has the object.
  void set_grow(Grow grow) { grow_ = std::move(grow); }
  void set_on_change(OnChange on_change) { on_change_ = std::move(on_change); }
  bool can_grow() const { return grow_ != nullptr; }
  net::Result<void> grow(std::uint8_t family) const { return grow_(family); }

 private:
  mutable std::shared_mutex mutex_;
  std::vector<AddressBlock> blocks_;
  Grow grow_;
  OnChange on_change_;
};

}  // namespace millrace::control::agent
