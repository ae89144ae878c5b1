/// The node's own way to pods of all nodes: by the host port, so that the switch takes them there.
///
/// Shape:   a route for each block of this node, and of each node that the switch has a way to. The pools as a whole
///          are closed with the lowest preference: what is for an address that nobody has, or whose node is gone, is
///          answered "unreachable" and does not wander out by the node's default route with a pod's address.
/// Errors:  none for the caller: what the kernel refuses is in the log.
/// Thread:  any. A block that goes from one node to another is never without its route in between.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "control/agent/host_port.h"
#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

class ClusterRoutes {
 public:
  using Blocks = std::set<net::Prefix>;

  /// `host`: as it was made, with all of `own` and `others` routed. Closes the pools, and opens what was closed by a
  /// configuration before.
  ClusterRoutes(HostPort host, const std::vector<net::Prefix>& pools, Blocks own, Blocks others);

  /// A block of this node came, or went.
  void set_own(const net::Prefix& block, bool is_there);
  /// Blocks of the other nodes, all of them.
  void set_others(Blocks blocks);

 private:
  void settle();

  const HostPort host_;
  std::mutex mutex_;
  Blocks own_, others_;
  Blocks routed_;
};

/// Opens the pools of the instance with this host port. Its routes go with the interface.
net::Result<void> remove_cluster_routes(const std::string& host_port);

}  // namespace millrace::control::agent
