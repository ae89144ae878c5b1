/// Histogram: every value counted, in buckets whose width grows with the value.
///
/// Shape:   values are ns (or any whole number). Below 256 each has a bucket of its own; above, each doubling is cut
///          into 128, so a bucket is at most 1/128 of its least value wide. What is read back is a bucket's middle: at
///          most kMostRelativeError from the truth. Values over kMostValue (18 minutes) count as that.
/// Thread:  one; copy it to read it elsewhere. Never allocates after it was made (35 KB).
/// Source:  HdrHistogram's log-linear idea (Tene); nothing is averaged away, so percentiles of merged ones are exact
///          but for the bucket's width.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace millrace::perf::gen {

class Histogram {
 public:
  static constexpr unsigned kBits = 8;  // 256 buckets one wide, then 128 a doubling
  static constexpr std::uint64_t kMostValue = (1ull << 40) - 1;
  static constexpr double kMostRelativeError = 1.0 / 256;

  Histogram() : counts_(bucket_of(kMostValue) + 1) {}

  void add(std::uint64_t value, std::uint64_t count = 1) noexcept {
    counts_[bucket_of(std::min(value, kMostValue))] += count;
    count_ += count;
    sum_ += static_cast<double>(value) * static_cast<double>(count);
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
  }
  void merge(const Histogram& other) noexcept;
  void clear() noexcept;
  /// What was added since `earlier` was copied from this one. Its least and most are known to a bucket's width.
  Histogram since(const Histogram& earlier) const;

  std::uint64_t count() const noexcept { return count_; }
  double mean() const noexcept { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  std::uint64_t least() const noexcept { return count_ == 0 ? 0 : least_; }
  std::uint64_t most() const noexcept { return most_; }
  /// The least value that `percent` of all values do not exceed; 0 when there are none. Never over most().
  std::uint64_t percentile(double percent) const noexcept;

  struct Bucket {
    std::uint64_t least, most, count;
  };
  /// Those that are not empty, in order.
  std::vector<Bucket> buckets() const;

  static constexpr std::uint32_t bucket_of(std::uint64_t value) noexcept {
    constexpr std::uint64_t kOnes = 1ull << kBits;
    if (value < kOnes) return static_cast<std::uint32_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits;  // leaves kBits bits, the upper one set
    constexpr std::uint64_t kHalf = kOnes / 2;
    return static_cast<std::uint32_t>(kOnes + (shift - 1) * kHalf + ((value >> shift) - kHalf));
  }
  static constexpr std::uint64_t least_of(std::uint32_t bucket) noexcept {
    constexpr std::uint32_t kOnes = 1u << kBits, kHalf = kOnes / 2;
    if (bucket < kOnes) return bucket;
    const std::uint32_t shift = (bucket - kOnes) / kHalf + 1;
    return std::uint64_t{kHalf + (bucket - kOnes) % kHalf} << shift;
  }

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t least_ = ~std::uint64_t{0};
  std::uint64_t most_ = 0;
};

}  // namespace millrace::perf::gen
