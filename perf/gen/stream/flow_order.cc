#include "perf/gen/stream/flow_order.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace::perf::gen {

FlowPicker::FlowPicker(FlowOrder order, std::uint32_t flows, double exponent, std::uint64_t seed)
    : order_(order), flows_(flows), random_(seed) {
  const auto bits = static_cast<unsigned>(std::bit_width(flows - 1));
  mask_ = static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
  half_bits_ = std::max(1u, (bits + 1) / 2);
  key_ = static_cast<std::uint32_t>(mix64(seed));
  if (order == FlowOrder::kZipf) build_classes(exponent);
}

void FlowPicker::build_classes(double exponent) {
  std::vector<double> weights;
  double total = 0;
  for (std::uint32_t first = 0; first < flows_;) {
    const std::uint32_t size =
        first < kSingleFlows ? 1 : std::min(flows_ - first, std::max(1u, first / kClassesPerDoubling));
    // The mean weight of a class lies at its middle, within the square of the class's relative width.
    const double weight = size * std::pow(first + 1 + (size - 1) / 2.0, -exponent);
    classes_.push_back({.first = first, .size = size, .keep = 0xffffffff, .other = 0});
    weights.push_back(weight);
    total += weight;
    first += size;
  }
  std::vector<std::uint32_t> poor, rich;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    weights[i] *= static_cast<double>(weights.size()) / total;
    classes_[i].other = i;
    (weights[i] < 1 ? poor : rich).push_back(i);
  }
  while (!poor.empty() && !rich.empty()) {
    const std::uint32_t small = poor.back(), large = rich.back();
    poor.pop_back();
    classes_[small].keep = static_cast<std::uint32_t>(weights[small] * 4294967295.0);
    classes_[small].other = large;
    weights[large] -= 1 - weights[small];
    if (weights[large] >= 1) continue;
    rich.pop_back();
    poor.push_back(large);
  }
}

std::uint32_t FlowPicker::zipf(std::uint32_t pick, std::uint32_t coin) noexcept {
  const Class* chosen = &classes_[below(pick, static_cast<std::uint32_t>(classes_.size()))];
  if (coin > chosen->keep) chosen = &classes_[chosen->other];
  if (chosen->size == 1) return chosen->first;
  return chosen->first + below(static_cast<std::uint32_t>(random_.next() >> 32), chosen->size);
}

}  // namespace millrace::perf::gen
