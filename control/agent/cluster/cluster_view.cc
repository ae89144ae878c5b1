#include "control/agent/cluster/cluster_view.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/agent/cluster/values.h"

namespace millrace::control::agent::cluster {

ClusterView::ClusterView(ObjectMemory& memory, Keys keys)
    : memory_(memory), keys_(std::move(keys)), self_(memory.self()) {}

void ClusterView::on_batch(const etcd::Batch& batch) {
  const ObjectMemory::Hold hold = memory_.hold();
  ObjectEdit edit;
  for (const etcd::Change& change : batch.changes) {
    const std::optional<Key> key = keys_.parse(change.key);
    if (!key) continue;  // a person's, or a later version's
    std::visit(
        [&](const auto& typed) {
          if constexpr (requires { note(change, typed, edit); }) {
            note(change, typed, edit);
          } else {
            note_claim(change, *key);
          }
        },
        *key);
  }
  unread_count_ = unread_.size() + unread_attachments_.size();
  auto taken = memory_.take(std::move(edit));
  if (taken) return;
  spdlog::warn("{}", taken.error().message);
  const std::lock_guard guard(errors_mutex_);
  errors_.emplace_back(batch.revision, taken.error());
  if (errors_.size() > kErrorLimit) errors_.pop_front();
}

void ClusterView::warn_unread(const etcd::KeyValue& item, const net::Error& error) {
  spdlog::warn("etcd: {} is left out: {}", item.key, error.message);
}

void ClusterView::note(const etcd::Change& change, const kube::ObjectKey& key, ObjectEdit& edit) {
  if (!change.after) {
    revisions_.erase(key);
    unread_.erase(key);
    edit.gone.push_back(key);
    return;
  }
  revisions_[key] = change.after->mod_revision;
  auto record = parse_object_value(key, change.after->value);
  if (record) {
    unread_.erase(key);
    edit.put[key] = *std::move(record);
  } else if (unread_.insert(key).second) {
    warn_unread(*change.after, record.error());
  }
}

void ClusterView::note(const etcd::Change& change, const AttachmentPlace& place, ObjectEdit& edit) {
  std::optional<PodAttachment> attachment;
  bool is_unread = false;
  if (change.after) {
    if (auto read = parse_attachment_value(change.after->value)) {
      attachment = *std::move(read);
    } else {
      is_unread = true;
      if (!unread_attachments_.contains(place)) warn_unread(*change.after, read.error());
    }
  }
  if (is_unread) {
    unread_attachments_.insert(place);
  } else {
    unread_attachments_.erase(place);
  }
  if (place.node == self_) {
    // The truth about these is the node's own; here they are only what others have been told.
    if (change.after) {
      own_attachments_[place.host_interface] = change.after->value;
    } else {
      own_attachments_.erase(place.host_interface);
    }
  } else if (!is_unread) {
    edit.attachments[place] = attachment;
  }
  if (!is_unread) move_addresses(place, attachment ? attachment->addresses : std::vector<net::IpAddress>());
}

void ClusterView::move_addresses(const AttachmentPlace& place, const std::vector<net::IpAddress>& addresses) {
  const auto former = addresses_.find(place);
  if (former != addresses_.end()) {
    for (const net::IpAddress& address : former->second) {
      const auto places = places_.find(address);
      if (places->second.size() == 2) --shared_count_;
      places->second.erase(place);
      if (places->second.empty()) places_.erase(places);
    }
    addresses_.erase(former);
  }
  for (const net::IpAddress& address : addresses) {
    std::set<AttachmentPlace>& places = places_[address];
    if (!places.insert(place).second) continue;  // twice in one attachment
    addresses_[place].push_back(address);
    if (places.size() != 2) continue;
    ++shared_count_;
    const AttachmentPlace& other = *places.begin() == place ? *places.rbegin() : *places.begin();
    spdlog::warn("address {} is a pod's on node {} and on node {}: policies know it as nobody's", address.to_string(),
                 place.node, other.node);
  }
}

std::optional<kube::Node> ClusterView::node_of(const std::string& name) const {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return std::nullopt;
  kube::Node node;
  node.meta.name = name;
  node.addresses = found->second;
  const auto blocks = blocks_of_.find(name);
  if (blocks != blocks_of_.end()) node.pod_cidrs.assign(blocks->second.begin(), blocks->second.end());
  return node;
}

void ClusterView::note(const etcd::Change& change, const NodeKey& node, ObjectEdit& edit) {
  if (change.after) {
    nodes_[node.name] = parse_node_addresses(change.after->value);
  } else {
    nodes_.erase(node.name);
  }
  edit.nodes[node.name] = node_of(node.name);
}

void ClusterView::note(const etcd::Change& change, const BlockKey& block, ObjectEdit& edit) {
  const std::string holder = change.after ? parse_block_node(change.after->value) : "";
  const auto former = blocks_.find(block.prefix);
  const std::string before = former == blocks_.end() ? "" : former->second;
  if (before == holder) return;
  if (!before.empty()) {
    blocks_of_[before].erase(block.prefix);
    if (blocks_of_[before].empty()) blocks_of_.erase(before);
    blocks_.erase(block.prefix);
  }
  if (!holder.empty()) {
    blocks_of_[holder].insert(block.prefix);
    blocks_[block.prefix] = holder;
  }
  for (const std::string& name : {before, holder}) {
    if (nodes_.contains(name)) edit.nodes[name] = node_of(name);
  }
}

void ClusterView::note_claim(const etcd::Change& change, const Key& key) {
  // Whoever looks at the claim next decides anew whether it keeps others out.
  if (const auto* ip = std::get_if<ClusterIpKey>(&key)) memory_.claims().unreserve(ip->address);
  if (const auto* port = std::get_if<NodePortKey>(&key)) memory_.claims().unreserve(port->port);
  if (change.after) {
    claims_[key] = {change.after->value, change.after->mod_revision};
  } else {
    claims_.erase(key);
  }
}

const ClusterView::Claim* ClusterView::find_claim(const Key& key) const {
  const auto found = claims_.find(key);
  return found == claims_.end() ? nullptr : &found->second;
}

std::int64_t ClusterView::revision_of(const kube::ObjectKey& key) const {
  const auto found = revisions_.find(key);
  return found == revisions_.end() ? 0 : found->second;
}

std::optional<net::Error> ClusterView::error_of(std::int64_t revision) const {
  const std::lock_guard guard(errors_mutex_);
  for (const auto& [at, error] : errors_) {
    if (at == revision) return error;
  }
  return std::nullopt;
}

}  // namespace millrace::control::agent::cluster
