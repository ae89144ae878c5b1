/// The rules of an endpoint read one by one: what RuleSet must agree with.
#pragma once

#include <algorithm>
#include <span>

#include "policy/rule_set.h"

namespace millrace::policy {

struct Asked {
  Identity peer = kNoIdentity;
  net::IpAddress address;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

inline bool names_peer(const Rule& rule, const Asked& asked) {
  if (rule.any_peer) return true;
  for (const IdentityGroup& group : rule.groups) {
    if (asked.peer != kNoIdentity && std::find(group->begin(), group->end(), asked.peer) != group->end()) return true;
  }
  return std::any_of(rule.blocks.begin(), rule.blocks.end(), [&](const IpBlock& block) {
    const auto holds = [&](const net::Prefix& prefix) { return prefix.contains(asked.address); };
    return holds(block.cidr) && std::none_of(block.except.begin(), block.except.end(), holds);
  });
}

inline bool opens_port(const Rule& rule, const Asked& asked) {
  return rule.ports.empty() || std::any_of(rule.ports.begin(), rule.ports.end(), [&](const PortRange& range) {
           return range.protocol == asked.protocol && range.first <= asked.port && asked.port <= range.last;
         });
}

inline RuleIndex first_that_allows(std::span<const Rule> rules, const Asked& asked) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (names_peer(rules[i], asked) && opens_port(rules[i], asked)) return static_cast<RuleIndex>(i);
  }
  return kNoRule;
}

inline RuleIndex decide(const RuleSet& set, const Asked& asked) {
  return asked.address.is_v4() ? set.decide(asked.peer, asked.address.v4(), asked.protocol, asked.port)
                               : set.decide(asked.peer, asked.address.v6(), asked.protocol, asked.port);
}

inline bool allows(const RuleSet& set, const Asked& asked) {
  return asked.address.is_v4() ? set.allows(asked.peer, asked.address.v4(), asked.protocol, asked.port)
                               : set.allows(asked.peer, asked.address.v6(), asked.protocol, asked.port);
}

inline IdentityGroup group(std::vector<Identity> identities) {
  return std::make_shared<const std::vector<Identity>>(std::move(identities));
}

inline IpBlock block(const char* cidr, std::initializer_list<const char*> except = {}) {
  IpBlock made{net::Prefix::parse(cidr).value(), {}};
  for (const char* prefix : except) made.except.push_back(net::Prefix::parse(prefix).value());
  return made;
}

}  // namespace millrace::policy
