/// RingRules: what a guest says of its rings, before DPDK believes it.
///
/// Theory:  DPDK 22.11 looks whether a ring lies in the guest's memory when it maps it, and not when the ring gets
///          another size, the guest other features or its memory other regions; a ring that is mapped in part counts as
///          ready; a size that it refuses it has set already; and one whose size was never set, or not since the ring
///          was stopped, has no room for what is used; the place in a packed ring is taken as told. A worker would read
///          and write behind the guest's memory, or where nothing is. So messages are refused behind which a ring would
///          not be whole.
/// Rule:    size, then place, then start, as front ends do it; all of a ring in one region, at any time until it is
///          stopped. A ring that has a place keeps its size and its layout.
/// Restart: a packed ring tells where its device is if no chain lies in it (packed_ring.h), which a driver with indirect
///          descriptors does not need. Of another the switch that comes after one that was killed could not go on, and its
///          guest would stand still without a word; so such features are refused.
/// Thread:  DPDK's for the guest.
/// Source:  QEMU, docs/interop/vhost-user.rst; virtio 1.2, sections 2.7 and 2.8; DPDK 22.11, lib/vhost/vhost_user.c.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "datapath/io/vhost_message.h"

namespace millrace::datapath::io {

class RingRules {
 public:
  static constexpr unsigned kQueues = 256;  // VHOST_MAX_VRING of DPDK
  static constexpr std::uint32_t kMostEntries = 1u << 15;
  /// Of all rings of a guest, for DPDK takes some 50 bytes for each from what all guests share: 64 pairs as QEMU has them
  /// at most.
  static constexpr std::uint32_t kEntriesTogether = 1u << 17;

  /// As the guest knows it.
  struct Memory {
    std::uint64_t begin = 0, bytes = 0;
  };
  /// Why DPDK must not see the message; nullptr: it may. `features` and `memory`: those that the guest has.
  const char* refusal(const VhostMessage& message, std::uint64_t features, std::span<const Memory> memory) noexcept;
  /// DPDK must not see it, and the guest is told that it was done: it forgets all rings (VHOST_USER_RESET_OWNER, which is
  /// out of use and may be left undone), and DPDK forgets with them what it allocated for their sizes.
  bool is_ignored(const VhostMessage& message) const noexcept;
  /// DPDK did what it says; `queues`: how many rings it knows since.
  void done(const VhostMessage& message, unsigned queues) noexcept;
  /// The guest went.
  void forget() noexcept { rings_.fill({}); }

 private:
  struct Ring {
    std::uint32_t entries = 0;  // 0: not told, or stopped since
    bool has_place = false;     // and so entries
    std::uint32_t base = 0;
    std::uint64_t descriptors = 0, used = 0, available = 0;
  };
  static bool is_whole(const Ring& ring, std::uint64_t features, std::span<const Memory> memory) noexcept;
  const char* refusal_of_size(const VhostMessage& message, std::uint64_t features) noexcept;
  const char* refusal_of_place(const VhostMessage& message, std::uint64_t features,
                               std::span<const Memory> memory) const noexcept;

  std::array<Ring, kQueues> rings_{};
};

}  // namespace millrace::datapath::io
