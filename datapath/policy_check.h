/// Policy: may a flow be? Asked for its first packet, and again once for each epoch.
///
/// Shape:   egress is judged at the source's port on where the packet goes after services have translated it; ingress
///          at the destination's port on the source as it came to the switch, before a masquerade of ours. Both must
///          allow. Replies are not asked about: they follow the flow's line.
///          Always allowed: the node itself to its pods, and a pod to itself through a service.
///          A port that awaits its policies allows nothing.
/// Thread:  pure function, any worker. Never allocates.
/// Source:  k8s.io NetworkPolicy: "isolated" and "non-isolated" pods; traffic from the node of a pod is always allowed.
#pragma once

#include <cstdint>

#include "datapath/snapshot.h"
#include "net/drop.h"

namespace millrace::datapath {

/// Of the first packet of a flow. Ports of the switch: kNoPort when there is none.
template <typename Address>
struct PolicyQuestion {
  net::PortId in = net::kNoPort;
  net::PortId out = net::kNoPort;
  Address source;
  Address destination;                 // after translation by a service
  std::uint16_t destination_port = 0;  // host order, after translation
  std::uint8_t protocol = 0;
};

struct PolicyVerdict {
  net::Drop drop = net::Drop::kNone;                // kPolicyEgress, kPolicyIngress or kPolicyPending
  policy::RuleIndex egress_rule = policy::kNoRule;  // of the port's rule set: the one that allows, when one was asked
  policy::RuleIndex ingress_rule = policy::kNoRule;

  /// Whose policies say no. Of a pod that awaits them it is the source, if it awaits any.
  net::PortId denied_by(net::PortId from, net::PortId to) const noexcept {
    switch (drop) {
      case net::Drop::kPolicyIngress: return to;
      case net::Drop::kPolicyEgress: return from;
      case net::Drop::kPolicyPending: return is_source_pending ? from : to;
      default: return net::kNoPort;
    }
  }
  bool is_source_pending = false;
};

enum class PolicyAsk : std::uint8_t {
  kRule,     // which rule allows, too
  kVerdict,  // the rules of the verdict stay unset: half the steps
};

namespace internal {

template <PolicyAsk kAsk, typename Address>
bool is_allowed(const policy::RuleSet& rules, policy::Identity peer, const Address& address,
                const PolicyQuestion<Address>& asked, policy::RuleIndex& rule) noexcept {
  if constexpr (kAsk == PolicyAsk::kVerdict) {
    return rules.allows(peer, address, asked.protocol, asked.destination_port);
  } else {
    rule = rules.decide(peer, address, asked.protocol, asked.destination_port);
    return rule != policy::kNoRule;
  }
}

}  // namespace internal

template <PolicyAsk kAsk = PolicyAsk::kRule, typename Address>
PolicyVerdict ask_policy(const Snapshot& snapshot, const PolicyQuestion<Address>& asked) noexcept {
  PolicyVerdict verdict;
  if (asked.in == asked.out) return verdict;
  if (asked.in != net::kNoPort) {
    const PortEntry& from = snapshot.ports[asked.in];
    if (from.awaits_policy) [[unlikely]] {
      verdict.drop = net::Drop::kPolicyPending;
      verdict.is_source_pending = true;
      return verdict;
    }
    if (from.egress != nullptr &&
        !internal::is_allowed<kAsk>(*from.egress, snapshot.identities->find(asked.destination), asked.destination,
                                    asked, verdict.egress_rule)) {
      verdict.drop = net::Drop::kPolicyEgress;
      return verdict;
    }
  }
  if (asked.out != net::kNoPort) {
    const PortEntry& to = snapshot.ports[asked.out];
    if (to.awaits_policy) [[unlikely]] {
      verdict.drop = net::Drop::kPolicyPending;
      return verdict;
    }
    if (to.ingress != nullptr && !snapshot.nat.is_node(asked.source) &&
        !internal::is_allowed<kAsk>(*to.ingress, snapshot.identities->find(asked.source), asked.source, asked,
                                    verdict.ingress_rule)) {
      verdict.drop = net::Drop::kPolicyIngress;
    }
  }
  return verdict;
}

}  // namespace millrace::datapath
