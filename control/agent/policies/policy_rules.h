/// PolicyRules: one NetworkPolicy as rules of the switch.
///
/// Theory:  a port by its name means a number that the destination pod says (name and protocol).
///          Ingress: the destination is the isolated pod, so the policy has a variant for each way in which its names
///          are resolved by the pods that it isolates.
///          Egress: the destinations are the peers, so the rule becomes one for each number that its peers have, each
///          with the cut of its groups that has this number (groups.h).
///          A name that nobody serves opens nothing: it must not become "no ports", which is all of them.
/// Shape:   holds its groups from the making to the end. Rules have their place in the object as index, and stand in
///          that order; a rule of the object may be several here, or none.
/// Thread:  one.
/// Source:  k8s.io/api/networking/v1 (NetworkPolicySpec).
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "control/agent/policies/groups.h"
#include "control/agent/policies/identities.h"
#include "control/agent/policies/served_ports.h"
#include "control/api/switch.pb.h"
#include "control/kube/network_policy.h"

namespace millrace::control::agent::policies {

/// Names of ports in rules of ingress that are in force: what the isolated pod is asked for.
std::set<PortName> ingress_names(const kube::NetworkPolicy& policy);

class PolicyRules {
 public:
  PolicyRules(std::shared_ptr<const kube::NetworkPolicy> policy, Groups& groups, ServedPorts& served,
              const Identities& identities);
  ~PolicyRules();
  PolicyRules(const PolicyRules&) = delete;
  PolicyRules& operator=(const PolicyRules&) = delete;

  /// `resolved`: what ingress_names() mean; a name that is not in it opens nothing.
  void write_ingress(const NamedPorts& resolved, api::Policy& out) const;
  void write_egress(api::Policy& out) const;

 private:
  struct HeldCut {
    Groups::Group* group;
    PortName port;
  };
  /// Of one rule of the object. Peers that are blocks are in the object.
  struct Held {
    std::vector<Groups::Group*> groups;
    std::vector<HeldCut> cuts;
    std::set<PortName> block_names;  // subscribed
  };

  Held hold_ingress(const kube::PolicyRule& rule);
  Held hold_egress(const kube::PolicyRule& rule);
  void release(const Held& held);
  void write_named(const kube::PolicyRule& rule, const Held& held, const PortName& port, std::uint32_t index,
                   api::Policy& out) const;

  const std::shared_ptr<const kube::NetworkPolicy> policy_;
  const kube::ObjectKey key_;
  Groups& groups_;
  ServedPorts& served_;
  const Identities& identities_;
  std::vector<Held> ingress_, egress_;  // by rule of the object
};

}  // namespace millrace::control::agent::policies
