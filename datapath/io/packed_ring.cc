#include "datapath/io/packed_ring.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace millrace::datapath::io {
namespace {

constexpr std::size_t kMostDescriptors = 1u << 15;
/// Of the bits: where the driver was, where it took back, the position, and two of each rest.
constexpr std::size_t kMostTurns = 11;

enum class State : std::uint8_t { kAvailable, kUsed, kLapBefore, kOther };

/// The driver may be writing it, the flags last.
unsigned bits_of(const PackedDescriptor& descriptor) noexcept {
  const std::atomic_ref<std::uint16_t> flags(const_cast<std::uint16_t&>(descriptor.flags));
  return flags.load(std::memory_order_acquire) & (kPackedAvail | kPackedUsed);
}

/// What a descriptor is in the lap of `wrap`.
State state_of(const PackedDescriptor& descriptor, bool wrap) noexcept {
  const unsigned bits = bits_of(descriptor);
  const bool is_avail = (bits & kPackedAvail) != 0, is_used = (bits & kPackedUsed) != 0;
  if (is_avail == is_used) return is_used == wrap ? State::kUsed : State::kLapBefore;
  return is_avail == wrap ? State::kAvailable : State::kOther;
}

/// Whether the ring reads from `first` on as one does from its device's position. Against its order: where a descriptor
/// is available, all that the driver made available before it are too.
std::optional<PackedPosition> position_at(std::span<const PackedDescriptor> ring, PackedPlace first) noexcept {
  PackedPosition position{first, 0};
  bool is_lap_before = true;
  for (std::size_t count = ring.size(); count-- > 0;) {
    const PackedPlace place = first.after(count, ring.size());
    switch (state_of(ring[place.index], place.wrap)) {
      case State::kLapBefore:
        if (!is_lap_before) return std::nullopt;
        break;
      case State::kUsed:
        if (position.rest == 0) position.rest = static_cast<std::uint16_t>(count + 1);
        is_lap_before = false;
        break;
      case State::kAvailable: is_lap_before = false; break;
      case State::kOther: return std::nullopt;
    }
  }
  return position;
}

}  // namespace

std::optional<PackedPosition> find_position(std::span<const PackedDescriptor> ring) noexcept {
  if (ring.empty() || ring.size() > kMostDescriptors) return std::nullopt;
  // Seen from the lap that begins at 0, the one before it is of a lap in which both bits mean the other.
  std::array<PackedPlace, kMostTurns> turns;
  std::size_t count = 0;
  unsigned before = bits_of(ring.back()) ^ (kPackedAvail | kPackedUsed);
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const unsigned bits = bits_of(ring[i]);
    if (std::exchange(before, bits) == bits) continue;
    if (count == kMostTurns) return std::nullopt;
    turns[count++] = {static_cast<std::uint16_t>(i), (bits & kPackedUsed) == 0};
  }
  for (const PackedPlace& turn : std::span(turns).first(count)) {
    if (const auto found = position_at(ring, turn)) return found;
  }
  return std::nullopt;
}

PackedPlace finish_rest(std::span<PackedDescriptor> ring, const PackedPosition& position) noexcept {
  // The driver waits for the first, and sees none of the others before it.
  for (std::size_t count = position.rest; count-- > 0;) {
    const PackedPlace place = position.first.after(count, ring.size());
    PackedDescriptor& descriptor = ring[place.index];
    descriptor.length_bytes = 0;
    const auto flags = static_cast<std::uint16_t>(place.wrap ? descriptor.flags | kPackedAvail | kPackedUsed
                                                             : descriptor.flags & ~(kPackedAvail | kPackedUsed));
    std::atomic_ref<std::uint16_t>(descriptor.flags).store(flags, std::memory_order_release);
  }
  return position.first.after(position.rest, ring.size());
}

}  // namespace millrace::datapath::io
