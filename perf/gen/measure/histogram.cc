#include "perf/gen/measure/histogram.h"

#include <cmath>

namespace millrace::perf::gen {

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  least_ = std::min(least_, other.least_);
  most_ = std::max(most_, other.most_);
}

void Histogram::clear() noexcept {
  std::ranges::fill(counts_, 0);
  count_ = 0;
  sum_ = 0;
  least_ = ~std::uint64_t{0};
  most_ = 0;
}

Histogram Histogram::since(const Histogram& earlier) const {
  Histogram grown;
  for (std::uint32_t i = 0; i < counts_.size(); ++i) {
    const std::uint64_t count = counts_[i] - earlier.counts_[i];
    if (count != 0) grown.add(std::min(least_of(i) + (least_of(i + 1) - 1 - least_of(i)) / 2, most_), count);
  }
  grown.sum_ = sum_ - earlier.sum_;
  return grown;
}

std::uint64_t Histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  const double rank = std::ceil(std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_));
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(rank));
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen < wanted) continue;
    const std::uint64_t first = least_of(i), last = least_of(i + 1) - 1;
    return std::clamp(first + (last - first) / 2, least(), most_);
  }
  return most_;
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
  std::vector<Bucket> found;
  for (std::uint32_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) found.push_back({least_of(i), least_of(i + 1) - 1, counts_[i]});
  }
  return found;
}

}  // namespace millrace::perf::gen
