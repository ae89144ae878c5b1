/// The Kubernetes objects of the node, as those who compile them into the switch's tables read them.
///
/// Shape:   objects are immutable; a change puts a new one in the place of the old. What list() returns is one moment:
///          it stays as it was whatever changes meanwhile. Pods have the addresses of their attachments.
/// Thread:  any. Listeners are called one change after the other, on the thread that made it, after it was committed
///          and can be seen by list(), and before the caller who wanted it is answered. A listener may read, not write.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/kube/object.h"

namespace millrace::control::agent {

using ObjectRef = std::shared_ptr<const kube::Object>;

struct ObjectChange {
  kube::ObjectKey key;
  ObjectRef before;  // nullptr: created
  ObjectRef after;   // nullptr: deleted
};
/// All that one request changed.
using ObjectChanges = std::vector<ObjectChange>;
using ObjectListener = std::function<void(const ObjectChanges&)>;

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// All objects of a kind, sorted by namespace and name.
  virtual std::vector<ObjectRef> list(kube::Kind kind) const = 0;
  /// nullptr when there is none.
  virtual ObjectRef find(const kube::ObjectKey& key) const = 0;
  /// Before the agent serves.
  virtual void on_change(ObjectListener listener) = 0;

  template <typename T>
  std::vector<std::shared_ptr<const T>> list() const {
    std::vector<std::shared_ptr<const T>> typed;
    for (ObjectRef& object : list(kube::kKindOf<T>)) typed.emplace_back(object, &std::get<T>(*object));
    return typed;
  }
};

}  // namespace millrace::control::agent
