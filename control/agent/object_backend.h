/// Where changes of objects are written down, and how they come into the memory from there: SQLite of this node, or
/// etcd of a cluster (cluster/).
///
/// Errors:  those of the plan, and those of what writes it down; then nothing is changed, unless the sentence says what
///          is. An error of the gate after the commit is told, too, and the change stays.
/// Thread:  any; changes wait for one another.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "control/agent/object_memory.h"
#include "control/agent/store.h"

namespace millrace::control::agent {

class ObjectBackend {
 public:
  /// Makes an edit of what the memory has now. Called with its hold, and again when somebody else changed meanwhile
  /// what the edit was made of. `done`: the objects of this request that are in force already.
  using Plan = std::function<net::Result<ObjectEdit>(const std::set<kube::ObjectKey>& done)>;

  virtual ~ObjectBackend() = default;
  /// Returns when what `plan` makes is written down, in the memory, and told to everybody.
  virtual net::Result<void> change(const Plan& plan) = 0;
};

/// The node's own database.
class EmbeddedBackend final : public ObjectBackend {
 public:
  /// `memory` is given what is stored.
  static net::Result<std::unique_ptr<EmbeddedBackend>> open(Store& store, ObjectMemory& memory);
  net::Result<void> change(const Plan& plan) override;

 private:
  EmbeddedBackend(Store& store, ObjectMemory& memory) : store_(store), memory_(memory) {}

  Store& store_;
  ObjectMemory& memory_;
};

}  // namespace millrace::control::agent
