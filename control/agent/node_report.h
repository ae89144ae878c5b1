/// What the agent tells of nodes and blocks of addresses: `millrace status`, `node list`, `ipam show`.
///
/// Shape:   of a cluster, what its keys said last, with etcd away too. A node without a key that has blocks or pods is
///          gone, for a while or for good. Of one node alone the same, of that node.
/// Errors:  the store's.
/// Thread:  any.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "control/agent/cluster/membership.h"
#include "control/agent/node_blocks.h"
#include "control/agent/store.h"
#include "control/api/agent.pb.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::agent {

class NodeReport {
 public:
  /// `config`: with the MTU that is in force. `membership`: nullptr with the embedded store. All outlive it.
  NodeReport(config::Config config, Store& store, const NodeBlocks& blocks, cluster::Membership* membership);

  /// What a cluster adds to the status, and the pools.
  net::Result<void> fill(api::AgentStatus& status) const;
  net::Result<api::ListNodesReply> nodes() const;
  net::Result<api::ListBlocksReply> blocks() const;
  net::Result<api::DeleteNodeReply> delete_node(const std::string& name) const;

 private:
  using Blocks = std::map<net::Prefix, api::Block>;

  net::Result<api::Node> self() const;
  net::Result<void> add_own_blocks(std::uint8_t family, Blocks& blocks) const;
  void add_cluster_blocks(const config::AddressPool& pool, Blocks& blocks) const;

  const config::Config config_;
  const std::uint64_t started_unix_ms_;
  Store& store_;
  const NodeBlocks& blocks_;
  cluster::Membership* membership_;
};

}  // namespace millrace::control::agent
