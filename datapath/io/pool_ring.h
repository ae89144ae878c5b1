/// PoolRing: where a mempool keeps its free objects: a ring any thread may put into and take from (rte_ring).
///
/// Theory:  does what DPDK's own "ring_mp_mc" does, under the same name, which mempools ask for. That one registers
///          itself in a constructor that no symbol refers to, so a static link leaves it out unless the whole archive
///          is forced in, once and only once, in every program.
/// Thread:  register_pool_ring: control, before the first pool. The ring itself: any.
/// Source:  DPDK Programmer's Guide 22.11, "Mempool Library", mempool handlers.
#pragma once

namespace millrace::datapath::io {

/// Makes the handler known to DPDK, once a process. False when DPDK has no room for one more.
bool register_pool_ring();

}  // namespace millrace::datapath::io
