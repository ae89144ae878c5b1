/// Port: what the datapath knows of a device, two burst calls.
///
/// Thread:  the worker that owns the port, and no other. Never blocks. System calls that a device needs (a kick, a
///          wakeup) happen inside the port and nowhere else.
#pragma once

#include <span>

#include "net/packet.h"

namespace millrace::datapath {

/// Most packets a port hands over or takes in one call.
inline constexpr unsigned kBurst = 64;

/// What a port sends that is not finished: whoever is behind it has said that he takes it so.
struct TxOffload {
  bool checksum = false;  // partial checksums of TCP and UDP
  bool tcp4 = false;      // TCP over IPv4 that is to be cut, in several segments; its checksum partial
  bool tcp6 = false;
};

class Port {
 public:
  virtual ~Port() = default;

  /// Fills `out` with at most out.size() packets that arrived; the caller owns them. Sets data, head_bytes,
  /// length_bytes, offload and, of a packet with several segments, next (not in_port). Returns how many; 0 when there
  /// are none.
  virtual unsigned receive(std::span<net::Packet*> out) noexcept = 0;

  /// Queues packets for sending. Returns how many were taken, a prefix of `packets`; the port owns those and gives
  /// them back to the pool when sent. The rest stays with the caller. Packets are complete, and of one segment, but for
  /// what tx_offload() takes.
  virtual unsigned transmit(std::span<net::Packet* const> packets) noexcept = 0;

  /// May change when somebody else comes to be behind the port; what was ready for the one before is sent, or lost.
  virtual TxOffload tx_offload() const noexcept { return {}; }

  /// Called once at the end of a worker loop in which transmit was called: start what was queued.
  virtual void flush() noexcept {}

  /// Descriptor that becomes readable when packets wait, or -1 when the port must be polled.
  virtual int wait_fd() const noexcept { return -1; }

  /// True while something queued could not leave yet, or wait_fd() would not tell of what comes: a worker that would go
  /// to rest takes another turn instead, and the port tries again in receive().
  virtual bool pending() const noexcept { return false; }
};

}  // namespace millrace::datapath
