#include "datapath/io/tx_queue.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include "datapath/port.h"

namespace millrace::datapath::io {

unsigned TxQueue::queue(std::span<net::Packet* const> packets) noexcept {
  if (ring_.size - in_flight_ < packets.size()) {
    reclaim();
    if (ring_.size - in_flight_ < packets.size()) {
      kick();
      reclaim();
    }
  }
  const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(packets.size(), ring_.size - in_flight_));
  std::uint32_t position = 0;
  if (n == 0 || xsk_ring_prod__reserve(&ring_, n, &position) != n) return 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const net::Packet& packet = *packets[i];
    // The kernel would not complete an empty descriptor, and it sends one segment.
    assert(packet.length_bytes == packet.head_bytes && packet.length_bytes != 0);
    const std::uint64_t frame = pool_.offset_of(&packet);
    const auto data = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(packet.data) - pool_.region());
    xdp_desc& descriptor = *xsk_ring_prod__tx_desc(&ring_, position + i);
    descriptor.addr = make_address(frame, data - frame);
    descriptor.len = packet.length_bytes;
    descriptor.options = 0;
    ledger_.give(pool_.index_of(frame));
  }
  xsk_ring_prod__submit(&ring_, n);
  in_flight_ += n;
  return n;
}

void TxQueue::kick() noexcept {
  again_ = false;
  while (!empty()) {
    const std::uint32_t before = __atomic_load_n(ring_.consumer, __ATOMIC_ACQUIRE);
    if (::sendto(descriptor_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) {
      // Zero copy: the driver sends by itself from here on. Copy: the ring is empty.
      return;
    }
    switch (errno) {
      case EAGAIN:  // the end of a batch, or no room in the send account or the completion ring
      case EINTR:
        if (__atomic_load_n(ring_.consumer, __ATOMIC_ACQUIRE) != before) continue;
        again_ = true;
        return;
      case EBUSY:
      case ENOBUFS:
      case ENOMEM: again_ = true; return;
      case ENXIO:  // no longer bound: the interface is gone
        dead_.store(true, std::memory_order_relaxed);
        return;
      default:  // ENETDOWN: set down; what is queued leaves when it is up again and something is sent
        return;
    }
  }
}

void TxQueue::reclaim() noexcept {
  std::array<std::uint64_t, kBurst> frames;
  while (in_flight_ != 0) {
    std::uint32_t position = 0;
    const std::uint32_t n = xsk_ring_cons__peek(&completion_, kBurst, &position);
    if (n == 0) return;
    for (std::uint32_t i = 0; i < n; ++i) {
      frames[i] = frame_of(*xsk_ring_cons__comp_addr(&completion_, position + i));
      ledger_.take_back(pool_.index_of(frames[i]));
    }
    xsk_ring_cons__release(&completion_, n);
    in_flight_ -= n;
    pool_.release_frames(std::span(frames).first(n));
  }
}

}  // namespace millrace::datapath::io
