#include "datapath/io/ring_rules.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <numeric>

namespace millrace::datapath::io {
namespace {

struct State {
  std::uint32_t queue, number;
};
struct Place {
  std::uint32_t queue, flags;
  std::uint64_t descriptors, used, available, log;
};
/// virtio 1.2, section 6.
constexpr std::uint64_t kIndirect = 1ull << 28, kEventIndex = 1ull << 29, kPackedRing = 1ull << 34;
constexpr std::uint64_t kLayout = kEventIndex | kPackedRing;
constexpr std::uint32_t kPackedPlace = 0x7fff;  // of a base; the rest are wrap counters
constexpr std::uint64_t kQueueOfKick = 0xff;    // the rest: whether a descriptor comes

bool is_in(std::span<const RingRules::Memory> memory, std::uint64_t address, std::uint64_t bytes) noexcept {
  // DPDK takes the first with the address.
  const auto found = std::find_if(memory.begin(), memory.end(), [&](const RingRules::Memory& region) {
    return address >= region.begin && address < region.begin + region.bytes;
  });
  return found != memory.end() && bytes <= found->begin + found->bytes - address;
}

}  // namespace

bool RingRules::is_whole(const Ring& ring, std::uint64_t features, std::span<const Memory> memory) noexcept {
  const std::uint64_t entries = ring.entries;
  if (entries == 0 || !is_in(memory, ring.descriptors, 16 * entries)) return false;
  constexpr std::uint64_t kEventBytes = 4;
  if ((features & kPackedRing) != 0) {
    return (ring.base & kPackedPlace) < entries && is_in(memory, ring.available, kEventBytes) &&
           is_in(memory, ring.used, kEventBytes);
  }
  const std::uint64_t event_bytes = (features & kEventIndex) != 0 ? 2 : 0;
  return is_in(memory, ring.available, 4 + 2 * entries + event_bytes) &&
         is_in(memory, ring.used, 4 + 8 * entries + event_bytes);
}

const char* RingRules::refusal_of_size(const VhostMessage& message, std::uint64_t features) noexcept {
  const auto size = message.payload<State>();
  const bool is_possible = size.number != 0 && size.number <= kMostEntries &&
                           ((features & kPackedRing) != 0 || std::has_single_bit(size.number));
  if (size.queue >= kQueues || !is_possible) return "a ring of a size that none can have";
  Ring& ring = rings_[size.queue];
  if (ring.has_place) return "a size for a ring that has a place";
  ring.entries = 0;  // should DPDK not do it
  const auto add = [](std::uint32_t sum, const Ring& other) { return sum + other.entries; };
  if (std::accumulate(rings_.begin(), rings_.end(), size.number, add) > kEntriesTogether) {
    return "more entries in all rings together than it may have";
  }
  return nullptr;
}

const char* RingRules::refusal_of_place(const VhostMessage& message, std::uint64_t features,
                                        std::span<const Memory> memory) const noexcept {
  const auto place = message.payload<Place>();
  if (place.queue >= kQueues || rings_[place.queue].entries == 0) return "a place for a ring without a size";
  const Ring& before = rings_[place.queue];
  const Ring ring{before.entries, true, before.base, place.descriptors, place.used, place.available};
  return is_whole(ring, features, memory) ? nullptr : "a ring that is not all in its memory";
}

const char* RingRules::refusal(const VhostMessage& message, std::uint64_t features,
                               std::span<const Memory> memory) noexcept {
  const auto has_place = [](const Ring& ring) { return ring.has_place; };
  switch (message.request()) {
    case VhostMessage::kSetVringNum: return refusal_of_size(message, features);
    case VhostMessage::kSetVringAddr: return refusal_of_place(message, features, memory);
    case VhostMessage::kSetVringBase: {
      const auto base = message.payload<State>();
      Ring ring = rings_[base.queue % kQueues];
      ring.base = base.number;
      return ring.has_place && !is_whole(ring, features, memory) ? "to go on behind the end of a ring" : nullptr;
    }
    case VhostMessage::kSetVringKick:
      return rings_[message.payload<std::uint64_t>() & kQueueOfKick].has_place ? nullptr
                                                                               : "to start a ring without a place";
    case VhostMessage::kSetFeatures: {
      if ((message.payload<std::uint64_t>() & (kPackedRing | kIndirect)) == kPackedRing) {
        return "packed rings without indirect descriptors, whose place another switch could not find";
      }
      const bool is_other = ((message.payload<std::uint64_t>() ^ features) & kLayout) != 0;
      return is_other && std::any_of(rings_.begin(), rings_.end(), has_place) ? "rings of another kind, and has some"
                                                                              : nullptr;
    }
    case VhostMessage::kSetMemTable: {
      std::array<Memory, VhostMessage::kDescriptors> lent;
      const unsigned count = message.lent(lent);
      const auto is_lost = [&](const Ring& ring) {
        return ring.has_place && !is_whole(ring, features, std::span(lent).first(count));
      };
      return std::any_of(rings_.begin(), rings_.end(), is_lost) ? "memory without a ring that has a place" : nullptr;
    }
    default: return nullptr;
  }
}

bool RingRules::is_ignored(const VhostMessage& message) const noexcept {
  return message.request() == VhostMessage::kResetOwner &&
         std::any_of(rings_.begin(), rings_.end(), [](const Ring& ring) { return ring.entries != 0; });
}

void RingRules::done(const VhostMessage& message, unsigned queues) noexcept {
  switch (message.request()) {
    case VhostMessage::kResetOwner: return is_ignored(message) ? void() : forget();
    case VhostMessage::kSetVringNum: {
      const auto size = message.payload<State>();
      rings_[size.queue].entries = size.number;
      return;
    }
    case VhostMessage::kSetVringAddr: {
      const auto place = message.payload<Place>();
      Ring& ring = rings_[place.queue];
      ring = {ring.entries, true, ring.base, place.descriptors, place.used, place.available};
      return;
    }
    case VhostMessage::kSetVringBase:
    case VhostMessage::kGetVringBase: {
      // What was asked for is told in the same form, and what DPDK had for the ring's size is freed.
      const auto base = message.payload<State>();
      Ring& ring = rings_[base.queue % kQueues];
      if (message.request() == VhostMessage::kGetVringBase) ring = {};
      ring.base = base.number;
      return;
    }
    case VhostMessage::kSetFeatures:
      // Those that a guest without several pairs does not need are gone.
      if (queues < kQueues) std::fill(rings_.begin() + queues, rings_.end(), Ring{});
      return;
    default: return;
  }
}

}  // namespace millrace::datapath::io
