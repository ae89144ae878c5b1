/// MbufPool: the switch's packets, DPDK mbufs whose whole memory is registered with every AF_XDP socket (UMEM), so a
/// packet goes from one port to another without a copy by the switch.
///
/// Shape:   `count` frames of a stride that is an odd number of cache lines (so that equal fields of neighbouring
///          frames fall into different cache sets): mempool header, rte_mbuf, Packet (mbuf private area), headroom,
///          data room of `data_room_bytes`. One virtually contiguous region, page aligned.
/// Thread:  PacketPool calls from any worker (mempool caches for threads that hold an EalThread). The rest: control.
/// Errors:  kResourceExhausted when the memory is not to be had.
/// Source:  kernel Documentation/networking/af_xdp.rst (XDP_UMEM_UNALIGNED_CHUNK_FLAG); DPDK mempool library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datapath/packet_pool.h"
#include "net/result.h"

struct rte_mempool;

namespace millrace::datapath::io {

struct MbufPoolOptions {
  std::uint32_t count = 32768;          // frames in all
  std::uint32_t data_room_bytes = 1600; // longest frame, Ethernet header and VLAN tags included
  int numa_node = -1;
};

class MbufPool final : public PacketPool {
 public:
  static net::Result<std::unique_ptr<MbufPool>> create(const MbufPoolOptions& options);
  ~MbufPool() override;

  net::Packet* allocate() noexcept override;
  void release(std::span<net::Packet* const> packets) noexcept override;
  /// All or nothing: true when `out` was filled.
  bool allocate_bulk(std::span<net::Packet*> out) noexcept;

  /// The memory an AF_XDP socket registers.
  std::byte* region() const noexcept;
  std::size_t region_bytes() const noexcept;
  std::uint32_t frame_stride_bytes() const noexcept;
  /// Bytes from a frame's first byte to where XDP_PACKET_HEADROOM begins: the UMEM's frame headroom.
  std::uint32_t frame_headroom_bytes() const noexcept;
  /// Frame's first byte as an offset in the region <-> packet.
  std::uint64_t offset_of(const net::Packet* packet) const noexcept;
  net::Packet* packet_at(std::uint64_t frame_offset) const noexcept;

  std::uint32_t count() const noexcept;
  std::uint32_t free_count() const noexcept;  // any thread; not exact while workers run
  /// Longest frame a packet can hold.
  std::uint32_t data_room_bytes() const noexcept;

 private:
  MbufPool();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::datapath::io
