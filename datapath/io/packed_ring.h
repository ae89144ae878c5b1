/// Where a device stands in a packed ring, told by the ring itself: for a switch that was killed, and whose guest's
/// side can not tell where it was. (QEMU asks the switch for its position when a connection ends well, and has nothing
/// to go by when it does not; of a split ring the guest's memory holds the position.)
///
/// Theory:  each descriptor has two bits, AVAIL and USED, and each lap of the ring turns what they mean. In a lap whose
///          wrap counter is w the driver makes a descriptor available by AVAIL = w, USED = !w, and the device uses it
///          by AVAIL = USED = w. So from the device's position on there are, for one lap, those that are available,
///          then those of the lap before, used; and the position is the one place from which the ring reads like this.
/// Rest:    two leave descriptors that are used ahead of others that are not: a device that was killed amid a burst,
///          for it writes the first of several last (the driver looks at that one); and QEMU, which empties the guest's
///          transmit queues while no switch is connected, but goes by a position of its own, in no way the switch's.
///          The driver waits for the first that is not used, so all of the rest are given back to it, with nothing
///          written.
/// Shape:   one descriptor for each buffer, as a driver has them that was given VIRTIO_F_INDIRECT_DESC. Of a chain in
///          the ring only the first is written, so with those nothing can be told.
/// Thread:  any; no device uses the ring meanwhile. The driver may: it writes what it makes available in order, so the
///          ring is read against its order.
/// Source:  virtio 1.2, sections 2.8.1 and 2.8.21; QEMU 7.2, virtio_net_handle_tx_bh, virtqueue_packed_drop_all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace millrace::datapath::io {

/// As in the guest's memory; little-endian, which is this machine's order.
struct PackedDescriptor {
  std::uint64_t address;
  std::uint32_t length_bytes;
  std::uint16_t id;
  std::uint16_t flags;
};
static_assert(sizeof(PackedDescriptor) == 16);

inline constexpr std::uint16_t kPackedAvail = 1u << 7;
inline constexpr std::uint16_t kPackedUsed = 1u << 15;

/// A place of a ring, and the wrap counter there.
struct PackedPlace {
  std::uint16_t index = 0;
  bool wrap = true;

  /// Precondition: count <= size.
  PackedPlace after(std::size_t count, std::size_t size) const noexcept {
    const std::size_t sum = index + count;
    return sum < size ? PackedPlace{static_cast<std::uint16_t>(sum), wrap}
                      : PackedPlace{static_cast<std::uint16_t>(sum - size), !wrap};
  }
  /// As a vhost-user message has it: the index, and the counter in bit 15.
  std::uint16_t base() const noexcept { return static_cast<std::uint16_t>(index | (wrap ? 1u << 15 : 0u)); }
  bool operator==(const PackedPlace&) const = default;
};

struct PackedPosition {
  PackedPlace first;       // that is not used
  std::uint16_t rest = 0;  // so many from there on to the last that is used; 0: none is
  bool operator==(const PackedPosition&) const = default;
};

/// nullopt: no device that uses a ring in order leaves it like this.
std::optional<PackedPosition> find_position(std::span<const PackedDescriptor> ring) noexcept;

/// Gives the rest back to the driver; where the device goes on.
/// Precondition: `position` is what find_position(ring) said.
PackedPlace finish_rest(std::span<PackedDescriptor> ring, const PackedPosition& position) noexcept;

}  // namespace millrace::datapath::io
