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

class Port {
 public:
  virtual ~Port() = default;

  /// Fills `out` with at most out.size() packets that arrived; the caller owns them. Sets data, head_bytes,
  /// length_bytes and offload (not in_port). Returns how many; 0 when there are none.
  virtual unsigned receive(std::span<net::Packet*> out) noexcept = 0;

  /// Queues packets for sending. Returns how many were taken, a prefix of `packets`; the port owns those and gives
  /// them back to the pool when sent. The rest stays with the caller. Offload that the device cannot do must have
  /// been resolved before.
  virtual unsigned transmit(std::span<net::Packet* const> packets) noexcept = 0;

  /// Called once at the end of a worker loop in which transmit was called: start what was queued.
  virtual void flush() noexcept {}

  /// Descriptor that becomes readable when packets wait, or -1 when the port must be polled.
  virtual int wait_fd() const noexcept { return -1; }

  /// True while something queued could not leave yet, or wait_fd() would not tell of what comes: a worker that would go
  /// to rest takes another turn instead, and the port tries again in receive().
  virtual bool pending() const noexcept { return false; }
};

}  // namespace millrace::datapath
