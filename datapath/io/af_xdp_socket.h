/// AfXdpSocket: one AF_XDP socket with its own registration of the pool's memory (UMEM) and its four rings.
///
/// Theory:  every socket registers the whole region of the pool, with XDP_UMEM_UNALIGNED_CHUNK_FLAG: a chunk may begin
///          anywhere, so the pool's stride is the chunk size and any port accepts any packet. In this mode an address
///          is the frame's offset in its lower 48 bits and the distance to the data in the upper 16.
/// Size:    the kernel keeps about 130 bytes for each frame of the pool and each socket (4 MB for 32768 frames).
/// Thread:  control creates and destroys; the rings are the worker's.
/// Errors:  kPermissionDenied, kFailedPrecondition with the kernel's reason. `open` waits up to a second for a queue
///          that its last owner has not quite left.
/// Source:  kernel Documentation/networking/af_xdp.rst; libxdp, xsk.h.
#pragma once

#include <xdp/xsk.h>

#include <cstdint>
#include <memory>
#include <string>

#include "datapath/io/mbuf_pool.h"
#include "net/result.h"

namespace millrace::datapath::io {

struct AfXdpSocketOptions {
  std::string interface;
  std::uint32_t queue = 0;
  std::uint32_t rx_ring_size = 2048;
  std::uint32_t tx_ring_size = 2048;  // of the completion ring too: what is in flight always has a slot to come back
};

class AfXdpSocket {
 public:
  static net::Result<std::unique_ptr<AfXdpSocket>> open(const MbufPool& pool, const AfXdpSocketOptions& options);
  ~AfXdpSocket();
  AfXdpSocket(const AfXdpSocket&) = delete;
  AfXdpSocket& operator=(const AfXdpSocket&) = delete;

  int descriptor() const noexcept { return xsk_socket__fd(socket_); }
  bool zero_copy() const noexcept;
  xdp_statistics statistics() const noexcept;
  /// The kernel's error on the socket (ENETDOWN after the interface is gone), which it forgets when asked.
  int take_error() const noexcept;

  xsk_ring_cons rx{};
  xsk_ring_prod tx{};
  xsk_ring_prod fill{};  // twice as large as rx: fill_ring.h says why
  xsk_ring_cons completion{};

 private:
  AfXdpSocket() = default;
  net::Result<void> bind(const MbufPool& pool, const AfXdpSocketOptions& options);
  void tune(std::uint32_t tx_ring_size) noexcept;

  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
};

/// Frame offset and distance to the data <-> address in a descriptor.
inline std::uint64_t make_address(std::uint64_t frame_offset, std::uint64_t distance_bytes) noexcept {
  return frame_offset | distance_bytes << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
}
inline std::uint64_t frame_of(std::uint64_t address) noexcept { return address & XSK_UNALIGNED_BUF_ADDR_MASK; }
inline std::uint64_t distance_of(std::uint64_t address) noexcept { return address >> XSK_UNALIGNED_BUF_OFFSET_SHIFT; }

}  // namespace millrace::datapath::io
