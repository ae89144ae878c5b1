/// PeerSelector: which pods a peer of a rule means, wherever they are.
///
/// Shape:   namespaces, one by its name or some by their labels; of these, the pods that have the labels.
///          Terms are in one order, so what means the same and is written in another order is equal.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/networking/v1 (NetworkPolicyPeer): podSelector alone means the policy's own namespace, absent
///          differs from empty.
#pragma once

#include <compare>
#include <string>

#include "control/agent/policies/identities.h"
#include "control/kube/label_selector.h"
#include "control/kube/network_policy.h"

namespace millrace::control::agent::policies {

struct PeerSelector {
  std::string name_space;          // "": those that `namespaces` selects
  kube::LabelSelector namespaces;  // the empty one: all
  kube::LabelSelector pods;        // the empty one: all

  bool matches(const LabelSet& labels) const;
  friend auto operator<=>(const PeerSelector&, const PeerSelector&) = default;
};

/// Precondition: `peer` is no block. `name_space`: the policy's.
PeerSelector selector_of(const kube::PolicyPeer& peer, const std::string& name_space);
/// For people, and the same text for the same selector: "pods app=web in namespaces team=a".
std::string to_string(const PeerSelector& selector);

}  // namespace millrace::control::agent::policies
