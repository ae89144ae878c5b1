/// FrameLedger: which frames of the pool the kernel has from one socket, so that none is lost when the socket closes.
///
/// Theory:  frames also rest where no ring shows them (a frame the kernel took from the fill ring for a packet that it
///          then dropped, a packet that is sent and not yet completed). After close the kernel uses none of them, so
///          all that were given and did not come back belong to the pool again.
/// Shape:   one bit a frame, by number.
/// Thread:  the port's worker; control when the port is closed.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace millrace::datapath::io {

class FrameLedger {
 public:
  explicit FrameLedger(std::uint32_t frame_count) : bits_((frame_count + 63) / 64) {}

  void give(std::uint32_t index) noexcept { bits_[index / 64] |= bit(index); }
  void take_back(std::uint32_t index) noexcept { bits_[index / 64] &= ~bit(index); }
  bool given(std::uint32_t index) const noexcept { return (bits_[index / 64] & bit(index)) != 0; }

  /// Calls `use(index)` for every frame the kernel has and clears the ledger.
  template <typename Use>
  void drain(Use use) {
    for (std::uint32_t word = 0; word < bits_.size(); ++word) {
      for (; bits_[word] != 0; bits_[word] &= bits_[word] - 1) {
        use(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits_[word])));
      }
    }
  }

 private:
  static std::uint64_t bit(std::uint32_t index) noexcept { return std::uint64_t{1} << (index % 64); }
  std::vector<std::uint64_t> bits_;
};

}  // namespace millrace::datapath::io
