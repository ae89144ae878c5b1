#include "tests/agent/policies/naive_policy.h"

namespace millrace::control::agent::policies {
namespace {

bool label_is(const kube::Labels& labels, const std::string& key, const std::string& value) {
  const auto it = labels.find(key);
  return it != labels.end() && it->second == value;
}

bool selects(const kube::LabelSelector& selector, const kube::Labels& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    if (!label_is(labels, key, value)) return false;
  }
  for (const auto& expression : selector.match_expressions) {
    bool any = false;
    for (const std::string& value : expression.values) any = any || label_is(labels, expression.key, value);
    const bool there = labels.count(expression.key) != 0;
    if (expression.op == kube::SelectorOperator::kIn && !any) return false;
    if (expression.op == kube::SelectorOperator::kNotIn && any) return false;
    if (expression.op == kube::SelectorOperator::kExists && !there) return false;
    if (expression.op == kube::SelectorOperator::kDoesNotExist && there) return false;
  }
  return true;
}

kube::Labels namespace_labels(const Objects& objects, const std::string& name) {
  kube::Labels labels;
  for (const auto& [key, object] : objects) {
    const auto* found = std::get_if<kube::Namespace>(object.get());
    if (found != nullptr && found->meta.name == name) labels = found->meta.labels;
  }
  labels["kubernetes.io/metadata.name"] = name;  // 12: every namespace carries it
  return labels;
}

bool is_in(const net::Prefix& prefix, const net::IpAddress& address) {
  if (prefix.address.family != address.family) return false;
  for (unsigned bit = 0; bit < prefix.length_bits; ++bit) {
    const unsigned mask = 0x80u >> (bit % 8);
    if ((prefix.address.bytes[bit / 8] & mask) != (address.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

bool peer_is(const Objects& objects, const kube::PolicyPeer& peer, const std::string& policy_namespace,
             const net::IpAddress& address) {
  if (peer.ip_block) {
    if (!is_in(peer.ip_block->cidr, address)) return false;
    for (const net::Prefix& except : peer.ip_block->except) {
      if (is_in(except, address)) return false;  // 6: it cuts its own block
    }
    return true;
  }
  const kube::Pod* pod = pod_at(objects, address);
  if (pod == nullptr) return false;
  // 1: podSelector alone is of the policy's namespace; both is AND.
  if (peer.namespace_selector) {
    if (!selects(*peer.namespace_selector, namespace_labels(objects, pod->meta.name_space))) return false;
  } else if (pod->meta.name_space != policy_namespace) {
    return false;
  }
  return !peer.pod_selector || selects(*peer.pod_selector, pod->meta.labels);
}

bool port_is(const Objects& objects, const kube::PolicyPort& port, const Question& asked) {
  const std::uint8_t protocol = port.protocol == kube::Protocol::kTcp   ? 6
                                : port.protocol == kube::Protocol::kUdp ? 17
                                                                        : 132;
  if (protocol != asked.protocol) return false;
  if (!port.name.empty()) {  // 5: what the destination calls so
    const kube::Pod* destination = pod_at(objects, asked.destination);
    if (destination == nullptr) return false;
    for (const kube::ContainerPort& container : destination->ports) {
      if (container.name == port.name && container.protocol == port.protocol) return container.port == asked.port;
    }
    return false;
  }
  if (port.port == 0) return true;  // 4: every port of the protocol
  if (port.end_port != 0) return port.port <= asked.port && asked.port <= port.end_port;
  return port.port == asked.port;
}

bool rule_allows(const Objects& objects, const kube::PolicyRule& rule, const std::string& policy_namespace,
                 const net::IpAddress& peer, const Question& asked) {
  bool peer_ok = rule.peers.empty();
  for (const kube::PolicyPeer& each : rule.peers) peer_ok = peer_ok || peer_is(objects, each, policy_namespace, peer);
  bool port_ok = rule.ports.empty();
  for (const kube::PolicyPort& each : rule.ports) port_ok = port_ok || port_is(objects, each, asked);
  return peer_ok && port_ok;
}

bool allows(const Objects& objects, const kube::Pod& isolated, const Question& asked, bool ingress) {
  bool is_isolated = false;
  for (const auto& [key, object] : objects) {
    const auto* policy = std::get_if<kube::NetworkPolicy>(object.get());
    if (policy == nullptr || policy->meta.name_space != isolated.meta.name_space) continue;
    if (!selects(policy->pod_selector, isolated.meta.labels)) continue;
    if (!(ingress ? policy->isolates_ingress : policy->isolates_egress)) continue;
    is_isolated = true;
    for (const kube::PolicyRule& rule : ingress ? policy->ingress : policy->egress) {
      const net::IpAddress& peer = ingress ? asked.source : asked.destination;
      if (rule_allows(objects, rule, policy->meta.name_space, peer, asked)) return true;  // 3: a union
    }
  }
  return !is_isolated;
}

}  // namespace

const kube::Pod* pod_at(const Objects& objects, const net::IpAddress& address) {
  for (const auto& [key, object] : objects) {
    const auto* pod = std::get_if<kube::Pod>(object.get());
    if (pod == nullptr || pod->host_network) continue;  // 8: node addresses
    if (pod->phase == kube::PodPhase::kSucceeded || pod->phase == kube::PodPhase::kFailed) continue;
    for (const net::IpAddress& own : pod->addresses) {
      if (own == address) return pod;
    }
  }
  return nullptr;
}

bool egress_allows(const Objects& objects, const kube::Pod& isolated, const Question& asked) {
  return allows(objects, isolated, asked, false);
}
bool ingress_allows(const Objects& objects, const kube::Pod& isolated, const Question& asked) {
  return allows(objects, isolated, asked, true);
}

}  // namespace millrace::control::agent::policies
