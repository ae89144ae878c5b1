#include "policy/prefix_rules.h"

#include <algorithm>
#include <string>

namespace millrace::policy {
namespace {

bool holds(const net::Prefix& outer, const net::Prefix& inner) {
  return outer.length_bits <= inner.length_bits && outer.address.family == inner.address.family &&
         outer.contains(inner.address);
}

std::vector<Region> regions_of(std::span<const Rule> rules) {
  std::vector<net::Prefix> prefixes;
  for (const Rule& rule : rules) {
    for (const IpBlock& block : rule.blocks) {
      prefixes.push_back(block.cidr);
      prefixes.insert(prefixes.end(), block.except.begin(), block.except.end());
    }
  }
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  std::vector<Region> regions;
  regions.reserve(prefixes.size());
  for (const net::Prefix& prefix : prefixes) regions.push_back({prefix, {}});
  return regions;
}

/// Adds the rule to the regions of a block. By address, then length, a prefix comes right before all that lie in it.
bool add_block(const IpBlock& block, RuleIndex rule, std::vector<Region>& regions, std::size_t& pair_count) {
  auto at = std::lower_bound(regions.begin(), regions.end(), block.cidr,
                             [](const Region& region, const net::Prefix& prefix) { return region.prefix < prefix; });
  while (at != regions.end() && holds(block.cidr, at->prefix)) {
    const bool is_excepted = std::any_of(block.except.begin(), block.except.end(),
                                         [&](const net::Prefix& except) { return holds(except, at->prefix); });
    if (!is_excepted && (at->rules.empty() || at->rules.back() != rule)) {
      if (++pair_count > kMaxPeerRules) return false;
      at->rules.push_back(rule);
    }
    ++at;
  }
  return true;
}

}  // namespace

net::Result<std::vector<Region>> cut_regions(std::span<const Rule> rules) {
  std::vector<Region> regions = regions_of(rules);
  std::size_t pair_count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (const IpBlock& block : rules[i].blocks) {
      if (!add_block(block, static_cast<RuleIndex>(i), regions, pair_count)) {
        return net::resource_exhausted("rules[" + std::to_string(i) +
                                       "].blocks: pairs of a prefix and a rule are over " +
                                       std::to_string(kMaxPeerRules));
      }
    }
  }
  return regions;
}

PrefixRules PrefixRules::build(std::span<const Region> regions, std::span<const std::uint32_t> values) {
  std::vector<net::Prefix> prefixes;
  prefixes.reserve(regions.size());
  for (const Region& region : regions) prefixes.push_back(region.prefix);
  PrefixRules result;
  result.table_ = decltype(table_)::for_prefixes(prefixes);
  for (std::size_t i = 0; i < regions.size(); ++i) result.table_.insert(prefixes[i], values[i]);
  return result;
}

}  // namespace millrace::policy
