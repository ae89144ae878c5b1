#include "datapath/io/pool_ring.h"

#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstdio>
#include <cstring>

namespace millrace::datapath::io {
namespace {

rte_ring* ring_of(const rte_mempool* pool) noexcept { return static_cast<rte_ring*>(pool->pool_data); }

int allocate(rte_mempool* pool) {
  char name[RTE_RING_NAMESIZE];
  std::snprintf(name, sizeof name, "r-%.24s", pool->name);
  // Exact size: a ring of a power of two holds one less than that.
  rte_ring* ring = rte_ring_create(name, pool->size, pool->socket_id, RING_F_EXACT_SZ);
  if (ring == nullptr) return -rte_errno;
  pool->pool_data = ring;
  return 0;
}

void release(rte_mempool* pool) { rte_ring_free(ring_of(pool)); }

int put(rte_mempool* pool, void* const* objects, unsigned n) {
  return rte_ring_mp_enqueue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

int take(rte_mempool* pool, void** objects, unsigned n) {
  return rte_ring_mc_dequeue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

unsigned count(const rte_mempool* pool) { return rte_ring_count(ring_of(pool)); }

}  // namespace

bool register_pool_ring() {
  static const bool registered = [] {
    rte_mempool_ops operations{};
    std::strncpy(operations.name, "ring_mp_mc", sizeof operations.name - 1);
    operations.alloc = allocate;
    operations.free = release;
    operations.enqueue = put;
    operations.dequeue = take;
    operations.get_count = count;
    return rte_mempool_register_ops(&operations) >= 0;
  }();
  return registered;
}

}  // namespace millrace::datapath::io
