/// Outbox: packets of one turn on their way out, sorted by out port so that a port gets them in few calls.
///
/// Shape:   up to kOutboxSize packets in the order they were put, chained by out port; put() flushes when it is full.
///          Packets of one port leave in the order they were put. What goes to another worker goes into its hand-over
///          ring at once: the answer to a packet of that worker's port too.
/// Errors:  what a port or ring does not take is dropped and counted on the row of the port it came in by: kTxRingFull,
///          kHandoffRingFull.
/// Thread:  the worker. Never allocates after construction.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "datapath/counters.h"
#include "datapath/event_tap.h"
#include "datapath/handoff.h"
#include "datapath/packet_pool.h"
#include "datapath/snapshot.h"
#include "datapath/steer.h"
#include "datapath/worker.h"

namespace millrace::datapath {

/// Packets held back for batching: eight full bursts, whose descriptors and headers still lie in the second-level
/// cache. With 250 ports written to at random that is two packets a call instead of one.
inline constexpr unsigned kOutboxSize = 512;

class Outbox {
 public:
  Outbox(WorkerId self, PacketPool& pool, HandoffRings& rings, WorkerCounters& counters, EventTap& tap);

  /// Once at the top of a turn, with nothing queued.
  void begin(const Snapshot& snapshot) noexcept {
    snapshot_ = &snapshot;
    written_.clear();
  }
  /// Takes a packet that is ready to leave. Precondition: out_port is a port of the snapshot; in_port is one too, or
  /// kNoPort when it is gone.
  void put(net::Packet& packet) noexcept;
  /// Gives the packet to another worker, at once. Precondition: in_port as for put().
  void hand_over(net::Packet& packet, WorkerId to, HandoffStage stage) noexcept;
  /// Sends what is queued.
  void flush() noexcept;
  /// Once at the end of a turn: sends what is queued, starts the ports that were written, wakes the workers that were
  /// handed packets.
  void finish() noexcept;
  /// Ports transmitted to in the turn that finish() ended; until the next begin().
  std::span<const net::PortId> written() const noexcept { return written_; }

 private:
  static constexpr std::uint16_t kEnd = 0xffff;
  struct Chain {
    std::uint16_t first = kEnd;
    std::uint16_t last = kEnd;
    bool was_written = false;  // in this turn
  };

  /// Ports whose memory is fetched ahead while the outbox is flushed.
  static constexpr unsigned kPortsAhead = 4;

  void prefetch_port(net::PortId id) noexcept;
  void send_chain(net::PortId id) noexcept;
  void transmit(net::PortId id, std::span<net::Packet* const> packets) noexcept;
  void drop(std::span<net::Packet* const> packets, net::Drop reason) noexcept;

  WorkerId self_;
  PacketPool& pool_;
  HandoffRings& rings_;
  WorkerCounters& counters_;
  EventTap& tap_;
  const Snapshot* snapshot_ = nullptr;

  unsigned queued_ = 0;
  std::array<net::Packet*, kOutboxSize> packets_{};
  std::array<std::uint16_t, kOutboxSize> next_{};  // index of the next packet of the same port
  std::vector<Chain> chains_;                      // [port limit]
  unsigned active_count_ = 0;
  std::array<net::PortId, kOutboxSize> active_{};  // ports with a chain, in the order of their first packet
  std::vector<net::PortId> written_;               // ports transmitted to in this turn; reserved for the port limit
  std::uint32_t wake_mask_ = 0;                    // workers handed packets in this turn
  static_assert(kMaxWorkers <= 32);
};

inline void Outbox::put(net::Packet& packet) noexcept {
  if (const WorkerId to = owner(*snapshot_, packet.out_port); to != self_) [[unlikely]] {
    hand_over(packet, to, HandoffStage::kAnswer);
    return;
  }
  if (queued_ == kOutboxSize) [[unlikely]]
    flush();
  const auto index = static_cast<std::uint16_t>(queued_++);
  packets_[index] = &packet;
  next_[index] = kEnd;
  Chain& chain = chains_[packet.out_port];
  if (chain.first == kEnd) {
    chain.first = index;
    active_[active_count_++] = packet.out_port;
  } else {
    next_[chain.last] = index;
  }
  chain.last = index;
}

}  // namespace millrace::datapath
