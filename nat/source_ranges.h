/// SourceRanges: the prefixes that may use a frontend (spec.loadBalancerSourceRanges).
///
/// Shape:   of the frontend's family, those inside another left out: the rest are disjoint, at most kMaxSourceRanges,
///          looked at one after the other. Only new flows of frontends that have ranges ask.
/// Thread:  built by control; then immutable.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nat/address_words.h"
#include "net/address.h"

namespace millrace::nat {

class SourceRanges {
 public:
  /// Keeps the ranges of one family (4 or 6): none of that family means that nothing is let in.
  SourceRanges(const std::vector<net::Prefix>& ranges, std::uint8_t family);

  /// Precondition: the address is of that family.
  bool holds(const AddressWords& source) const noexcept {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
      return AddressWords{source.first & range.mask.first, source.second & range.mask.second} == range.prefix;
    });
  }
  std::size_t size() const noexcept { return ranges_.size(); }

 private:
  struct Range {
    AddressWords prefix;
    AddressWords mask;
  };
  std::vector<Range> ranges_;
};

}  // namespace millrace::nat
