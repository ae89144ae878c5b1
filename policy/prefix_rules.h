/// PrefixRules: address -> the rules whose blocks hold it.
///
/// Theory:  the prefixes that blocks name, `cidr` and `except`, cut the addresses into regions: those of which a prefix
///          is the innermost one. All addresses of a region are in the same blocks, so the longest match says the
///          region, and the region has one list of rules.
/// Thread:  built by control, then immutable: find() from any worker, never allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/prefix_table.h"
#include "net/result.h"
#include "policy/port_set.h"
#include "policy/rule.h"

namespace millrace::policy {

/// A prefix with the rules that name all of its region, ascending; it may have none (it is excepted).
struct Region {
  net::Prefix prefix;
  std::vector<RuleIndex> rules;
};

/// Every prefix of the rules' blocks once, sorted. Error: kResourceExhausted naming the limit.
net::Result<std::vector<Region>> cut_regions(std::span<const Rule> rules);

class PrefixRules {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  /// values[i] is what find() says of the region of regions[i].
  static PrefixRules build(std::span<const Region> regions, std::span<const std::uint32_t> values);

  template <typename Address>
  std::uint32_t find(const Address& address) const noexcept {
    return table_.find(address);
  }
  std::size_t size() const noexcept { return table_.size(); }
  std::size_t memory_bytes() const noexcept { return table_.memory_bytes(); }

 private:
  net::PrefixTable<std::uint32_t, 7, 3, kNone> table_;
};

}  // namespace millrace::policy
