/// Rules of a policy, as control gives them to the compiler (rule_set.h).
///
/// Shape:   a rule allows what its peers may do at its ports. Peers are identities (numbers of label sets, which
///          control hands out), blocks of addresses, or anybody; a peer is one that any of these names. A rule without
///          ports allows every protocol; one with ports allows those and no others, so no ICMP.
///          Ports are host order and those of the destination: of the isolated endpoint for ingress, of the peer for
///          egress.
/// Thread:  plain values, any thread.
/// Source:  k8s.io/api/networking/v1 (NetworkPolicyIngressRule, IPBlock, NetworkPolicyPort).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/address.h"

namespace millrace::policy {

/// A number that stands for a set of labels: endpoints that no rule can tell apart may share one.
using Identity = std::uint32_t;
/// Of an address that is no endpoint's. Only blocks and "anybody" name it.
inline constexpr Identity kNoIdentity = 0;

/// Sorted, none twice, without kNoIdentity. Shared by the rules that name one selector.
using IdentityGroup = std::shared_ptr<const std::vector<Identity>>;

/// Addresses of `cidr` that are in none of `except`.
struct IpBlock {
  net::Prefix cidr;
  std::vector<net::Prefix> except;  // each inside of `cidr`
};

struct PortRange {
  std::uint8_t protocol = 0;  // net::ip_protocol: TCP, UDP or SCTP
  std::uint16_t first = 0;
  std::uint16_t last = 65535;  // inclusive
};

struct Rule {
  std::uint32_t counter =
      0;  // index of what counts it (datapath/counters.h); the same for rules that are one to a user
  bool any_peer = false;
  std::vector<IdentityGroup> groups;
  std::vector<IpBlock> blocks;
  std::vector<PortRange> ports;  // empty: every protocol
};

/// Of one rule set: the rules of all policies that isolate an endpoint in one direction.
inline constexpr std::size_t kMaxRules = 65'535;
/// Identities and prefixes that the rules of one set name, each counted once.
inline constexpr std::size_t kMaxPeers = 262'144;
/// Pairs of a peer and a rule that names it.
inline constexpr std::size_t kMaxPeerRules = 4'194'304;
/// Intervals of ports, of all distinct combinations of rules that some peer is named by.
inline constexpr std::size_t kMaxIntervals = 4'194'304;

}  // namespace millrace::policy
