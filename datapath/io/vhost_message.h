/// VhostMessage: a message of a guest's, before DPDK handles it: what DPDK would do harm with is refused.
///
/// Refused: what is not offered, and DPDK 22.11 does nevertheless for a guest that asks: memory beside the table of
///          regions (the log of what is written, the record of descriptors in flight), whose place in this process
///          nobody tells; page faults that a guest answers, or does not. Files that are not in memory: whoever touches
///          one waits for a disk, or for the process that is its file system. A table of regions that cannot be mapped:
///          DPDK unmaps the old ones first, and leaves the rings where those were. What is to be called by and is no
///          eventfd: a worker writes to it, and a pipe or a socket that is full would keep it.
/// Shape:   as DPDK hands it to those that handle messages for it, the guest's descriptors behind it.
/// Thread:  DPDK's for the guest.
/// Source:  DPDK 22.11, lib/vhost/vhost_user.h, struct vhu_msg_context ("external message handlers rely on" it);
///          vhost_user.c; QEMU, docs/interop/vhost-user.rst.
#pragma once

#include <cstdint>

namespace millrace::datapath::io {

class VhostMessage {
 public:
  explicit VhostMessage(void* context) noexcept : context_(static_cast<Context*>(context)) {}

  /// Why DPDK must not see it; nullptr: it may. `has_memory`: the guest has lent some before.
  const char* refusal(bool has_memory) const noexcept;
  /// What a worker will write to does not keep it waiting, full as it may be: until the guest, whose open file it is,
  /// says otherwise.
  void unblock_calls() noexcept;
  /// Of a message that is refused: nobody else closes them.
  void close_descriptors() noexcept;
  /// DPDK maps or unmaps the guest's memory for it.
  bool changes_memory() const noexcept;
  /// Once it was done, the guest has memory.
  bool lends_memory() const noexcept;

 private:
  static constexpr unsigned kRegions = 8;
  static constexpr unsigned kPayloadBytes = 632;
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
