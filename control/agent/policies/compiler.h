/// Keeps the switch's policy in step with the cluster's objects, and compiles only what a change touches.
///
/// Shape:   note() takes changes of Pods, Namespaces and NetworkPolicies in any order; set_local_ports() says which
///          pods are attached here. take_changes() returns what differs from what it returned before, as the policy
///          lists of an ApplyRequest: endpoints are all pods there are, policies those that isolate a pod of this node,
///          groups those that these policies name.
/// Names:   a policy is "NAMESPACE/NAME", and "NAMESPACE/NAME http=8080" when rules of ingress have ports by their
///          name: one for each way in which the isolated pods resolve them. Its object is "NAMESPACE/NAME".
/// Cost:    a pod: one question a selector if its labels are new, and one question a policy of its namespace if it is
///          attached here. A policy: one question a pod of its namespace that is attached here, and one an identity for
///          each selector that nobody had before. A namespace: as its pods.
/// Thread:  one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/agent/object_store.h"
#include "control/agent/policies/endpoints.h"
#include "control/agent/policies/groups.h"
#include "control/agent/policies/identities.h"
#include "control/agent/policies/policy_rules.h"
#include "control/agent/policies/served_ports.h"
#include "control/api/switch.pb.h"

namespace millrace::control::agent::policies {

class Compiler {
 public:
  Compiler() = default;
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  void note(const ObjectChange& change);
  /// All there are. A port whose id is another is a new port of the switch, and gets its policies again.
  void set_local_ports(const std::vector<LocalPort>& ports);

  api::ApplyRequest take_changes();
  /// What take_changes() would return if `changes` were noted. They are not.
  /// Precondition: nothing was noted since take_changes().
  api::ApplyRequest preview(const ObjectChanges& changes);

  std::size_t identity_count() const { return identities_.size(); }

 private:
  /// A policy that isolates a pod, and what its ports by names mean there.
  using Bound = std::pair<kube::ObjectKey, NamedPorts>;
  struct PodEntry {
    std::shared_ptr<const kube::Pod> pod;  // nullptr: only its attachments are known
    std::vector<LocalPort> ports;
    Identity identity = kNoIdentity;
    std::vector<net::IpAddress> claimed;
    std::vector<Bound> bound;  // by the policies' names
    bool is_empty() const { return !pod && ports.empty(); }
  };
  struct Variant {
    std::string name;
    std::size_t users = 0;  // pods
    std::string sent;       // bytes; empty: the switch does not have it
  };
  struct PolicyEntry {
    std::shared_ptr<const kube::NetworkPolicy> policy;  // nullptr: gone
    std::set<PortName> names;                           // of its ingress
    std::map<NamedPorts, Variant> variants;
    std::unique_ptr<PolicyRules> rules;  // while a variant has users
    std::uint64_t long_names = 0;
  };
  struct SentPort {
    std::int64_t id = 0;
    std::string bytes;
    friend bool operator==(const SentPort&, const SentPort&) = default;
  };

  api::ApplyRequest compile();
  void settle();

  void identify(const kube::ObjectKey& key, PodEntry& entry);
  LabelSet labels_of(const kube::ObjectKey& key, const PodEntry& entry) const;
  /// All policies of the pod's namespace are asked about it.
  void bind_pod(const kube::ObjectKey& key, PodEntry& entry);
  /// The pods of its namespace that are attached here are asked about the policy.
  void bind_policy(const kube::ObjectKey& key, PolicyEntry& entry);
  void use(const Bound& bound);
  void use_no_more(const Bound& bound);
  void compile_policy(const kube::ObjectKey& key, PolicyEntry& entry, api::ApplyRequest& request);
  void write_ports(api::ApplyRequest& request);
  Variant& variant_of(const kube::ObjectKey& key, PolicyEntry& entry, const NamedPorts& resolved);

  Identities identities_;
  Groups groups_;
  Endpoints endpoints_;
  ServedPorts served_;
  std::map<std::string, kube::Labels> namespaces_;
  std::map<kube::ObjectKey, PodEntry> pods_;
  std::set<kube::ObjectKey> local_;  // pods with ports
  std::map<kube::ObjectKey, PolicyEntry> policies_;
  std::map<std::string, SentPort> sent_ports_;  // by the switch's name

  std::set<kube::ObjectKey> touched_pods_;
  std::set<kube::ObjectKey> to_bind_;           // pods
  std::set<kube::ObjectKey> to_write_;          // pods whose ports' policies are to be compared
  std::set<kube::ObjectKey> touched_policies_;  // changed themselves: whom they isolate is to be asked again
  std::set<kube::ObjectKey> to_compile_;        // policies
  std::set<std::string> lost_ports_;            // that may be gone
  std::set<kube::ObjectKey> to_settle_;         // policies
};

}  // namespace millrace::control::agent::policies
