/// Follows the store of objects and keeps the switch's services, the health checks and the node's own ways to
/// services, routes and node ports, in step with it.
///
/// Shape:   a change is compiled and sent on the thread that made it, so that whoever asked for it is answered when all
///          workers forward by it. With the switch away the change is part of what its return brings.
/// Errors:  none for the caller: what cannot be is in the log, and the rest is in force.
/// Thread:  start() before the agent serves; then any, one change after the other.
#pragma once

#include <mutex>
#include <vector>

#include "control/agent/object_store.h"
#include "control/agent/service_routes.h"
#include "control/agent/services/compiler.h"
#include "control/agent/services/health_server.h"
#include "control/agent/services/node_port_table.h"
#include "control/agent/switch_client.h"

namespace millrace::control::agent::services {

class Keeper {
 public:
  Keeper(ObjectStore& objects, SwitchClient& the_switch, ServiceRoutes routes, NodePortTable node_ports, Node node);

  /// Reads what there is, and follows what changes. Before the switch client starts, so that the first resync has it
  /// all.
  void start();
  /// Node ports are on these from now on.
  void set_node_addresses(const std::vector<net::IpAddress>& addresses);

 private:
  void note(const ObjectChange& change);
  void follow(const ObjectChanges& changes);
  void send();

  std::mutex mutex_;  // one change after the other
  ObjectStore& objects_;
  SwitchClient& switch_;
  ServiceRoutes routes_;
  NodePortTable node_ports_;
  Compiler compiler_;
  HealthServer health_;
};

}  // namespace millrace::control::agent::services
