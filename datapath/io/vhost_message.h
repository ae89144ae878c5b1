/// VhostMessage: a message of a guest's, before DPDK handles it: what DPDK would do harm with is refused.
///
/// Refused: what is not offered, and DPDK 22.11 does nevertheless for a guest that asks: memory beside the table of
///          regions (the log of what is written, the record of descriptors in flight), whose place in this process
///          nobody tells; page faults that a guest answers, or does not. Files that are not in memory: whoever touches
///          one waits for a disk, or for the process that is its file system. A table of regions that cannot be mapped:
///          DPDK unmaps the old ones first, leaves the rings where those were, and forgets the file. What is to be
///          called by and is no eventfd: it cannot be called (guest_calls.h).
/// Shape:   as DPDK hands it to those that handle messages for it, the guest's descriptors behind it.
/// Thread:  DPDK's for the guest.
/// Source:  DPDK 22.11, lib/vhost/vhost_user.h, struct vhu_msg_context ("external message handlers rely on" it);
///          vhost_user.c; QEMU, docs/interop/vhost-user.rst.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace millrace::datapath::io {

class VhostMessage {
 public:
  static constexpr unsigned kPayloadBytes = 632, kDescriptors = 8;
  /// As it comes by the socket, in the byte order of the machine.
  struct Header {
    std::uint32_t request, flags, bytes;  // of the payload, which follows
  };
  static_assert(sizeof(Header) == 12);
  enum Request : std::uint32_t {
    kSetFeatures = 2,
    kResetOwner = 4,
    kSetMemTable = 5,
    kSetLogBase = 6,
    kSetVringNum = 8,
    kSetVringAddr = 9,
    kSetVringBase = 10,
    kGetVringBase = 11,
    kSetVringKick = 12,
    kSetVringCall = 13,
    kSetVringErr = 14,
    kPostcopyAdvise = 28,
    kPostcopyListen = 29,
    kPostcopyEnd = 30,
    kGetInflightFd = 31,
    kSetInflightFd = 32
  };

  explicit VhostMessage(void* context) noexcept : context_(static_cast<Context*>(context)) {}

  /// Why DPDK must not see it; nullptr: it may. `has_memory`: the guest has lent some before.
  const char* refusal(bool has_memory) const noexcept;
  std::uint32_t request() const noexcept { return context_->request; }
  /// What comes behind the header, as far as it goes; DPDK reads it so, too.
  template <typename T>
  T payload() const noexcept {
    static_assert(sizeof(T) <= kPayloadBytes);
    T value;
    std::memcpy(&value, context_->payload, sizeof value);
    return value;
  }
  /// Writes where the memory that the message lends lies for the guest; returns the regions.
  template <typename Memory>
  unsigned lent(std::array<Memory, kDescriptors>& regions) const noexcept {
    const unsigned count = context_->memory.count < kRegions ? context_->memory.count : kRegions;
    for (unsigned i = 0; i < count; ++i) {
      regions[i] = {context_->memory.regions[i].user_address, context_->memory.regions[i].bytes};
    }
    return count;
  }
  /// Of a message that is refused: nobody else closes them.
  void close_descriptors() noexcept;
  /// DPDK maps or unmaps the guest's memory for it.
  bool changes_memory() const noexcept;
  /// Once it was done, the guest has memory.
  bool lends_memory() const noexcept;

 private:
  static constexpr unsigned kRegions = kDescriptors;
  struct Region {
    std::uint64_t guest_address, bytes, user_address, offset;
  };
  struct [[gnu::packed]] Context {
    std::uint32_t request, flags, size;
    union [[gnu::packed]] {
      struct [[gnu::packed]] {
        std::uint32_t count, padding;
        Region regions[kRegions];
      } memory;
      std::uint8_t payload[kPayloadBytes];
    };
    int descriptors[kRegions];
    int descriptor_count;
  };
  static_assert(sizeof(Context) == 12 + kPayloadBytes + kRegions * sizeof(int) + sizeof(int));

  bool is_called_by_descriptor() const noexcept;
  bool are_in_memory() const noexcept;
  bool can_be_mapped() const noexcept;

  Context* context_;
};

}  // namespace millrace::datapath::io
