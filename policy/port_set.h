/// PortSets: which rule opens a port, for every combination of rules that some peer is named by.
///
/// Shape:   a set holds, for each of TCP, UDP and SCTP, disjoint intervals of ports with the first rule that opens
///          them, sorted; and the first rule that opens every protocol. Peers with the same rules share a set.
/// Cost:    find() halves the intervals of one protocol: at most 16 steps for 65536 ports, one or two for what people
///          write.
/// Thread:  add() while building; find() any thread afterwards, never allocates.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "net/packet.h"
#include "policy/rule.h"

namespace millrace::policy {

/// Place of a rule in the list a RuleSet was built from.
using RuleIndex = std::uint32_t;
inline constexpr RuleIndex kNoRule = 0xffff'ffff;

class PortSets {
 public:
  /// The set of the ports that `chosen` of `rules` open: indices, ascending.
  std::uint32_t add(std::span<const Rule> rules, std::vector<RuleIndex> chosen);
  /// No add() comes after.
  void seal();

  /// The first rule of the set that opens the port; kNoRule: none.
  RuleIndex find(std::uint32_t set, std::uint8_t protocol, std::uint16_t port) const noexcept {
    const Set& ports = sets_[set];
    const unsigned kind = kind_of(protocol);
    if (kind == kKinds) return ports.every_protocol;
    const Interval* low = intervals_.data() + ports.begin[kind];
    std::size_t count = ports.begin[kind + 1] - ports.begin[kind];
    while (count > 0) {  // the first interval that ends at the port or behind it
      const std::size_t half = count / 2;
      const bool is_before = low[half].last < port;
      low = is_before ? low + half + 1 : low;
      count = is_before ? count - half - 1 : half;
    }
    const bool is_open = low != intervals_.data() + ports.begin[kind + 1] && low->first <= port;
    return is_open ? std::min(low->rule, ports.every_protocol) : ports.every_protocol;
  }

  std::size_t interval_count() const noexcept { return intervals_.size(); }
  std::size_t memory_bytes() const noexcept {
    return intervals_.capacity() * sizeof(Interval) + sets_.capacity() * sizeof(Set);
  }

 private:
  static constexpr unsigned kKinds = 3;  // TCP, UDP, SCTP
  struct Interval {
    std::uint16_t first;
    std::uint16_t last;
    RuleIndex rule;
  };
  struct Set {
    RuleIndex every_protocol = kNoRule;
    std::array<std::uint32_t, kKinds + 1> begin{};  // of the intervals of each protocol, and the end
  };

  static unsigned kind_of(std::uint8_t protocol) noexcept {
    switch (protocol) {
      case net::ip_protocol::kTcp: return 0;
      case net::ip_protocol::kUdp: return 1;
      case net::ip_protocol::kSctp: return 2;
      default: return kKinds;
    }
  }
  void add_intervals(std::span<const Rule> rules, std::span<const RuleIndex> chosen, unsigned kind);

  std::vector<Interval> intervals_;
  std::vector<Set> sets_;
  std::map<std::vector<RuleIndex>, std::uint32_t> known_;  // until seal()
};

}  // namespace millrace::policy
