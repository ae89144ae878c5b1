/// SequenceWindow: which packets of a stream came, which came twice, which came late.
///
/// Shape:   32-bit sequence numbers of the wire are taken as the 64-bit ones next to the highest seen, so a stream may
///          send 2^32 packets and more. The last kPackets numbers are a bitmap; what is older than that is `late`: it
///          came, but whether twice is not known.
/// Words:   reordered: it came after a packet with a higher number (RFC 4737 3.3, type-P-reordered). Its extent is how
///          far it lies behind the highest. A switch with several workers keeps order within a flow, not within a
///          stream.
/// Thread:  one. Never allocates after it was made (8 KB).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace millrace::perf::gen {

class SequenceWindow {
 public:
  static constexpr std::uint32_t kPackets = 65536;

  enum class Arrival : std::uint8_t { kInOrder, kReordered, kDuplicate, kLate };

  Arrival take(std::uint32_t sequence) noexcept {
    const auto ahead = static_cast<std::int32_t>(sequence - static_cast<std::uint32_t>(next_));
    if (ahead >= 0) {
      clear(next_, static_cast<std::uint64_t>(ahead));
      next_ += static_cast<std::uint64_t>(ahead) + 1;
      set(next_ - 1);
      return Arrival::kInOrder;
    }
    const std::uint64_t behind = static_cast<std::uint64_t>(-static_cast<std::int64_t>(ahead));  // 1: the highest seen
    most_extent_ = std::max(most_extent_, behind - 1);
    if (behind > kPackets || behind > next_) return Arrival::kLate;
    const std::uint64_t number = next_ - behind;
    if (is_set(number)) return Arrival::kDuplicate;
    set(number);
    return Arrival::kReordered;
  }

  /// How far the one that came latest lay behind the highest.
  std::uint64_t most_extent() const noexcept { return most_extent_; }

 private:
  static constexpr std::uint32_t kWords = kPackets / 64;

  static std::uint32_t word_of(std::uint64_t number) noexcept {
    return static_cast<std::uint32_t>(number / 64 % kWords);
  }
  bool is_set(std::uint64_t number) const noexcept { return (words_[word_of(number)] >> (number % 64) & 1) != 0; }
  void set(std::uint64_t number) noexcept { words_[word_of(number)] |= 1ull << (number % 64); }

  /// Clears [from, from + count] for numbers that were not yet in the window.
  void clear(std::uint64_t from, std::uint64_t count) noexcept {
    if (count >= kPackets) {
      words_.fill(0);
      return;
    }
    for (std::uint64_t number = from; number <= from + count;) {
      if (number % 64 == 0 && from + count - number >= 63) {
        words_[word_of(number)] = 0;
        number += 64;
      } else {
        words_[word_of(number)] &= ~(1ull << (number % 64));
        ++number;
      }
    }
  }

  std::array<std::uint64_t, kWords> words_{};
  std::uint64_t next_ = 0;  // highest seen, plus one
  std::uint64_t most_extent_ = 0;
};

}  // namespace millrace::perf::gen
