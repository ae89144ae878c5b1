/// Follows the store of objects and keeps the switch's services and the health checks in step with it.
///
/// Shape:   a change is compiled and sent on the thread that made it, so that whoever asked for it is answered when all
///          workers forward by it. With the switch away the change is part of what its return brings.
/// Errors:  none for the caller: what cannot be is in the log, and the rest is in force.
/// Thread:  start() before the agent serves; then that of the store's listeners, one change after the other.
#pragma once

#include "control/agent/object_store.h"
#include "control/agent/services/compiler.h"
#include "control/agent/services/health_server.h"
#include "control/agent/switch_client.h"

namespace millrace::control::agent::services {

class Keeper {
 public:
  Keeper(ObjectStore& objects, SwitchClient& the_switch, Node node);

  /// Reads what there is, and follows what changes. Before the switch client starts, so that the first resync has it
  /// all.
  void start();

 private:
  void follow(const ObjectChanges& changes);
  void send();

  ObjectStore& objects_;
  SwitchClient& switch_;
  Compiler compiler_;
  HealthServer health_;
};

}  // namespace millrace::control::agent::services
