#include "control/agent/node_report.h"

#include <chrono>
#include <vector>

#include "control/agent/cluster/values.h"
#include "control/agent/requests.h"
#include "control/agent/version.h"

namespace millrace::control::agent {
namespace {

std::uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

/// Of which node an attachment's key speaks.
std::string node_of(const cluster::Keys& keys, const std::string& key) {
  const auto parsed = keys.parse(key);
  const auto* place = parsed ? std::get_if<AttachmentPlace>(&*parsed) : nullptr;
  return place == nullptr ? "" : place->node;
}

std::uint64_t capacity_of(const config::AddressPool& pool, const net::Prefix& block) {
  const auto made = AddressBlock::make(block, pool.block_bits, 0);
  return made ? made->capacity() : 0;
}

void fill(const cluster::NodeRecord& record, api::Node& node) {
  node.set_ready(true);
  for (const net::IpAddress& address : record.addresses) node.add_addresses(to_bytes(address));
  node.set_vtep_mac(to_bytes(record.vtep_mac));
  node.set_started_unix_ms(record.epoch);
  node.set_version(record.version);
}

}  // namespace

NodeReport::NodeReport(config::Config config, Store& store, const NodeBlocks& blocks, cluster::Membership* membership)
    : config_(std::move(config)),
      started_unix_ms_(unix_ms()),
      store_(store),
      blocks_(blocks),
      membership_(membership) {}

net::Result<void> NodeReport::fill(api::AgentStatus& status) const {
  status.set_mtu(config_.mtu);
  status.set_store(membership_ == nullptr ? "embedded" : "etcd");
  status.set_store_connected(membership_ == nullptr);
  if (membership_ != nullptr) {
    const auto mirror = membership_->mirror().status();
    const auto member = membership_->status();
    status.set_store_connected(mirror.connected);
    status.set_store_message(member.message);
    status.set_store_revision(mirror.revision);
    status.set_member(member.is_member);
    status.set_encapsulation(cluster::to_text(config_.encapsulation));
  }
  for (const AddressBlock& block : blocks_.all()) {
    auto used = store_.used(block);
    if (!used) return used.error();
    api::IpamPool& pool = *status.add_pools();
    pool.set_pool(block.pool().to_string());
    pool.set_block(block.block().to_string());
    pool.set_capacity(block.capacity());
    pool.set_used(*used);
  }
  return {};
}

net::Result<api::Node> NodeReport::self() const {
  api::Node node;
  node.set_name(config_.node_name);
  node.set_is_self(true);
  node.set_ready(true);
  node.set_started_unix_ms(started_unix_ms_);
  node.set_version(kVersion);
  if (membership_ != nullptr) {
    agent::fill(membership_->record(), node);
    node.set_ready(membership_->status().is_member);
  } else {
    for (const net::IpAddress& address : config_.node_addresses) node.add_addresses(to_bytes(address));
  }
  for (const AddressBlock& block : blocks_.all()) node.add_blocks(block.block().to_string());
  auto attachments = store_.list();
  if (!attachments) return attachments.error();
  node.set_pod_count(static_cast<std::uint32_t>(attachments->size()));
  return node;
}

net::Result<api::ListNodesReply> NodeReport::nodes() const {
  auto own = self();
  if (!own) return own.error();
  std::map<std::string, api::Node> nodes;
  if (membership_ != nullptr) {
    const cluster::Keys& keys = membership_->keys();
    const etcd::Mirror& mirror = membership_->mirror();
    for (const etcd::KeyValue& item : mirror.list(keys.nodes())) {
      if (const auto record = cluster::parse_node(item.value)) agent::fill(*record, nodes[record->name]);
    }
    for (const etcd::KeyValue& item : mirror.list(keys.blocks())) {
      const auto key = keys.parse(item.key);
      const auto record = cluster::parse_block(item.value);
      if (!key || !record || !std::holds_alternative<cluster::BlockKey>(*key)) continue;
      if (record->state != cluster::BlockState::kHeld) continue;
      nodes[record->node].add_blocks(std::get<cluster::BlockKey>(*key).prefix.to_string());
    }
    for (const etcd::KeyValue& item : mirror.list(keys.attachments())) {
      if (const std::string node = node_of(keys, item.key); !node.empty()) {
        nodes[node].set_pod_count(nodes[node].pod_count() + 1);
      }
    }
  }
  nodes[config_.node_name] = *std::move(own);
  api::ListNodesReply reply;
  for (auto& [name, node] : nodes) {
    node.set_name(name);
    *reply.add_nodes() = std::move(node);
  }
  return reply;
}

net::Result<void> NodeReport::add_own_blocks(std::uint8_t family, Blocks& blocks) const {
  for (const AddressBlock& block : blocks_.all()) {
    if (block.family() != family) continue;
    auto used = store_.used(block);
    if (!used) return used.error();
    api::Block& message = blocks[block.block()];
    message.set_pool(block.pool().to_string());
    message.set_node(config_.node_name);
    message.set_state("held");
    message.set_capacity(block.capacity());
    message.set_used(*used);
  }
  return {};
}

void NodeReport::add_cluster_blocks(const config::AddressPool& pool, Blocks& blocks) const {
  const cluster::Keys& keys = membership_->keys();
  const std::uint8_t family = pool.prefix.address.family;
  for (const etcd::KeyValue& item : membership_->mirror().list(keys.blocks_of(family))) {
    const auto key = keys.parse(item.key);
    const auto record = cluster::parse_block(item.value);
    if (!key || !record || !std::holds_alternative<cluster::BlockKey>(*key)) continue;
    const net::Prefix& prefix = std::get<cluster::BlockKey>(*key).prefix;
    if (blocks.contains(prefix)) continue;  // this node's: the store knows better
    api::Block& message = blocks[prefix];
    message.set_pool(pool.prefix.to_string());
    message.set_node(record->node);
    message.set_state(record->state == cluster::BlockState::kHeld ? "held" : "empty");
    message.set_capacity(capacity_of(pool, prefix));
  }
  for (const etcd::KeyValue& item : membership_->mirror().list(keys.attachments())) {
    const auto attachment = cluster::parse_attachment_value(item.value);
    if (!attachment || node_of(keys, item.key) == config_.node_name) continue;
    for (const net::IpAddress& address : attachment->addresses) {
      if (address.family != family) continue;
      const auto within = blocks.find(net::Prefix::of(address, pool.block_bits));
      if (within != blocks.end()) within->second.set_used(within->second.used() + 1);
    }
  }
}

net::Result<api::ListBlocksReply> NodeReport::blocks() const {
  api::ListBlocksReply reply;
  for (const auto& configured : {config_.ipam.ipv4, config_.ipam.ipv6}) {
    if (!configured) continue;
    const std::uint8_t family = configured->prefix.address.family;
    const int bits = configured->block_bits - configured->prefix.length_bits;
    api::Pool& pool = *reply.add_pools();
    pool.set_prefix(configured->prefix.to_string());
    pool.set_block_length(configured->block_bits);
    pool.set_block_limit(bits >= 63 ? ~std::uint64_t{0} : std::uint64_t{1} << bits);
    Blocks blocks;
    if (auto added = add_own_blocks(family, blocks); !added) return added.error();
    if (membership_ != nullptr) add_cluster_blocks(*configured, blocks);
    for (auto& [prefix, block] : blocks) {
      block.set_prefix(prefix.to_string());
      *reply.add_blocks() = std::move(block);
    }
  }
  return reply;
}

net::Result<api::DeleteNodeReply> NodeReport::delete_node(const std::string& name) const {
  if (membership_ == nullptr) {
    return name == config_.node_name ? net::failed_precondition("node " + name + " is this one")
                                     : net::not_found("node " + name +
                                                      " is not there: with store: embedded there is "
                                                      "this node alone");
  }
  auto removed = membership_->delete_node(name);
  if (!removed) return removed.error();
  api::DeleteNodeReply reply;
  for (const net::Prefix& block : removed->blocks) reply.add_blocks(block.to_string());
  reply.set_pod_count(static_cast<std::uint32_t>(removed->attachments));
  return reply;
}

}  // namespace millrace::control::agent
