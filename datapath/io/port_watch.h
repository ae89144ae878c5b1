/// PortWatch: what a resting worker waits on: the descriptors of its ports and its own eventfd.
///
/// Theory:  the epoll set is level-triggered, so nothing needs to be armed: a packet that came before the wait ends it
///          at once. The set is made anew when the snapshot changed, and only when the worker is about to wait.
/// Thread:  the worker's own; `ring` any.
#pragma once

#include <cstdint>

#include "datapath/snapshot.h"
#include "net/result.h"

namespace millrace::datapath::io {

class PortWatch {
 public:
  static net::Result<PortWatch> create();
  ~PortWatch();
  PortWatch(PortWatch&& other) noexcept;
  PortWatch(const PortWatch&) = delete;
  PortWatch& operator=(const PortWatch&) = delete;
  PortWatch& operator=(PortWatch&&) = delete;

  /// Watches the ports of `worker`. `snapshot` may be null: then only ring() ends a wait.
  void watch(const Snapshot* snapshot, WorkerId worker) noexcept;
  /// True when every port has a descriptor to wait on.
  bool complete() const noexcept { return complete_; }
  enum class Wake : std::uint8_t { kTimeout, kRing, kPort };
  /// Waits until a port has packets, somebody rings, or `timeout_ms` passed (-1: without end).
  Wake wait(int timeout_ms) noexcept;
  void ring() noexcept;

 private:
  PortWatch() = default;
  void add(int descriptor) noexcept;

  int epoll_ = -1;
  int eventfd_ = -1;
  std::uint64_t generation_ = 0;
  bool built_ = false;
  bool complete_ = true;
};

}  // namespace millrace::datapath::io
