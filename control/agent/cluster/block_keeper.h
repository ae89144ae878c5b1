/// This node's blocks of addresses in etcd: claims them, knows them again, gives back what others need.
///
/// Shape:   a claim is one transaction, "create it if it does not exist" or "take it if it is still empty". It is on
///          the disk before an address of it is used, so pods start from it while etcd is away and after a restart.
///          Blocks are not leased: a node that is away has its pods still. Only its own node says of a block that it
///          is empty, or a person says that the node is gone for good (`millrace node delete`).
/// Giving:  a node that finds neither a free nor an empty block puts the key wanted/FAMILY. Who has a block without
///          pods, not the first one, forbids it to itself on its disk, and then writes `empty`, by compare-and-swap.
///          It uses it again only after it claimed it anew like anybody else.
/// Unknown: a write whose answer did not come may have been done, or be done later. All of them compare with what was
///          read, so a late one does nothing once the key changed. A block that etcd says is ours, and the disk does
///          not know, is a claim whose answer was lost: it is taken then.
/// Lost:    a block that is another node's, though the disk says ours, gives away no address any more; the log has an
///          error. That is so when a node was deleted that was alive.
/// Errors:  kResourceExhausted: neither free nor empty; kUnavailable and the like: etcd's. kFailedPrecondition: claims
///          are not allowed now (may_claim).
/// Thread:  any; one call after the other. NodeBlocks outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/agent/cluster/keys.h"
#include "control/agent/cluster/records.h"
#include "control/agent/node_blocks.h"
#include "control/agent/store.h"
#include "control/config/config.h"
#include "control/etcd/client.h"
#include "net/result.h"

namespace millrace::control::agent::cluster {

class BlockKeeper {
 public:
  struct Owner {
    std::string node;
    std::string instance;
  };

  /// `pools`: of the families in use.
  BlockKeeper(etcd::Client& client, Keys keys, Store& store, NodeBlocks& blocks, Owner owner,
              std::vector<config::AddressPool> pools);

  /// What the disk has. Error: kFailedPrecondition when a block is of another pool than the configuration's.
  net::Result<void> load();
  /// Compares with etcd: adopts, finishes, notes what is lost. Then each family that has none gets its first block.
  net::Result<void> sync();
  /// One more block of the family.
  net::Result<void> claim(std::uint8_t family);
  /// A block of the family that nobody uses is given back, if there is one. Quiet when there is none.
  net::Result<void> give_back(std::uint8_t family);

  /// Whether a claim may be made now; asked before each. Before anybody else has the object.
  void set_may_claim(std::function<net::Result<void>()> may_claim) { may_claim_ = std::move(may_claim); }
  /// Where the first claims go if it is free: pods may have addresses of it from before.
  void prefer(const net::Prefix& block) { preferred_.insert(block); }
  /// Families without a block.
  bool has_all_families() const;

 private:
  struct Found {
    std::int64_t mod_revision = 0;
    std::optional<BlockRecord> record;  // nullopt: not understood, and so somebody's
    bool is_of(const Owner& owner) const {
      return record && record->node == owner.node && record->instance == owner.instance;
    }
  };
  using Cluster = std::map<net::Prefix, Found>;

  net::Result<Cluster> read(std::uint8_t family);
  net::Result<void> sync(const config::AddressPool& pool);
  net::Result<void> settle(const ClaimedBlock& claim, const Cluster& cluster);
  net::Result<void> settle_held(const ClaimedBlock& claim, const Found* found);
  net::Result<void> settle_releasing(const ClaimedBlock& claim, const Found* found);
  net::Result<void> adopt(const config::AddressPool& pool, const net::Prefix& block);
  net::Result<void> claim_from(const config::AddressPool& pool);
  /// True: it is ours. False: somebody else was faster.
  net::Result<bool> take(const net::Prefix& block, const Found* found);
  net::Result<bool> write(const net::Prefix& block, BlockState state, std::int64_t mod_revision);
  net::Result<void> ask_others(const config::AddressPool& pool);
  std::optional<net::Prefix> find_free(const config::AddressPool& pool, const Cluster& cluster) const;
  const config::AddressPool* pool_of(std::uint8_t family) const;

  etcd::Client& client_;
  const Keys keys_;
  Store& store_;
  NodeBlocks& blocks_;
  const Owner owner_;
  const std::vector<config::AddressPool> pools_;
  std::set<net::Prefix> preferred_;
  std::function<net::Result<void>()> may_claim_;
  std::mutex order_;
};

/// The key that asks for blocks of a family to be given back.
std::string wanted_key(const Keys& keys, std::uint8_t family);

}  // namespace millrace::control::agent::cluster
