/// Keeps the switch's policy in step with the store of objects and with what is attached here.
///
/// Shape:   before objects are put, what they would change is compiled and the switch is asked whether it takes it;
///          after a change it is compiled again and sent, on the thread that made it, so that whoever asked for it is
///          answered when all workers judge by it. With the switch away nobody is asked, and its return brings the
///          change.
/// Errors:  a refusal is told to who wanted the change: before the commit as what ran out, after it (somebody else took
///          what was left) with the ports that the client has closed for it (switch_client.h).
/// Thread:  start() before the agent serves; then that of the store's changes, one after the other.
#pragma once

#include "control/agent/object_store.h"
#include "control/agent/policies/compiler.h"
#include "control/agent/switch_client.h"

namespace millrace::control::agent::policies {

class Keeper final : public ObjectGate {
 public:
  Keeper(ObjectStore& objects, SwitchClient& the_switch) : objects_(objects), switch_(the_switch) {}
  ~Keeper() override { objects_.set_gate(nullptr); }

  /// Reads what there is, and follows what changes. Before the switch client starts, so that the first resync opens no
  /// port without its policies.
  void start();

  net::Result<void> check(const ObjectChanges& changes) override;
  net::Result<void> follow(const ObjectChanges& changes, const std::vector<LocalPort>& ports) override;

 private:
  net::Result<void> send();

  ObjectStore& objects_;
  SwitchClient& switch_;
  Compiler compiler_;
};

}  // namespace millrace::control::agent::policies
