/// EventTap: what became of single packets, told to a person who watches: every drop, or all packets of some ports.
///
/// Shape:   one tap a worker: a bounded ring of events, one writer, one reader. When nobody watches, a burst costs one
///          load of a flag that is not written. A full ring loses events and counts them; packets never wait.
/// Thread:  watch_*, read: one control thread at a time. Everything else: the worker. Never allocates after
///          construction.
#pragma once

#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <span>

#include "datapath/counters.h"
#include "datapath/handoff.h"
#include "datapath/packet_ends.h"
#include "datapath/snapshot.h"
#include "net/packet.h"

namespace millrace::datapath {

struct PacketEvent {
  std::uint64_t time_ns = 0;  // the worker's clock (monotonic)
  std::uint64_t generation = 0;
  PacketEnds arrived;  // as it came to this worker
  PacketEnds left;     // as it went on; of no meaning for a drop
  std::uint32_t length_bytes = 0;
  net::PortId in_port = net::kNoPort;
  net::PortId tunnel = net::kNoPort;  // by which it came from another node
  /// The way out; a tunnel while it has not entered it. Of a drop by policy: the port whose policies said no; of
  /// another, kNoPort where it was not known.
  net::PortId out_port = net::kNoPort;
  WorkerId worker = 0;
  WorkerId next = 0;  // that the packet went on to
  net::Drop drop = net::Drop::kNone;
  HandoffStage stage = HandoffStage::kArrived;
  net::L3 l3 = net::L3::kNone;  // what has addresses: kIpv4, kIpv6
  std::uint8_t protocol = 0;
  std::uint8_t icmp_type = 0;
  bool is_reply = false;
};

/// Addresses and ports of a packet that the parser took. Precondition: IPv4 or IPv6.
PacketEnds ends_of(const net::Packet& packet) noexcept;

class EventTap {
 public:
  static constexpr std::size_t kRingSize = 2048;

  // Control.
  void watch_drops(bool is_wanted) noexcept;
  void watch_port(net::PortId port, bool is_wanted) noexcept;
  /// Takes up to events.size(), oldest first.
  std::size_t read(std::span<PacketEvent> events) noexcept { return ring_.pop(events.data(), events.size()); }
  /// Events that found the ring full, since the start.
  std::uint64_t lost() const noexcept { return lost_.get(); }

  // The worker.
  void begin_turn(std::uint64_t now_ns, std::uint64_t generation, WorkerId self) noexcept {
    now_ns_ = now_ns;
    generation_ = generation;
    self_ = self;
  }
  /// Somebody watches some port.
  bool traces() const noexcept { return traced_count_.load(std::memory_order_relaxed) != 0; }
  bool traces(net::PortId port) const noexcept {
    return port != net::kNoPort && (traced_[port / 64].load(std::memory_order_relaxed) >> (port % 64) & 1) != 0;
  }
  /// Of a packet that ends here; its headers are as they were.
  void note_drop(const net::Packet& packet, net::Drop reason, HandoffStage stage) noexcept {
    if (is_open_.load(std::memory_order_relaxed)) [[unlikely]]
      put_drop(packet, reason, stage);
  }
  /// Of a packet that goes on; `arrived` from before its translation.
  void note_passage(const net::Packet& packet, const PacketEnds& arrived, WorkerId next, HandoffStage stage) noexcept;

 private:
  void put_drop(const net::Packet& packet, net::Drop reason, HandoffStage stage) noexcept;
  PacketEvent event_of(const net::Packet& packet, HandoffStage stage) const noexcept;
  void put(const PacketEvent& event) noexcept {
    if (!ring_.push(event)) lost_.add(1);
  }
  void open_or_close() noexcept;

  // Written by control, read by the worker.
  std::atomic<bool> is_open_{false};  // somebody watches something
  std::atomic<bool> wants_drops_{false};
  std::atomic<std::uint32_t> traced_count_{0};
  std::array<std::atomic<std::uint64_t>, (kMaxPorts + kMaxTunnels) / 64> traced_{};  // a bit a port or tunnel

  std::uint64_t now_ns_ = 0;
  std::uint64_t generation_ = 0;
  WorkerId self_ = 0;
  Counter lost_;
  boost::lockfree::spsc_queue<PacketEvent, boost::lockfree::capacity<kRingSize>> ring_;
};

}  // namespace millrace::datapath
