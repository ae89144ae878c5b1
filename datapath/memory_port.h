/// MemoryPort and MemoryPool: a port and packets in plain memory, for the simulator, tests and benchmarks.
///
/// Shape:   a MemoryPort has two ends. The switch's end is Port; the far end offers packets to be received and collects
///          what was transmitted. Both directions are bounded rings of pointers. A MemoryPool is one block of frames:
///          descriptor, headroom, data room. Free packets are a stack of indexes (Treiber): the head carries a tag that
///          changes with every push and pop, so that a head seen before is not taken for the one of now. A packet goes
///          back with all its segments.
/// Thread:  switch's end: the port's worker. Far end: one other thread, or the same. Pool: any thread.
/// Errors:  a full ring takes a prefix and says how many; an empty pool gives nullptr.
#pragma once

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "datapath/packet_pool.h"
#include "datapath/port.h"

namespace millrace::datapath {

class MemoryPool final : public PacketPool {
 public:
  static constexpr std::size_t kMaxPackets = 1u << 24;

  /// Precondition: 1 <= packet_count <= kMaxPackets. Data rooms begin `kHeadroomBytes` into each buffer.
  explicit MemoryPool(std::size_t packet_count, std::uint32_t data_room_bytes = 1600);

  net::Packet* allocate() noexcept override;
  void release(std::span<net::Packet* const> packets) noexcept override;

  std::size_t size() const noexcept { return packets_.size(); }
  /// Exact when no other thread allocates or releases.
  std::size_t free_count() const noexcept { return free_count_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  void release_tail(net::Packet& packet) noexcept;

  std::uint32_t buffer_bytes_;
  std::vector<std::uint8_t> buffers_;
  std::vector<net::Packet> packets_;
  /// Of the free packet below each: read by who pops and loses the race for it too, so atomic.
  std::vector<std::atomic<std::uint32_t>> next_;
  std::atomic<std::uint64_t> free_{kNone};  // index of the packet on top, tag above
  std::atomic<std::size_t> free_count_{0};
};

class MemoryPort final : public Port {
 public:
  explicit MemoryPort(std::size_t ring_size = 1024) : to_switch_(ring_size), from_switch_(ring_size) {}

  unsigned receive(std::span<net::Packet*> out) noexcept override {
    return static_cast<unsigned>(to_switch_.pop(out.data(), out.size()));
  }
  unsigned transmit(std::span<net::Packet* const> packets) noexcept override {
    return static_cast<unsigned>(from_switch_.push(packets.data(), packets.size()));
  }
  TxOffload tx_offload() const noexcept override { return tx_offload_; }
  void flush() noexcept override { flushes_.fetch_add(1, std::memory_order_relaxed); }

  /// Far end: what it takes unfinished. While the port's worker does not run.
  void set_tx_offload(const TxOffload& offload) noexcept { tx_offload_ = offload; }
  /// Far end: packets for the switch to receive. Returns how many were taken.
  unsigned offer(std::span<net::Packet* const> packets) noexcept {
    return static_cast<unsigned>(to_switch_.push(packets.data(), packets.size()));
  }
  /// Far end: takes at most out.size() packets that the switch transmitted; the caller owns them.
  unsigned collect(std::span<net::Packet*> out) noexcept {
    return static_cast<unsigned>(from_switch_.pop(out.data(), out.size()));
  }
  /// Calls of flush so far.
  std::uint64_t flushes() const noexcept { return flushes_.load(std::memory_order_relaxed); }

 private:
  boost::lockfree::spsc_queue<net::Packet*> to_switch_;
  boost::lockfree::spsc_queue<net::Packet*> from_switch_;
  std::atomic<std::uint64_t> flushes_{0};
  TxOffload tx_offload_;
};

}  // namespace millrace::datapath
