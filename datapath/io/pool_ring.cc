#include "datapath/io/pool_ring.h"

#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
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

/// Of the calling thread.
struct Limit {
  static constexpr unsigned kKept = TakeLimit::kMost + 1024;  // a cache holds up to 1.5 times 512 (rte_mempool.h)
  bool is_set = false;
  bool is_reached = false;
  unsigned left = 0;
  unsigned kept_count = 0;
  rte_mempool* pool = nullptr;  // of those that are kept
  std::array<void*, kKept> kept{};
};
constinit thread_local Limit limit;

int put_in_ring(rte_mempool* pool, void* const* objects, unsigned n) {
  return rte_ring_mp_enqueue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

int put(rte_mempool* pool, void* const* objects, unsigned n) {
  const bool is_kept = limit.is_set && n <= Limit::kKept - limit.kept_count;
  if (!is_kept) [[likely]]
    return put_in_ring(pool, objects, n);
  limit.pool = pool;
  std::copy_n(objects, n, limit.kept.begin() + limit.kept_count);
  limit.kept_count += n;
  return 0;
}

int take(rte_mempool* pool, void** objects, unsigned n) {
  if (limit.is_set) [[unlikely]] {
    if (n > limit.left) {
      limit.is_reached = limit.is_reached || n == 1;  // more are for the cache: then it asks for what is needed
      return -ENOBUFS;
    }
    limit.left -= n;
  }
  return rte_ring_mc_dequeue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

unsigned count(const rte_mempool* pool) { return rte_ring_count(ring_of(pool)); }

}  // namespace

TakeLimit::TakeLimit(unsigned objects) noexcept {
  assert(!limit.is_set);
  limit.is_set = true;
  limit.is_reached = false;
  limit.left = std::min(objects, kMost);
}

TakeLimit::~TakeLimit() {
  limit.is_set = false;
  if (limit.kept_count != 0) put_in_ring(limit.pool, limit.kept.data(), limit.kept_count);
  limit.kept_count = 0;
}

bool TakeLimit::is_reached() const noexcept { return limit.is_reached; }

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
