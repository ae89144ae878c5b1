/// This node as the others see it: its leased key, its name that is nobody else's, and what all nodes agree on.
///
/// Shape:   the key goes when the lease goes; a new lease puts it again. A key that another instance has put, another
///          machine of this name, is never touched: its lease must end first.
/// Errors:  kFailedPrecondition: another machine has this name, or the configuration differs from the cluster's, with
///          key and both values. Else etcd's.
/// Thread:  any.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "control/agent/cluster/keys.h"
#include "control/agent/cluster/records.h"
#include "control/etcd/client.h"
#include "net/result.h"

namespace millrace::control::agent::cluster {

class OwnNode {
 public:
  OwnNode(etcd::Client& client, Keys keys, NodeRecord record);

  /// Is the name free, or this instance's?
  net::Result<void> check_name();
  /// Puts the key with this lease.
  net::Result<void> publish(std::int64_t lease);
  /// For the next publish().
  void set_addresses(std::vector<net::IpAddress> addresses);
  NodeRecord record() const;

 private:
  net::Result<void> check_owner(const etcd::KeyValue& found) const;

  etcd::Client& client_;
  const Keys keys_;
  const std::string key_;
  mutable std::mutex mutex_;
  NodeRecord record_;
};

/// Puts what all nodes must have in common when nobody did so yet, else compares.
net::Result<void> agree_on_config(etcd::Client& client, const Keys& keys, const ConfigRecord& here);

/// The key of that.
std::string config_key(const Keys& keys);

/// Removes all that a node has in the cluster which is gone for good: its attachments and blocks; addresses of its pods
/// are then given away again. Of a node that is there, blocks of earlier instances of it alone.
/// Error: kFailedPrecondition: it is there; kNotFound: there is nothing of it.
struct Removed {
  std::size_t attachments = 0;
  std::vector<net::Prefix> blocks;
};
net::Result<Removed> delete_node(etcd::Client& client, const Keys& keys, const std::string& name);

}  // namespace millrace::control::agent::cluster
