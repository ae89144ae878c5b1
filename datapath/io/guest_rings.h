/// GuestRings: the split rings of a guest, served without DPDK's vhost library where nothing unusual lies in them.
///
/// Shape:   a packet in one descriptor, with nothing left to offload, is copied between the guest's memory and a frame
///          of the pool here, a burst at a time: each step reads for all of them what the next one needs, so that their
///          misses overlap. At the first descriptor that is anything else (a chain, an indirect table, a checksum left,
///          no room) the caller goes on with the library, from the very same place of the ring: the library keeps the
///          positions, they are read before a burst and written behind it. Guests with packed rings or an IOMMU are the
///          library's altogether.
/// Ahead:   a packet that comes alone overlaps with nothing. So what the next one to the guest will touch is fetched while
///          there is nothing to do: of all that can be done for a single packet's time that is what is worth most.
/// Trust:   what lies in the guest's memory is read once and checked against its regions before it is used. What a
///          guest changes meanwhile changes what it sends, and nothing else.
/// Messages: the guest's messages change rings and regions. pause() before each, and resume() behind it, keep the
///          worker out; it goes by the library meanwhile, which has locks of its own for that.
/// Thread:  take, give and look_ahead: the port's worker. close: any, in a signal handler too. All else: DPDK's
///          thread for the guest.
/// Source:  virtio 1.2, section 2.7 (split virtqueues), 5.1.6 (virtio_net_hdr).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "datapath/io/mbuf_pool.h"
#include "net/packet.h"

struct vring_avail;
struct vring_desc;
struct vring_used;

namespace millrace::datapath::io {

class GuestRings {
 public:
  static constexpr unsigned kQueues = 128;
  static constexpr unsigned kRegions = 8;  // VHOST_MEMORY_MAX_NREGIONS of DPDK

  struct Done {
    unsigned count = 0;
    bool is_all = false;     // else the library goes on: there is more in the ring, or nobody has looked
    bool must_call = false;  // the guest may want to be told (rte_vhost_vring_call)
  };
  /// Packets from the guest's queue, at most `out`. They are as a pool gives them, with data, lengths, and their
  /// checksum known to be complete.
  Done take(unsigned queue, MbufPool& pool, std::span<net::Packet*> out) noexcept;
  /// To the guest's queue; the packets stay the caller's. Counts those that were copied, from the first.
  Done give(unsigned queue, std::span<net::Packet* const> packets) noexcept;
  /// In a turn without packets from the guest. A step a call: the descriptor, then the buffer that it names.
  void look_ahead() noexcept {
    if (ahead_steps_ != 0) fetch_ahead();
  }

  void set_enabled(unsigned queue, bool is_enabled) noexcept;
  /// The guest went: the next one enables its queues itself.
  void forget() noexcept;
  /// Returns when the worker is out; nobody is served here until resume().
  void pause() noexcept;
  /// As pause(), without waiting: a visit may go on, the caller's own too.
  void close() noexcept { is_open_.store(false, std::memory_order_seq_cst); }
  /// Reads what the guest has now. Between pause() and this the guest's memory may be any.
  void resume(int guest) noexcept;

 private:
  struct Region {
    std::uint64_t guest_address = 0;
    std::uint64_t bytes = 0;
    std::byte* memory = nullptr;
  };
  struct Ring {
    vring_desc* descriptors = nullptr;  // nullptr: not served here
    vring_avail* available = nullptr;
    vring_used* used = nullptr;
    std::uint32_t size = 0;  // a power of two
  };
  /// Whether the worker is in, for as long as it is.
  class Visit {
   public:
    explicit Visit(GuestRings& rings) noexcept : rings_(rings) {
      rings_.is_inside_.store(true, std::memory_order_seq_cst);
      is_open_ = rings_.is_open_.load(std::memory_order_seq_cst);
    }
    ~Visit() { rings_.is_inside_.store(false, std::memory_order_release); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    explicit operator bool() const noexcept { return is_open_; }

   private:
    GuestRings& rings_;
    bool is_open_;
  };
  struct Piece {
    std::byte* memory;
    std::uint32_t bytes;
    std::uint16_t head;
  };

  std::byte* memory_at(std::uint64_t address, std::uint32_t bytes) const noexcept;  // nullptr: not all the guest's
  template <std::uint16_t kFlags>
  unsigned pieces(const Ring& ring, std::uint16_t first, unsigned count, std::span<Piece> found) const noexcept;
  Done take_inside(unsigned queue, MbufPool& pool, std::span<net::Packet*> out) noexcept;
  Done give_inside(unsigned queue, std::span<net::Packet* const> packets) noexcept;
  bool must_call(const Ring& ring) const noexcept;
  void fetch_ahead() noexcept;

  unsigned ahead_queue_ = 0;  // whose next buffer is fetched; the worker's, as is the next
  unsigned ahead_steps_ = 0;  // that are left of it
  alignas(64) std::atomic<bool> is_inside_{false};
  std::atomic<bool> is_open_{false};
  int guest_ = -1;           // DPDK's number of it
  bool has_events_ = false;  // VIRTIO_F_EVENT_IDX: the library knows when the guest is to be called
  std::uint32_t header_bytes_ = 0;
  unsigned region_count_ = 0;
  std::array<Region, kRegions> regions_;
  std::array<Ring, kQueues> rings_;
  std::array<std::atomic<bool>, kQueues> is_enabled_{};
};

}  // namespace millrace::datapath::io
