#include "nat/source_ranges.h"

namespace millrace::nat {

SourceRanges::SourceRanges(const std::vector<net::Prefix>& ranges, std::uint8_t family) {
  net::IpAddress ones{.family = family, .bytes = {}};
  ones.bytes.fill(0xff);
  for (const net::Prefix& range : ranges) {
    if (range.address.family != family) continue;
    const bool is_covered = std::any_of(ranges.begin(), ranges.end(), [&](const net::Prefix& other) {
      // Of one that is there twice the first stays.
      const bool is_wider = other.length_bits < range.length_bits || (other == range && &other < &range);
      return is_wider && other.contains(range.address);
    });
    if (is_covered) continue;
    ranges_.push_back({words_of(range.address), words_of(net::Prefix::of(ones, range.length_bits).address)});
  }
}

}  // namespace millrace::nat
