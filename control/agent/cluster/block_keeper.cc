#include "control/agent/cluster/block_keeper.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace millrace::control::agent::cluster {
namespace {

using std::int64_t;

/// Others may be faster for each of so many blocks; then the pool is in motion, and the caller tries again.
constexpr int kClaimRounds = 64;

/// FNV-1a: nodes begin to look at places of their own, so that they seldom want the same block.
std::uint32_t hash_of(const std::string& text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return hash;
}

/// Blocks of the pool; at most 2^31, which no cluster fills.
std::uint32_t count_of(const config::AddressPool& pool) {
  const int bits = pool.block_bits - pool.prefix.length_bits;
  return bits >= 31 ? 1u << 31 : 1u << bits;
}

net::Result<AddressBlock> block_at(const config::AddressPool& pool, std::uint32_t index) {
  return AddressBlock::make(pool.prefix, pool.block_bits, index);
}

/// The block with this prefix, if the pool is cut so that there is one.
std::optional<AddressBlock> block_of(const config::AddressPool& pool, const net::Prefix& prefix) {
  if (prefix.length_bits != pool.block_bits || !pool.prefix.contains(prefix.address)) return std::nullopt;
  // The index is what stands between the two lengths.
  std::uint64_t index = 0;
  for (unsigned bit = pool.prefix.length_bits; bit < prefix.length_bits; ++bit) {
    const unsigned byte = prefix.address.bytes[bit / 8];
    index = (index << 1) | ((byte >> (7 - bit % 8)) & 1);
  }
  if (index > 0xffffffffu) return std::nullopt;
  auto block = block_at(pool, static_cast<std::uint32_t>(index));
  if (!block || block->block() != prefix) return std::nullopt;
  return *block;
}

net::Error named(const net::Error& error, const net::Prefix& block) {
  return {error.code, fmt::format("block {}: {}", block.to_string(), error.message)};
}

}  // namespace

std::string wanted_key(const Keys& keys, std::uint8_t family) {
  return fmt::format("{}wanted/{}", keys.prefix(), family);
}

BlockKeeper::BlockKeeper(etcd::Client& client, Keys keys, Store& store, NodeBlocks& blocks, Owner owner,
                         std::vector<config::AddressPool> pools)
    : client_(client),
      keys_(std::move(keys)),
      store_(store),
      blocks_(blocks),
      owner_(std::move(owner)),
      pools_(std::move(pools)) {}

const config::AddressPool* BlockKeeper::pool_of(std::uint8_t family) const {
  const auto found =
      std::ranges::find_if(pools_, [&](const auto& pool) { return pool.prefix.address.family == family; });
  return found == pools_.end() ? nullptr : &*found;
}

bool BlockKeeper::has_all_families() const { return blocks_.first().size() == pools_.size(); }

net::Result<void> BlockKeeper::load() {
  const std::lock_guard guard(order_);
  auto claims = store_.claimed_blocks();
  if (!claims) return claims.error();
  for (const ClaimedBlock& claim : *claims) {
    const config::AddressPool* pool = pool_of(claim.block.address.family);
    if (pool == nullptr || claim.state != ClaimState::kHeld) continue;
    const auto block = block_of(*pool, claim.block);
    if (!block || claim.pool != pool->prefix) {
      const int family = claim.block.address.family;
      return net::failed_precondition(fmt::format(
          "ipam.ipv{}.pool: {} with blocks of /{} here, but this node has block {} of pool {} in the "
          "cluster; configure that one",
          family, pool->prefix.to_string(), pool->block_bits, claim.block.to_string(), claim.pool.to_string()));
    }
    blocks_.add(*block);
  }
  return {};
}

net::Result<BlockKeeper::Cluster> BlockKeeper::read(std::uint8_t family) {
  auto range = client_.range(keys_.blocks_of(family), 0, 0);
  if (!range) return range.error();
  Cluster cluster;
  for (const etcd::KeyValue& item : range->items) {
    const auto key = keys_.parse(item.key);
    if (!key || !std::holds_alternative<BlockKey>(*key)) continue;
    cluster[std::get<BlockKey>(*key).prefix] = {item.mod_revision, parse_block(item.value)};
  }
  return cluster;
}

net::Result<bool> BlockKeeper::write(const net::Prefix& block, BlockState state, int64_t mod_revision) {
  const std::string key = keys_.print(BlockKey{block});
  etcd::Txn txn;
  txn.compares.push_back({key, etcd::Compare::Target::kModRevision, mod_revision});  // 0: it does not exist
  txn.puts.push_back({key, print(BlockRecord{owner_.node, owner_.instance, state}), 0});
  auto result = client_.txn(txn);
  if (!result) return named(result.error(), block);
  return result->succeeded;
}

net::Result<void> BlockKeeper::sync() {
  const std::lock_guard guard(order_);
  for (const config::AddressPool& pool : pools_) {
    if (auto done = sync(pool); !done) return done;
  }
  return {};
}

net::Result<void> BlockKeeper::sync(const config::AddressPool& pool) {
  const std::uint8_t family = pool.prefix.address.family;
  auto cluster = read(family);
  if (!cluster) return cluster.error();
  auto claims = store_.claimed_blocks();
  if (!claims) return claims.error();
  for (const ClaimedBlock& claim : *claims) {
    if (claim.block.address.family != family) continue;
    if (auto settled = settle(claim, *cluster); !settled) return settled;
  }
  for (const auto& [block, found] : *cluster) {
    if (!found.is_of(owner_) || found.record->state != BlockState::kHeld) continue;
    if (std::ranges::find(*claims, block, &ClaimedBlock::block) != claims->end()) continue;
    if (auto adopted = adopt(pool, block); !adopted) return adopted;
  }
  const auto firsts = blocks_.first();
  if (std::ranges::find(firsts, family, &AddressBlock::family) != firsts.end()) return {};
  return claim_from(pool);
}

net::Result<void> BlockKeeper::settle(const ClaimedBlock& claim, const Cluster& cluster) {
  const auto at = cluster.find(claim.block);
  const Found* found = at == cluster.end() ? nullptr : &at->second;
  switch (claim.state) {
    case ClaimState::kHeld: return settle_held(claim, found);
    case ClaimState::kReleasing: return settle_releasing(claim, found);
    case ClaimState::kLost: return {};
  }
  return {};
}

net::Result<void> BlockKeeper::settle_held(const ClaimedBlock& claim, const Found* found) {
  if (found != nullptr && found->is_of(owner_) && found->record->state == BlockState::kHeld) return {};
  if (found == nullptr || found->is_of(owner_)) {
    // Etcd was restored from a time before the claim, or a person deleted the node. Nobody has it: it is ours again.
    auto written = write(claim.block, BlockState::kHeld, found == nullptr ? 0 : found->mod_revision);
    if (!written) return written.error();
    if (*written) {
      spdlog::warn("ipam: block {} was gone from etcd and is claimed again", claim.block.to_string());
      return {};
    }
  }
  spdlog::error(
      "ipam: block {} is another node's in etcd, though pods of this node may have addresses of it: no more "
      "of them are given away; was this node deleted while it was alive?",
      claim.block.to_string());
  if (auto put = store_.put_claimed_block({claim.block, claim.pool, ClaimState::kLost}); !put) return put;
  for (const AddressBlock& block : blocks_.all()) {
    if (block.block() == claim.block) return blocks_.remove_if(block, [] { return net::Result<void>(); });
  }
  return {};
}

net::Result<void> BlockKeeper::settle_releasing(const ClaimedBlock& claim, const Found* found) {
  if (found != nullptr && found->is_of(owner_) && found->record->state == BlockState::kHeld) {
    auto written = write(claim.block, BlockState::kEmpty, found->mod_revision);
    if (!written) return written.error();
    if (!*written) return net::unavailable(fmt::format("block {}: changed meanwhile", claim.block.to_string()));
    spdlog::info("ipam: block {} is given back", claim.block.to_string());
  }
  // What is remembered of its addresses goes first: a claim of it after this begins with nothing.
  if (auto kept = store_.keep_only_blocks(blocks_.all()); !kept) return kept;
  return store_.erase_claimed_block(claim.block);
}

net::Result<void> BlockKeeper::adopt(const config::AddressPool& pool, const net::Prefix& prefix) {
  const auto block = block_of(pool, prefix);
  if (!block) return {};  // of another cut: config_record() keeps nodes from that
  if (auto put = store_.put_claimed_block({prefix, pool.prefix, ClaimState::kHeld}); !put) return put;
  blocks_.add(*block);
  spdlog::info("ipam: block {} is this node's", prefix.to_string());
  return {};
}

net::Result<void> BlockKeeper::claim(std::uint8_t family) {
  const std::lock_guard guard(order_);
  const config::AddressPool* pool = pool_of(family);
  if (pool == nullptr) return net::invalid_argument(fmt::format("ipam.ipv{}.pool: none is configured", family));
  const std::size_t before = blocks_.all().size();
  // A claim whose answer was lost may have given one already.
  if (auto synced = sync(*pool); !synced) return synced;
  if (blocks_.all().size() > before) return {};
  return claim_from(*pool);
}

std::optional<net::Prefix> BlockKeeper::find_free(const config::AddressPool& pool, const Cluster& cluster) const {
  for (const net::Prefix& block : preferred_) {
    if (block_of(pool, block) && !cluster.contains(block)) return block;
  }
  const std::uint32_t count = count_of(pool);
  const std::uint32_t begin = hash_of(owner_.node) % count;
  // One more than there are in etcd are enough to meet a free one.
  const auto tries = static_cast<std::uint32_t>(std::min<std::size_t>(count, cluster.size() + 1));
  for (std::uint32_t i = 0; i < tries; ++i) {
    const auto block = block_at(pool, (begin + i) % count);
    if (block && !cluster.contains(block->block())) return block->block();
  }
  return std::nullopt;
}

net::Result<void> BlockKeeper::claim_from(const config::AddressPool& pool) {
  if (may_claim_) {
    if (auto allowed = may_claim_(); !allowed) return allowed;
  }
  for (int round = 0; round < kClaimRounds; ++round) {
    auto cluster = read(pool.prefix.address.family);
    if (!cluster) return cluster.error();
    std::optional<net::Prefix> chosen = find_free(pool, *cluster);
    int64_t mod_revision = 0;
    if (!chosen) {
      const auto empty = std::ranges::find_if(*cluster, [&](const auto& entry) {
        return entry.second.record && entry.second.record->state == BlockState::kEmpty && block_of(pool, entry.first);
      });
      if (empty == cluster->end()) return ask_others(pool);
      chosen = empty->first;
      mod_revision = empty->second.mod_revision;
    }
    auto written = write(*chosen, BlockState::kHeld, mod_revision);
    if (!written) return written.error();
    if (*written) return adopt(pool, *chosen);
  }
  return net::unavailable("ipam: other nodes claim blocks faster than this one");
}

net::Result<void> BlockKeeper::ask_others(const config::AddressPool& pool) {
  const std::uint8_t family = pool.prefix.address.family;
  // Each asking is a change that the others see, also when somebody asked before.
  if (auto asked = client_.put({wanted_key(keys_, family), owner_.node, 0}); !asked) return asked.error();
  return net::resource_exhausted(
      fmt::format("ipam: no block of pool {} is free: all {} are other nodes'; they are "
                  "asked for one without pods",
                  pool.prefix.to_string(), count_of(pool)));
}

net::Result<void> BlockKeeper::give_back(std::uint8_t family) {
  const std::lock_guard guard(order_);
  bool is_first = true;
  for (const AddressBlock& block : blocks_.all()) {
    if (block.family() != family) continue;
    if (std::exchange(is_first, false)) continue;  // the node's own address is in it
    const auto may_go = [&]() -> net::Result<void> {
      auto used = store_.used(block);
      if (!used) return used.error();
      if (*used != 0) return net::failed_precondition("it has pods");
      return store_.put_claimed_block({block.block(), block.pool(), ClaimState::kReleasing});
    };
    auto removed = blocks_.remove_if(block, may_go);
    if (!removed && removed.error().code != net::ErrorCode::kFailedPrecondition) return removed;
    if (!removed) continue;
    auto cluster = read(family);
    if (!cluster) return cluster.error();  // the next sync() goes on
    return settle({block.block(), block.pool(), ClaimState::kReleasing}, *cluster);
  }
  return {};
}

}  // namespace millrace::control::agent::cluster
