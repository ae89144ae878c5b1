/// PoolRing: where a mempool keeps its free objects: a ring any thread may put into and take from (rte_ring).
///
/// Theory:  does what DPDK's own "ring_mp_mc" does, under the same name, which mempools ask for. That one registers
///          itself in a constructor that no symbol refers to, so a static link leaves it out unless the whole archive
///          is forced in, once and only once, in every program.
/// Thread:  register_pool_ring: control, before the first pool. The ring itself: any.
/// Source:  DPDK Programmer's Guide 22.11, "Mempool Library", mempool handlers.
#pragma once

namespace millrace::datapath::io {

/// While it lives, the thread that made it takes at most so many objects from rings, and puts none back: those are kept
/// here until it ends. One at a time on a thread.
///
/// Theory:  DPDK 22.11, lib/vhost/virtio_net.c: a guest's chain is copied into as many frames as its descriptors claim
///          bytes, until the pool has no more; and pieces of it that are small are written last, also into frames that
///          were freed when the pool had no more, which another worker may have by then.
/// Cache:   what lies in the thread's mempool cache is beyond this, so who may take `limit` gets at least that many.
class TakeLimit {
 public:
  /// Most that may be taken: what is freed meanwhile is kept in an array, with what the thread's cache held before.
  static constexpr unsigned kMost = 3072;
  explicit TakeLimit(unsigned limit) noexcept;
  ~TakeLimit();
  TakeLimit(const TakeLimit&) = delete;
  TakeLimit& operator=(const TakeLimit&) = delete;
  /// Somebody wanted more.
  bool is_reached() const noexcept;
};

/// Makes the handler known to DPDK, once a process. False when DPDK has no room for one more.
bool register_pool_ring();

}  // namespace millrace::datapath::io
