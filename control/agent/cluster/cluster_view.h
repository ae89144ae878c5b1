/// What the keys of the cluster mean for the objects in memory: each batch becomes one edit.
///
/// Shape:   objects are taken as they stand; attachments of other nodes give Pods their addresses; nodes that are there
///          are Nodes, with the blocks they hold as podCIDRs. What cannot be read, because a person or a later version
///          wrote it, is left out, with one warning: of an object the one before stays in force, or there is none.
///          An address that two nodes give to pods is told once (policies/endpoints.h says who it is then).
/// Cost:    a batch costs what it names.
/// Thread:  on_batch() one after the other; the rest with the memory's hold, but counts() and error_of(): any.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/agent/cluster/keys.h"
#include "control/agent/object_memory.h"
#include "control/etcd/mirror.h"

namespace millrace::control::agent::cluster {

class ClusterView {
 public:
  ClusterView(ObjectMemory& memory, Keys keys);

  void on_batch(const etcd::Batch& batch);

  /// Who has an address or a port, and since when.
  struct Claim {
    std::string owner;  // NAMESPACE/NAME of a Service
    std::int64_t revision = 0;
  };
  const Claim* find_claim(const Key& key) const;
  /// mod_revision of the object's key; 0: there is none.
  std::int64_t revision_of(const kube::ObjectKey& key) const;
  /// It is there and cannot be read.
  bool is_unread(const kube::ObjectKey& key) const { return unread_.contains(key); }
  /// What others have been told of this node's attachments, by host interface.
  const std::map<std::string, std::string>& own_attachments() const { return own_attachments_; }

  struct Counts {
    std::size_t unread = 0;  // objects and attachments left out
    std::size_t addresses_of_two = 0;
  };
  Counts counts() const { return {unread_count_, shared_count_}; }
  /// What the gate said of the batch of that revision; kept of the last kErrorLimit that it refused.
  std::optional<net::Error> error_of(std::int64_t revision) const;

 private:
  static constexpr std::size_t kErrorLimit = 64;

  void note(const etcd::Change& change, const kube::ObjectKey& key, ObjectEdit& edit);
  void note(const etcd::Change& change, const AttachmentPlace& place, ObjectEdit& edit);
  void note(const etcd::Change& change, const NodeKey& node, ObjectEdit& edit);
  void note(const etcd::Change& change, const BlockKey& block, ObjectEdit& edit);
  void note_claim(const etcd::Change& change, const Key& key);
  void move_addresses(const AttachmentPlace& place, const std::vector<net::IpAddress>& addresses);
  std::optional<kube::Node> node_of(const std::string& name) const;
  void warn_unread(const etcd::KeyValue& item, const net::Error& error);

  ObjectMemory& memory_;
  const Keys keys_;
  const std::string self_;
  std::map<kube::ObjectKey, std::int64_t> revisions_;
  std::set<kube::ObjectKey> unread_;
  std::map<Key, Claim> claims_;
  std::map<std::string, std::string> own_attachments_;  // by host interface
  std::set<AttachmentPlace> unread_attachments_;
  std::map<AttachmentPlace, std::vector<net::IpAddress>> addresses_;
  std::map<net::IpAddress, std::set<AttachmentPlace>> places_;
  std::map<std::string, std::vector<kube::NodeAddress>> nodes_;  // that are there
  std::map<net::Prefix, std::string> blocks_;                    // who has it
  std::map<std::string, std::set<net::Prefix>> blocks_of_;       // by node
  std::atomic<std::size_t> unread_count_ = 0, shared_count_ = 0;

  mutable std::mutex errors_mutex_;
  std::deque<std::pair<std::int64_t, net::Error>> errors_;
};

}  // namespace millrace::control::agent::cluster
