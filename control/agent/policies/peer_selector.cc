#include "control/agent/policies/peer_selector.h"

#include <algorithm>

namespace millrace::control::agent::policies {
namespace {

/// Terms and values in one order and none twice: selectors of one text are equal.
kube::LabelSelector in_order(kube::LabelSelector selector) {
  const auto sort = [](auto& values) {
    std::ranges::sort(values);
    values.erase(std::unique(values.begin(), values.end()), values.end());
  };
  for (kube::SelectorRequirement& requirement : selector.match_expressions) sort(requirement.values);
  sort(selector.match_expressions);
  return selector;
}

}  // namespace

bool PeerSelector::matches(const LabelSet& labels) const {
  if (!name_space.empty() && name_space != labels.name_space) return false;
  return namespaces.matches(labels.namespace_labels) && pods.matches(labels.pod_labels);
}

PeerSelector selector_of(const kube::PolicyPeer& peer, const std::string& name_space) {
  PeerSelector selector;
  if (peer.pod_selector) selector.pods = in_order(*peer.pod_selector);
  if (peer.namespace_selector) {
    selector.namespaces = in_order(*peer.namespace_selector);
  } else {
    selector.name_space = name_space;
  }
  return selector;
}

std::string to_string(const PeerSelector& selector) {
  const std::string pods = selector.pods.empty() ? "all pods" : "pods " + kube::to_string(selector.pods);
  if (!selector.name_space.empty()) return pods + " in namespace " + selector.name_space;
  if (selector.namespaces.empty()) return pods + " in all namespaces";
  return pods + " in namespaces " + kube::to_string(selector.namespaces);
}

}  // namespace millrace::control::agent::policies
