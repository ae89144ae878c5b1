/// The Kubernetes objects of the node, as those who compile them into the switch's tables read them.
///
/// Shape:   objects are immutable; a change puts a new one in the place of the old. What list() returns is one moment:
///          it stays as it was whatever changes meanwhile. Pods have the addresses of their attachments.
///          A gate, if there is one, is asked before a change and told of it after, before the listeners are.
/// Thread:  any. Listeners are called one change after the other, on the thread that made it, after it was committed
///          and can be seen by list(), and before the caller who wanted it is answered. A listener may read, not write.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/kube/object.h"
#include "net/address.h"
#include "net/result.h"

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

/// A pod's interface on this node: a port of the switch.
struct LocalPort {
  std::string name;     // of the switch's port
  std::int64_t id = 0;  // of the attachment: another one is another port, though the name may be the same
  kube::ObjectKey pod;
  std::vector<net::IpAddress> addresses;
  friend bool operator==(const LocalPort&, const LocalPort&) = default;
};

/// Who has a say in changes, and makes them true before anybody else hears of them.
class ObjectGate {
 public:
  virtual ~ObjectGate() = default;
  /// Before objects are put: an error refuses `changes`, for what ran out. Must leave everything as it is.
  virtual net::Result<void> check(const ObjectChanges& changes) = 0;
  /// After the commit, or after attachments came or went. `ports`: all there are. An error is told to who wanted the
  /// change, which stays.
  virtual net::Result<void> follow(const ObjectChanges& changes, const std::vector<LocalPort>& ports) = 0;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// All objects of a kind, sorted by namespace and name.
  virtual std::vector<ObjectRef> list(kube::Kind kind) const = 0;
  /// nullptr when there is none.
  virtual ObjectRef find(const kube::ObjectKey& key) const = 0;
  /// Before the agent serves.
  virtual void on_change(ObjectListener listener) = 0;
  /// Interfaces of the pods that run here.
  virtual std::vector<LocalPort> local_ports() const = 0;
  /// Before the agent serves; nullptr: none.
  virtual void set_gate(ObjectGate* gate) = 0;

  template <typename T>
  std::vector<std::shared_ptr<const T>> list() const {
    std::vector<std::shared_ptr<const T>> typed;
    for (ObjectRef& object : list(kube::kKindOf<T>)) typed.emplace_back(object, &std::get<T>(*object));
    return typed;
  }
};

}  // namespace millrace::control::agent
