/// TxQueue: the sending half of an AF_XDP socket: descriptors in, a kick, completed frames back to the pool.
///
/// Theory:  in copy mode the kernel sends inside of sendto and completes when the receiver took the copy; so a kick
///          is needed for everything that was queued. It does not wait: what it could not send (EAGAIN, EBUSY,
///          ENOBUFS) is kicked again on a later turn, and `pending` says so.
/// Size:    at most the ring's size is in flight, which is also the completion ring's size: a completion always fits.
/// Thread:  the port's worker.
/// Source:  kernel net/xdp/xsk.c (xsk_generic_xmit); Documentation/networking/af_xdp.rst, XDP_USE_NEED_WAKEUP.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "datapath/io/af_xdp_socket.h"
#include "datapath/io/frame_ledger.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::datapath::io {

class TxQueue {
 public:
  TxQueue(AfXdpSocket& socket, MbufPool& pool, FrameLedger& ledger) noexcept
      : ring_(socket.tx),
        completion_(socket.completion),
        descriptor_(socket.descriptor()),
        pool_(pool),
        ledger_(ledger) {}

  /// Queues a prefix of `packets`; returns how many.
  unsigned queue(std::span<net::Packet* const> packets) noexcept;
  /// Sends what is queued, as far as the kernel takes it now.
  void kick() noexcept;
  /// Gives completed frames back to the pool.
  void reclaim() noexcept;

  /// Something is queued that the kernel did not take and that is worth another kick soon.
  bool pending() const noexcept { return again_; }
  std::uint32_t in_flight() const noexcept { return in_flight_; }
  /// The socket lost its interface.
  bool dead() const noexcept { return dead_.load(std::memory_order_relaxed); }

 private:
  bool empty() const noexcept { return __atomic_load_n(ring_.consumer, __ATOMIC_ACQUIRE) == ring_.cached_prod; }

  xsk_ring_prod& ring_;
  xsk_ring_cons& completion_;
  const int descriptor_;
  MbufPool& pool_;
  FrameLedger& ledger_;
  std::uint32_t in_flight_ = 0;
  bool again_ = false;
  std::atomic<bool> dead_{false};
};

}  // namespace millrace::datapath::io
