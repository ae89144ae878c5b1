/// MbufPool: the switch's packets, DPDK mbufs whose whole memory is registered with every AF_XDP socket (UMEM), so a
/// packet goes from one port to another without a copy by the switch.
///
/// Shape:   `count` frames of a stride that is an odd number of cache lines (so that equal fields of neighbouring
///          frames fall into different cache sets): mempool header, rte_mbuf, Packet (mbuf private area), headroom,
///          data room of `data_room_bytes`. One virtually contiguous region, page aligned.
///
///            frame                                                             next frame
///            | mempool header 64 | rte_mbuf 128 | Packet 128 | headroom 256 | data room ... |
///            |<------------ frame_headroom_bytes ----------->|^ Packet::buffer
///
///          The kernel's rules for UMEM chunks set the limits: a chunk is a frame, 2048 to 4096 bytes, and the kernel
///          keeps XDP_PACKET_HEADROOM (256) before the data it writes.
/// Thread:  PacketPool calls from any worker (mempool caches for threads that hold an EalThread). The rest: control.
/// Errors:  kInvalidArgument for a size no frame can have; kResourceExhausted when the memory is not to be had.
/// Source:  kernel Documentation/networking/af_xdp.rst (XDP_UMEM_UNALIGNED_CHUNK_FLAG); DPDK mempool library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "datapath/io/fill_budget.h"
#include "datapath/packet_pool.h"
#include "net/result.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_memzone;

namespace millrace::datapath::io {

/// What lies in a frame before the headroom: mempool header, rte_mbuf, Packet.
inline constexpr std::uint32_t kMempoolHeaderBytes = 64;
inline constexpr std::uint32_t kMbufBytes = 128;
inline constexpr std::uint32_t kFrameHeadroomBytes = kMempoolHeaderBytes + kMbufBytes + sizeof(net::Packet);
/// Headroom of a packet as it comes from a port or from allocate().
inline constexpr std::uint32_t kPacketHeadroomBytes = 256;
static_assert(kPacketHeadroomBytes >= kHeadroomBytes);
/// Longest data room: what is left of the largest odd number of cache lines in 4096 bytes.
inline constexpr std::uint32_t kMaxDataRoomBytes = 63 * 64 - kFrameHeadroomBytes - kPacketHeadroomBytes;

/// DPDK's descriptor of a packet, which its memory pools know as void*, <-> the Packet in its private area.
inline rte_mbuf* mbuf_of(const net::Packet* packet) noexcept {
  return reinterpret_cast<rte_mbuf*>(reinterpret_cast<std::byte*>(const_cast<net::Packet*>(packet)) - kMbufBytes);
}
inline net::Packet* packet_of(void* mbuf) noexcept {
  return reinterpret_cast<net::Packet*>(static_cast<std::byte*>(mbuf) + kMbufBytes);
}

struct MbufPoolOptions {
  std::uint32_t count = 32768;           // frames in all
  std::uint32_t data_room_bytes = 1600;  // longest frame, Ethernet header and VLAN tags included
  int numa_node = -1;
};

class MbufPool final : public PacketPool {
 public:
  static net::Result<std::unique_ptr<MbufPool>> create(const MbufPoolOptions& options);
  /// Memory that `create` will ask of DPDK, for EalOptions::memory_bytes.
  static std::uint64_t memory_bytes(const MbufPoolOptions& options) noexcept;
  ~MbufPool() override;

  net::Packet* allocate() noexcept override;
  /// With all segments of each. Of an mbuf, `next` is null and nb_segs 1 but inside calls of DPDK (vhost_mbuf.h).
  void release(std::span<net::Packet* const> packets) noexcept override;
  /// All or nothing: true when `out` was filled. The packets are as those of allocate().
  bool allocate_bulk(std::span<net::Packet*> out) noexcept;
  /// The same for a port, by frame offset and without a look at the packets. At most kBurst at a time.
  bool allocate_frames(std::span<std::uint64_t> offsets) noexcept;
  void release_frames(std::span<const std::uint64_t> offsets) noexcept;

  /// The memory an AF_XDP socket registers.
  std::byte* region() const noexcept { return region_; }
  std::size_t region_bytes() const noexcept { return region_bytes_; }
  std::uint32_t frame_stride_bytes() const noexcept { return stride_bytes_; }
  /// Bytes from a frame's first byte to where XDP_PACKET_HEADROOM begins: the UMEM's frame headroom.
  std::uint32_t frame_headroom_bytes() const noexcept { return kFrameHeadroomBytes; }
  /// Frame's first byte as an offset in the region <-> packet.
  std::uint64_t offset_of(const net::Packet* packet) const noexcept {
    return static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(packet) - region_) - kPacketOffset;
  }
  net::Packet* packet_at(std::uint64_t frame_offset) const noexcept {
    return reinterpret_cast<net::Packet*>(region_ + frame_offset + kPacketOffset);
  }
  /// Frame's offset <-> its number, 0 .. count - 1.
  std::uint32_t index_of(std::uint64_t frame_offset) const noexcept {
    // An exact division by an odd number is a multiplication by its inverse modulo 2^32.
    return static_cast<std::uint32_t>(frame_offset / 64) * stride_inverse_;
  }
  std::uint64_t offset_at(std::uint32_t index) const noexcept { return std::uint64_t{index} * stride_bytes_; }

  std::uint32_t count() const noexcept { return count_; }
  std::uint32_t free_count() const noexcept;  // any thread; not exact while workers run
  /// Longest frame a packet can hold.
  std::uint32_t data_room_bytes() const noexcept { return data_room_bytes_; }
  FillBudget& fill_budget() noexcept { return fill_budget_; }
  /// For devices that DPDK drives.
  rte_mempool* mempool() const noexcept { return mempool_; }
  /// A control thread that takes or gives frames holds this. Threads leave DPDK's ring in the order in which they came
  /// in, and spin until it is their turn: a dozen that share one core take a time slice of each other for every burst.
  std::mutex& control_mutex() noexcept { return control_mutex_; }

  /// Packet as allocate() gives it, for a port that fills it in.
  static void reset(net::Packet& packet) noexcept {
    packet.data = packet.buffer + kPacketHeadroomBytes;
    packet.head_bytes = 0;
    packet.length_bytes = 0;
    packet.in_port = net::kNoPort;
    packet.out_port = net::kNoPort;
    packet.offload = {};
    packet.headers = {};
    packet.drop = net::Drop::kNone;
    packet.is_reply = false;
    packet.checksum_is_known = false;
  }

 private:
  static constexpr std::uint32_t kPacketOffset = kMempoolHeaderBytes + kMbufBytes;
  explicit MbufPool(const MbufPoolOptions& options) noexcept;
  void release_tail(net::Packet& packet) noexcept;
  net::Result<void> build(const MbufPoolOptions& options);

  std::byte* region_ = nullptr;
  std::uint32_t stride_bytes_;
  std::uint32_t stride_inverse_;
  std::uint32_t count_;
  std::uint32_t data_room_bytes_;
  rte_mempool* mempool_ = nullptr;
  std::size_t region_bytes_ = 0;
  const rte_memzone* memzone_ = nullptr;
  FillBudget fill_budget_;
  std::mutex control_mutex_;
};

}  // namespace millrace::datapath::io
