/// RuleSet: the rules that isolate an endpoint in one direction, compiled into a decision: peer x port -> rule.
///
/// Theory:  what a rule names is sorted out once, when the set is built. Each peer that some rule names has one entry:
///          an identity in a hash table, a prefix of addresses in a longest-prefix table, and "anybody". An entry leads
///          to the ports its rules open, as disjoint intervals (port_set.h). So a decision is one exact lookup of the
///          identity, one of the address, and one wildcard, however many rules there are: no walk over rules.
///          A prefix's entry holds the rules of all blocks around it that do not except it: the longest match is the
///          whole answer.
/// Answer:  of the rules that allow, the first in the order they were given: a reader who walks the rules one by one
///          finds the same.
/// Thread:  built by control, then immutable: decide() from any worker. decide() never allocates.
/// Source:  Waldvogel et al., SIGCOMM 1997, for the prefixes; k8s.io/api/networking/v1 for what rules mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/exact_table.h"
#include "net/result.h"
#include "policy/port_set.h"
#include "policy/prefix_rules.h"
#include "policy/rule.h"

namespace millrace::policy {

class RuleSet {
 public:
  /// Error: kInvalidArgument names the rule and the field ("rules[3].ports[0].last"); kResourceExhausted the limit
  /// (rule.h). No rules: nothing is allowed.
  static net::Result<std::shared_ptr<const RuleSet>> build(std::span<const Rule> rules);

  /// Index of the first rule that lets `peer`, whose address is `address`, and the isolated endpoint talk at `port` of
  /// `protocol`; kNoRule: none does. Port host order; without meaning for protocols but TCP, UDP and SCTP.
  RuleIndex decide(Identity peer, net::Ipv4 address, std::uint8_t protocol, std::uint16_t port) const noexcept {
    return decide_for(peer, address, protocol, port);
  }
  RuleIndex decide(Identity peer, const net::Ipv6& address, std::uint8_t protocol, std::uint16_t port) const noexcept {
    return decide_for(peer, address, protocol, port);
  }
  /// Whether decide() finds a rule, in fewer steps.
  template <typename Address>
  bool allows(Identity peer, const Address& address, std::uint8_t protocol, std::uint16_t port) const noexcept {
    if (peer != kNoIdentity && opens(peers_.find(peer), protocol, port)) [[likely]]
      return true;
    return opens(any_, protocol, port) || (prefixes_.size() != 0 && opens(prefixes_.find(address), protocol, port));
  }
  /// Fetches what decide() will read first.
  void prefetch(Identity peer) const noexcept { peers_.prefetch(peer); }
  /// Precondition: an index that decide() said.
  std::uint32_t counter_of(RuleIndex rule) const noexcept { return counters_[rule]; }

  std::size_t rule_count() const noexcept { return counters_.size(); }
  /// Identities and prefixes with an entry.
  std::size_t peer_count() const noexcept { return peers_.size() + prefixes_.size(); }
  std::size_t memory_bytes() const noexcept;

 private:
  static constexpr std::uint32_t kNoSet = PrefixRules::kNone;
  using Peers = net::ExactTable<std::uint32_t, std::uint32_t, 7, kNoSet>;

  explicit RuleSet(std::size_t peer_count) : peers_(peer_count) {}

  bool opens(std::uint32_t set, std::uint8_t protocol, std::uint16_t port) const noexcept {
    return set != kNoSet && ports_.find(set, protocol, port) != kNoRule;
  }

  template <typename Address>
  RuleIndex decide_for(Identity peer, const Address& address, std::uint8_t protocol,
                       std::uint16_t port) const noexcept {
    RuleIndex first = any_ == kNoSet ? kNoRule : ports_.find(any_, protocol, port);
    if (peer != kNoIdentity) {
      if (const std::uint32_t set = peers_.find(peer); set != kNoSet) {
        first = std::min(first, ports_.find(set, protocol, port));
      }
    }
    if (prefixes_.size() != 0) {
      if (const std::uint32_t set = prefixes_.find(address); set != PrefixRules::kNone) {
        first = std::min(first, ports_.find(set, protocol, port));
      }
    }
    return first;
  }

  Peers peers_;           // identity -> set of ports
  PrefixRules prefixes_;  // address -> set of ports
  std::uint32_t any_ = kNoSet;
  PortSets ports_;
  std::vector<std::uint32_t> counters_;  // [rule]
};

}  // namespace millrace::policy
