#include "policy/rule_set.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace millrace::policy {
namespace {

net::Error wrong(std::size_t rule, const std::string& what) {
  return net::invalid_argument("rules[" + std::to_string(rule) + "]." + what);
}

bool is_prefix(const net::Prefix& prefix) {
  return prefix.length_bits <= prefix.address.bits() && net::Prefix::of(prefix.address, prefix.length_bits) == prefix;
}

net::Result<void> check_block(const IpBlock& block, std::size_t rule, std::size_t index) {
  const std::string name = "blocks[" + std::to_string(index) + "]";
  if (!is_prefix(block.cidr)) {
    return wrong(rule,
                 name + ".cidr: " + block.cidr.to_string() + " has host bits or a length that its family has not");
  }
  for (std::size_t i = 0; i < block.except.size(); ++i) {
    const net::Prefix& except = block.except[i];
    const bool is_inside = is_prefix(except) && except.address.family == block.cidr.address.family &&
                           except.length_bits >= block.cidr.length_bits && block.cidr.contains(except.address);
    if (!is_inside) {
      return wrong(rule, name + ".except[" + std::to_string(i) + "]: " + except.to_string() + " is not inside of " +
                             block.cidr.to_string());
    }
  }
  return {};
}

net::Result<void> check_rule(const Rule& rule, std::size_t index) {
  for (std::size_t i = 0; i < rule.ports.size(); ++i) {
    const PortRange& range = rule.ports[i];
    const std::string name = "ports[" + std::to_string(i) + "]";
    if (range.protocol != net::ip_protocol::kTcp && range.protocol != net::ip_protocol::kUdp &&
        range.protocol != net::ip_protocol::kSctp) {
      return wrong(index, name + ".protocol: " + std::to_string(range.protocol) + "; allowed: 6, 17, 132");
    }
    if (range.last < range.first) {
      return wrong(index,
                   name + ".last: " + std::to_string(range.last) + " is below first " + std::to_string(range.first));
    }
  }
  for (std::size_t i = 0; i < rule.blocks.size(); ++i) {
    if (auto checked = check_block(rule.blocks[i], index, i); !checked) return checked;
  }
  for (std::size_t i = 0; i < rule.groups.size(); ++i) {
    const IdentityGroup& group = rule.groups[i];
    const std::string name = "groups[" + std::to_string(i) + "]";
    if (group == nullptr) return wrong(index, name + " is not there");
    if (!group->empty() && group->front() == kNoIdentity) return wrong(index, name + " has the identity 0");
    if (std::adjacent_find(group->begin(), group->end(), std::greater_equal<>()) != group->end()) {
      return wrong(index, name + " is not sorted, or has an identity twice");
    }
  }
  return {};
}

using IdentityRules = std::unordered_map<Identity, std::vector<RuleIndex>>;

net::Result<IdentityRules> rules_of_identities(std::span<const Rule> rules) {
  IdentityRules named;
  std::size_t pair_count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (const IdentityGroup& group : rules[i].groups) {
      for (const Identity identity : *group) {
        std::vector<RuleIndex>& of = named[identity];
        if (!of.empty() && of.back() == i) continue;
        if (++pair_count > kMaxPeerRules) {
          return net::resource_exhausted("rules[" + std::to_string(i) +
                                         "].groups: pairs of an identity and a rule are over " +
                                         std::to_string(kMaxPeerRules));
        }
        of.push_back(static_cast<RuleIndex>(i));
      }
    }
  }
  return named;
}

}  // namespace

net::Result<std::shared_ptr<const RuleSet>> RuleSet::build(std::span<const Rule> rules) {
  if (rules.size() > kMaxRules) {
    return net::resource_exhausted("rules: " + std::to_string(rules.size()) + " of one endpoint and direction; limit " +
                                   std::to_string(kMaxRules));
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (auto checked = check_rule(rules[i], i); !checked) return checked.error();
  }
  auto identities = rules_of_identities(rules);
  if (!identities) return identities.error();
  auto regions = cut_regions(rules);
  if (!regions) return regions.error();
  if (const std::size_t peers = identities->size() + regions->size(); peers > kMaxPeers) {
    return net::resource_exhausted("rules: they name " + std::to_string(peers) + " identities and prefixes; limit " +
                                   std::to_string(kMaxPeers));
  }

  const std::shared_ptr<RuleSet> set(new RuleSet(identities->size()));
  std::vector<RuleIndex> anybody;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].any_peer) anybody.push_back(static_cast<RuleIndex>(i));
    set->counters_.push_back(rules[i].counter);
  }
  if (!anybody.empty()) set->any_ = set->ports_.add(rules, std::move(anybody));
  for (auto& [identity, chosen] : *identities) set->peers_.insert(identity, set->ports_.add(rules, std::move(chosen)));
  std::vector<std::uint32_t> values;
  for (Region& region : *regions) values.push_back(set->ports_.add(rules, std::move(region.rules)));
  set->prefixes_ = PrefixRules::build(*regions, values);
  set->ports_.seal();
  if (set->ports_.interval_count() > kMaxIntervals) {
    return net::resource_exhausted("rules: their ports make " + std::to_string(set->ports_.interval_count()) +
                                   " intervals; limit " + std::to_string(kMaxIntervals));
  }
  return std::shared_ptr<const RuleSet>(set);
}

std::size_t RuleSet::memory_bytes() const noexcept {
  return sizeof *this + peers_.memory_bytes() + prefixes_.memory_bytes() + ports_.memory_bytes() +
         counters_.capacity() * sizeof counters_[0];
}

}  // namespace millrace::policy
