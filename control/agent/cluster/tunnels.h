/// Ways to the other nodes, as the switch is to have them: from the keys of nodes and blocks.
///
/// Shape:   a node that is there, with an address of a family that this one has, too, is a tunnel: to its first address
///          of that family, IPv4 before IPv6. Its prefixes are the blocks that it holds and its own addresses, so that
///          what was masqueraded or sent by the node itself comes back by the same way. A prefix that two nodes say is
///          theirs leads to the one whose key is older; one of this node's own leads nowhere else.
/// Limits:  kTunnelLimit tunnels, kTunnelPrefixLimit prefixes of one (tunnels.proto); the rest is left out and told. So
///          is what is no block of the pools, and a key that is not understood has no way: the switch refuses none of
///          it.
/// Thread:  pure functions.
#pragma once

#include <string>
#include <vector>

#include "control/agent/cluster/keys.h"
#include "control/agent/cluster/records.h"
#include "control/api/tunnels.pb.h"
#include "control/config/config.h"
#include "control/etcd/client.h"

namespace millrace::control::agent::cluster {

inline constexpr std::size_t kTunnelLimit = 1024;
inline constexpr std::size_t kTunnelPrefixLimit = 1024;

/// A node's key and what it says.
struct SeenNode {
  NodeRecord record;
  std::int64_t create_revision = 0;
};

struct Ways {
  std::vector<api::Tunnel> tunnels;   // by name
  std::vector<std::string> warnings;  // what is left out, and why
};

api::Underlay underlay(const config::Config& config, const NodeRecord& self, const std::vector<net::Prefix>& blocks);

/// `nodes`, `blocks`: those keys of the cluster. `self`: this node; `own_blocks`: what it hands out.
Ways ways_to_others(const config::Config& config, const Keys& keys, const NodeRecord& self,
                    const std::vector<net::Prefix>& own_blocks, const std::vector<etcd::KeyValue>& nodes,
                    const std::vector<etcd::KeyValue>& blocks);

}  // namespace millrace::control::agent::cluster
