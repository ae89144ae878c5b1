/// FillRing: gives the kernel frames to put received packets into, as many as the port needs and no more.
///
/// Theory:  `target` frames are kept with the kernel. It starts small and doubles when the packets found waiting were
///          more than half of what the kernel had, so a burst finds room before the ring runs dry. What is above
///          kFloorFrames must fit into the pool's FillBudget. When that is tight, a port that has been idle takes its
///          extra frames back out of the ring: there is no call for it, but the kernel skips (and counts) addresses
///          outside of the UMEM, so such an address is written over entries at the far end of the ring, which the
///          kernel has not come near to. The ring has twice the target's limit, so that blank entries, which leave
///          only when the kernel passes them, never keep frames out.
/// Thread:  the port's worker; control before the first and after the last turn.
/// Source:  kernel net/xdp/xsk_buff_pool.c (xp_alloc, xp_check_unaligned); NAPI_POLL_WEIGHT in linux/netdevice.h.
#pragma once

#include <cstdint>

#include "datapath/io/af_xdp_socket.h"
#include "datapath/io/frame_ledger.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::datapath::io {

/// Frames every port may hold, whatever the others do. Equal to the kernel's NAPI_POLL_WEIGHT: what it takes from the
/// ring before it says so.
inline constexpr std::uint32_t kFloorFrames = 64;

class FillRing {
 public:
  FillRing(xsk_ring_prod& ring, MbufPool& pool, FrameLedger& ledger, std::uint32_t limit, bool kernel_copies) noexcept;
  ~FillRing();
  FillRing(const FillRing&) = delete;
  FillRing& operator=(const FillRing&) = delete;

  /// After a look at the RX ring: `taken` packets were taken out, `waiting` are left in it.
  void received(std::uint32_t taken, std::uint32_t waiting) noexcept {
    held_ -= taken;
    if (taken != 0) {
      idle_turns_ = 0;
      if ((taken + waiting) * 2 > held_ + taken) grow();
    } else if (++idle_turns_ > kIdleTurns) {
      if (target_ > kFloorFrames && pool_.fill_budget().tight()) give_back();
    }
    if (held_ < target_) top_up();
  }

  std::uint32_t held() const noexcept { return held_; }
  std::uint32_t target() const noexcept { return target_; }

 private:
  static constexpr std::uint32_t kStartFrames = 256;  // a veth's own ring
  static constexpr std::uint32_t kIdleTurns = 32;

  void grow() noexcept;
  void top_up() noexcept;
  void give_back() noexcept;

  xsk_ring_prod& ring_;
  MbufPool& pool_;
  FrameLedger& ledger_;
  const std::uint32_t limit_;
  const bool kernel_copies_;  // a driver with zero copy takes frames far ahead: nothing can be taken back
  std::uint32_t held_ = 0;
  std::uint32_t target_ = kFloorFrames;
  std::uint32_t idle_turns_ = 0;
  std::uint32_t blank_end_ = 0;  // ring position behind the last blank entry
};

}  // namespace millrace::datapath::io
