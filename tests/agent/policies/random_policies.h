/// Pods, namespaces and policies made of chance, of few names, labels and addresses, so that they meet often.
///
/// Shape:   a seed gives the same everywhere: std::mt19937 is specified, distributions are not used.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/agent/chance.h"
#include "tests/agent/policies/policy_world.h"

namespace millrace::control::agent::policies {

inline const std::vector<std::string> kNamespaces = {"a", "b", "c"};
inline const std::vector<std::uint16_t> kPorts = {80, 81, 8080, 53};
inline constexpr std::uint32_t kAddresses = 10;

inline kube::Protocol random_protocol(Chance& chance) {
  return static_cast<kube::Protocol>(chance.one_in(2) ? 0 : chance.below(3));
}

inline kube::Labels random_labels(Chance& chance) {
  kube::Labels labels;
  if (!chance.one_in(3)) labels["app"] = chance.of<std::string>({"web", "db"});
  if (chance.one_in(2)) labels["tier"] = chance.of<std::string>({"1", "2"});
  return labels;
}

inline kube::Namespace random_namespace(Chance& chance) {
  kube::Namespace made;
  made.meta.name = chance.of(kNamespaces);
  made.meta.labels = random_labels(chance);
  made.meta.labels["kubernetes.io/metadata.name"] = made.meta.name;
  return made;
}

/// Its addresses hang on its number, and those that are over keep theirs: numbers share some.
inline kube::Pod random_pod(Chance& chance) {
  kube::Pod pod;
  const std::uint32_t number = chance.below(kAddresses);
  pod.meta.name_space = kNamespaces[number % 3];
  pod.meta.name = fmt::format("p{}", number);
  pod.meta.labels = random_labels(chance);
  pod.node_name = number % 4 == 3 ? "there" : "here";
  pod.phase = kube::PodPhase::kRunning;
  if (chance.one_in(8)) pod.host_network = true;
  if (chance.one_in(8)) {
    pod.phase = chance.one_in(2) ? kube::PodPhase::kSucceeded : kube::PodPhase::kFailed;
    if (!pod.host_network) pod.addresses.push_back(ip(fmt::format("10.0.0.{}", chance.below(kAddresses))));
    return pod;
  }
  if (!chance.one_in(8)) pod.addresses.push_back(ip(fmt::format("10.0.0.{}", number)));
  if (chance.one_in(3)) pod.addresses.push_back(ip(fmt::format("fd00::{:x}", number)));
  for (std::uint32_t i = chance.below(4); i > 0; --i) {
    const std::string name = chance.one_in(5) ? "" : chance.of<std::string>({"http", "dns"});
    pod.ports.push_back({name, chance.of(kPorts), random_protocol(chance), 0});
  }
  return pod;
}

inline kube::LabelSelector random_selector(Chance& chance) {
  kube::LabelSelector selector;
  if (chance.one_in(4)) return selector;
  if (chance.one_in(2)) selector.match_labels["app"] = chance.of<std::string>({"web", "db", "none"});
  while (chance.one_in(2)) {
    kube::SelectorRequirement requirement;
    requirement.key = chance.of<std::string>({"app", "tier", "kubernetes.io/metadata.name"});
    requirement.op = static_cast<kube::SelectorOperator>(chance.below(4));
    if (requirement.op == kube::SelectorOperator::kIn || requirement.op == kube::SelectorOperator::kNotIn) {
      do {
        requirement.values.push_back(chance.of<std::string>({"web", "db", "1", "2", "a", "b"}));
      } while (chance.one_in(2));
    }
    selector.match_expressions.push_back(requirement);
  }
  return selector;
}

inline kube::PolicyPeer random_peer(Chance& chance) {
  kube::PolicyPeer peer;
  if (chance.one_in(4)) {
    kube::IpBlock& block = peer.ip_block.emplace();
    if (chance.one_in(3)) {
      block.cidr = prefix(chance.of<std::string>({"fd00::/64", "::/0", "fd00::4/126"}));
      if (chance.one_in(2)) block.except.push_back(prefix(chance.of<std::string>({"fd00::4/127", "fd00::6/128"})));
      return peer;
    }
    block.cidr = prefix(chance.of<std::string>({"10.0.0.0/24", "0.0.0.0/0", "10.0.0.0/29"}));
    while (chance.one_in(2)) {
      block.except.push_back(prefix(chance.of<std::string>({"10.0.0.4/30", "10.0.0.1/32", "10.0.0.2/31"})));
    }
    return peer;
  }
  const std::uint32_t which = chance.below(3);
  if (which != 0) peer.pod_selector = random_selector(chance);
  if (which != 1) peer.namespace_selector = random_selector(chance);
  return peer;
}

inline kube::PolicyPort random_port(Chance& chance) {
  kube::PolicyPort port;
  port.protocol = random_protocol(chance);
  switch (chance.below(5)) {
    case 0: return port;
    case 1:
    case 2: port.name = chance.of<std::string>({"http", "dns", "nobody"}); return port;
    case 3:
      port.end_port = static_cast<std::uint16_t>(80 + chance.below(2));
      port.port = 80;
      return port;
    default: port.port = chance.of(kPorts); return port;
  }
}

inline std::vector<kube::PolicyRule> random_rules(Chance& chance) {
  std::vector<kube::PolicyRule> rules;
  for (std::uint32_t i = chance.below(4); i > 0; --i) {
    kube::PolicyRule& rule = rules.emplace_back();
    for (std::uint32_t k = chance.below(3); k > 0; --k) rule.peers.push_back(random_peer(chance));
    for (std::uint32_t k = chance.below(3); k > 0; --k) rule.ports.push_back(random_port(chance));
  }
  return rules;
}

inline kube::NetworkPolicy random_policy(Chance& chance) {
  kube::NetworkPolicy policy;
  policy.meta.name_space = chance.of(kNamespaces);
  policy.meta.name = fmt::format("n{}", chance.below(3));
  policy.pod_selector = random_selector(chance);
  const std::uint32_t which = chance.below(3);
  policy.isolates_ingress = which != 1;
  policy.isolates_egress = which != 0;
  policy.ingress = random_rules(chance);
  policy.egress = random_rules(chance);
  return policy;
}

inline kube::Object random_object(Chance& chance) {
  const std::uint32_t which = chance.below(8);
  if (which == 0) return random_namespace(chance);
  if (which < 4) return random_policy(chance);
  return random_pod(chance);
}

}  // namespace millrace::control::agent::policies
