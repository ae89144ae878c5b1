/// FlowPicker: which flow the next packet belongs to.
///
/// Shape:   next() gives a flow number in [0, flows).
/// Zipf:    flow n has weight 1 / (n + 1)^exponent. Flows are put into classes, the first kSingleFlows alone, then ever
///          larger ones whose members' weights differ by less than exponent / kClassesPerDoubling * ln 2; an alias
///          table (Vose) picks a class in constant time and all of a class are equally likely. So 16 million flows cost
///          some 20 KB and no logarithm a packet.
/// Shuffled: a bijection of the numbers below the next power of two (a multiplication by an odd number and a shift that
///          folds the upper half into the lower, twice), walked until it falls below `flows`: at most two steps on
///          average, and no memory. RFC 9693 4.4 wants the first packets of connections in such an order.
/// Thread:  one.
/// Source:  Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.
#pragma once

#include <cstdint>
#include <vector>

#include "perf/gen/stream/description.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {

class FlowPicker {
 public:
  static constexpr std::uint32_t kSingleFlows = 256;
  static constexpr std::uint32_t kClassesPerDoubling = 64;

  /// Precondition: 1 <= flows <= kMaxFlows, exponent > 0.
  FlowPicker(FlowOrder order, std::uint32_t flows, double exponent, std::uint64_t seed);

  std::uint32_t next() noexcept {
    if (flows_ == 1) return 0;
    if (order_ == FlowOrder::kInTurn) {
      const std::uint32_t flow = turn_;
      turn_ = turn_ + 1 == flows_ ? 0 : turn_ + 1;
      return flow;
    }
    if (order_ == FlowOrder::kShuffled) return shuffled();
    const std::uint64_t random = random_.next();
    const auto upper = static_cast<std::uint32_t>(random >> 32);
    if (order_ == FlowOrder::kRandom) return below(upper, flows_);
    return zipf(upper, static_cast<std::uint32_t>(random));
  }

 private:
  struct Class {
    std::uint32_t first, size;
    std::uint32_t keep;   // of 2^32: how often this class stays when it was picked
    std::uint32_t other;  // what is taken else
  };
  void build_classes(double exponent);
  std::uint32_t shuffled() noexcept {
    for (;;) {
      std::uint32_t number = (turn_++ ^ key_) & mask_;
      number = number * 0x9e3779b1u & mask_;
      number ^= number >> half_bits_;
      number = number * 0x85ebca77u & mask_;
      number ^= number >> half_bits_;
      if (number < flows_) return number;
    }
  }
  std::uint32_t zipf(std::uint32_t pick, std::uint32_t coin) noexcept;

  FlowOrder order_;
  std::uint32_t flows_;
  std::uint32_t turn_ = 0;
  std::uint32_t mask_ = 0, key_ = 0;  // of the shuffle
  unsigned half_bits_ = 1;
  Random random_;
  std::vector<Class> classes_;
};

}  // namespace millrace::perf::gen
