#include "control/agent/cluster/own_node.h"

#include <fmt/format.h>

#include <utility>

namespace millrace::control::agent::cluster {
namespace {

using Target = etcd::Compare::Target;

constexpr std::size_t kErasesOfOne = etcd::kTxnOperations - 2;

struct Doomed {
  std::vector<etcd::KeyValue> keys;
  Removed removed;
};

/// `instance`: "" is every one, else every other one.
net::Result<void> find_blocks(etcd::Client& client, const Keys& keys, const std::string& name,
                              const std::string& instance, Doomed& doomed) {
  auto range = client.range(keys.blocks(), 0, 0);
  if (!range) return range.error();
  for (etcd::KeyValue& item : range->items) {
    const auto key = keys.parse(item.key);
    const auto record = parse_block(item.value);
    if (!key || !record || !std::holds_alternative<BlockKey>(*key)) continue;
    if (record->node != name || record->instance == instance) continue;
    doomed.removed.blocks.push_back(std::get<BlockKey>(*key).prefix);
    doomed.keys.push_back(std::move(item));
  }
  return {};
}

/// Each of them only as it was seen, and only while the node's key is as it was.
net::Result<void> erase_all(etcd::Client& client, const etcd::Compare& node, const std::vector<etcd::KeyValue>& items) {
  for (std::size_t done = 0; done < items.size(); done += kErasesOfOne) {
    etcd::Txn txn;
    txn.compares.push_back(node);
    for (std::size_t i = done; i < std::min(items.size(), done + kErasesOfOne); ++i) {
      txn.compares.push_back({items[i].key, Target::kModRevision, items[i].mod_revision});
      txn.erases.push_back({items[i].key});
    }
    auto result = client.txn(txn);
    if (!result) return result.error();
    if (!result->succeeded) return net::failed_precondition("it changed meanwhile: it may have come back");
  }
  return {};
}

}  // namespace

std::string config_key(const Keys& keys) { return keys.prefix() + "config"; }

OwnNode::OwnNode(etcd::Client& client, Keys keys, NodeRecord record)
    : client_(client), keys_(std::move(keys)), key_(keys_.print(NodeKey{record.name})), record_(std::move(record)) {}

NodeRecord OwnNode::record() const {
  const std::lock_guard guard(mutex_);
  return record_;
}

void OwnNode::set_addresses(std::vector<net::IpAddress> addresses) {
  const std::lock_guard guard(mutex_);
  record_.addresses = std::move(addresses);
}

net::Result<void> OwnNode::check_owner(const etcd::KeyValue& found) const {
  const auto other = parse_node(found.value);
  const NodeRecord own = record();
  if (other && other->instance == own.instance) return {};
  std::string where;
  if (other && !other->addresses.empty()) where = " at " + other->addresses.front().to_string();
  return net::failed_precondition(fmt::format(
      "nodeName: another machine{} is node {} of this cluster (etcd key {}); give this one another name, or "
      "wait until that one is gone",
      where, own.name, key_));
}

net::Result<void> OwnNode::check_name() {
  auto found = client_.get(key_);
  if (!found) return found.error();
  return *found ? check_owner(**found) : net::Result<void>();
}

net::Result<void> OwnNode::publish(std::int64_t lease) {
  auto found = client_.get(key_);
  if (!found) return found.error();
  if (*found) {
    if (auto ours = check_owner(**found); !ours) return ours;
  }
  etcd::Txn txn;
  txn.compares.push_back({key_, Target::kModRevision, *found ? (*found)->mod_revision : 0});
  txn.puts.push_back({key_, print(record()), lease});
  auto result = client_.txn(txn);
  if (!result) return result.error();
  if (!result->succeeded) return net::unavailable(fmt::format("etcd key {}: changed meanwhile", key_));
  return {};
}

net::Result<void> agree_on_config(etcd::Client& client, const Keys& keys, const ConfigRecord& here) {
  const std::string key = config_key(keys);
  etcd::Txn txn;
  txn.compares.push_back({key, Target::kVersion, 0});
  txn.puts.push_back({key, print(here), 0});
  txn.ranges_else.push_back(key);
  auto result = client.txn(txn);
  if (!result) return result.error();
  if (result->succeeded || result->found.empty()) return {};
  const auto cluster = parse_config(result->found.front().value);
  if (!cluster) return net::failed_precondition(fmt::format("etcd key {} is not understood", key));
  const std::string differs = difference(here, *cluster);
  if (differs.empty()) return {};
  return net::failed_precondition(fmt::format("{} (etcd key {}); it must be the same on all nodes", differs, key));
}

net::Result<Removed> delete_node(etcd::Client& client, const Keys& keys, const std::string& name) {
  const std::string key = keys.print(NodeKey{name});
  auto found = client.get(key);
  if (!found) return found.error();
  std::string instance;
  Doomed doomed;
  if (*found) {
    const auto record = parse_node((*found)->value);
    if (record) instance = record->instance;
    if (instance.empty()) return net::failed_precondition(fmt::format("node {} is there (etcd key {})", name, key));
  }
  if (auto read = find_blocks(client, keys, name, instance, doomed); !read) return read.error();
  if (*found && doomed.keys.empty()) {
    return net::failed_precondition(
        fmt::format("node {} is there: stop it first, and wait until `millrace node list` says that it is gone", name));
  }
  if (!*found) {
    auto attachments = client.range(keys.attachments_of(name), 0, 0);
    if (!attachments) return attachments.error();
    doomed.removed.attachments = attachments->items.size();
    // Before the blocks: an address is given away again only when nobody is said to have it.
    doomed.keys.insert(doomed.keys.begin(), attachments->items.begin(), attachments->items.end());
  }
  if (doomed.keys.empty()) return net::not_found(fmt::format("node {} is not there, and has nothing", name));
  const etcd::Compare node{key, Target::kModRevision, *found ? (*found)->mod_revision : 0};
  if (auto erased = erase_all(client, node, doomed.keys); !erased) {
    return net::Error{erased.error().code, fmt::format("node {}: {}", name, erased.error().message)};
  }
  return doomed.removed;
}

}  // namespace millrace::control::agent::cluster
