#include "datapath/io/mbuf_pool.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <new>

#include "datapath/io/pool_ring.h"
#include "datapath/port.h"

namespace millrace::datapath::io {
namespace {

static_assert(sizeof(rte_mbuf) == kMbufBytes);
static_assert(sizeof(rte_mempool_objhdr) <= kMempoolHeaderBytes);

constexpr std::uint32_t kLineBytes = 64;
constexpr std::uint32_t kPageBytes = 4096;
constexpr std::uint32_t kMinFrameBytes = 2048;  // the kernel's XDP_UMEM_MIN_CHUNK_SIZE
/// Frames a worker keeps at hand; the mempool moves them in bulk from and to the common ring.
constexpr std::uint32_t kCacheFrames = 256;

constexpr std::uint32_t stride_of(std::uint32_t data_room_bytes) {
  const std::uint32_t frame = std::max(kFrameHeadroomBytes + kPacketHeadroomBytes + data_room_bytes, kMinFrameBytes);
  return ((frame + kLineBytes - 1) / kLineBytes | 1) * kLineBytes;
}

/// Inverse of an odd number modulo 2^32 (Newton's iteration doubles the right bits: 3, 6, 12, 24, 48).
constexpr std::uint32_t inverse(std::uint32_t odd) {
  std::uint32_t x = odd;
  for (int i = 0; i < 4; ++i) x *= 2 - odd * x;
  return x;
}
static_assert(inverse(35) * 35 == 1);

std::size_t region_bytes_of(const MbufPoolOptions& options) {
  const std::size_t bytes = std::size_t{options.count} * stride_of(options.data_room_bytes);
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// Makes the Packet of each mbuf once, when the pool is built; afterwards only reset() touches it.
void construct_packet(rte_mempool* /*pool*/, void* data_room, void* mbuf, unsigned /*index*/) {
  auto* packet = new (packet_of(mbuf)) net::Packet;
  packet->buffer = reinterpret_cast<std::uint8_t*>(packet + 1);
  packet->capacity_bytes = kPacketHeadroomBytes + *static_cast<const std::uint32_t*>(data_room);
  MbufPool::reset(*packet);
}

}  // namespace

MbufPool::MbufPool(const MbufPoolOptions& options) noexcept
    : stride_bytes_(stride_of(options.data_room_bytes)),
      stride_inverse_(inverse(stride_bytes_ / kLineBytes)),
      count_(options.count),
      data_room_bytes_(options.data_room_bytes),
      fill_budget_(options.count / 2) {}

std::uint64_t MbufPool::memory_bytes(const MbufPoolOptions& options) noexcept {
  // The mempool's ring holds a pointer a frame, in a power of two.
  return region_bytes_of(options) + std::uint64_t{options.count} * 2 * sizeof(void*);
}

net::Result<std::unique_ptr<MbufPool>> MbufPool::create(const MbufPoolOptions& options) {
  if (options.data_room_bytes < kLineBytes || options.data_room_bytes > kMaxDataRoomBytes) {
    return net::invalid_argument(fmt::format("data room of {} bytes: {} to {} are possible, a frame fits in one page",
                                             options.data_room_bytes, kLineBytes, kMaxDataRoomBytes));
  }
  if (options.count < 2 * kBurst) {
    return net::invalid_argument(fmt::format("pool of {} packets: at least {} are needed", options.count, 2 * kBurst));
  }
  std::unique_ptr<MbufPool> pool(new MbufPool(options));
  if (auto built = pool->build(options); !built) return built.error();
  return pool;
}

net::Result<void> MbufPool::build(const MbufPoolOptions& options) {
  static std::atomic<unsigned> next_number{0};
  const std::string name = fmt::format("packets-{}", next_number.fetch_add(1));
  const int socket = options.numa_node < 0 ? SOCKET_ID_ANY : options.numa_node;
  region_bytes_ = region_bytes_of(options);
  memzone_ = rte_memzone_reserve_aligned(name.c_str(), region_bytes_, socket, 0, kPageBytes);
  const auto failed = [&](const char* what) {
    return net::resource_exhausted(fmt::format("no memory for {} packets of {} bytes ({} MB): {}: {}", count_,
                                               stride_bytes_, region_bytes_ >> 20, what, rte_strerror(rte_errno)));
  };
  if (memzone_ == nullptr) return failed("region");
  region_ = static_cast<std::byte*>(memzone_->addr);

  // Frames must lie at equal strides across pages: only virtual addresses count here (NO_IOVA_CONTIG), and the stride
  // is chosen here, not by DPDK (NO_SPREAD).
  if (!register_pool_ring()) return failed("mempool handler");
  const std::uint32_t cache = std::min(kCacheFrames, count_ / 16);
  mempool_ = rte_mempool_create_empty(name.c_str(), count_, stride_bytes_ - kMempoolHeaderBytes, cache,
                                      sizeof(rte_pktmbuf_pool_private), socket,
                                      RTE_MEMPOOL_F_NO_SPREAD | RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (mempool_ == nullptr) return failed("mempool");
  if (mempool_->header_size != kMempoolHeaderBytes ||
      mempool_->header_size + mempool_->elt_size + mempool_->trailer_size != stride_bytes_) {
    return net::internal_error("this DPDK lays mempool objects out in another way");
  }
  rte_pktmbuf_pool_private layout{};
  layout.mbuf_data_room_size = static_cast<std::uint16_t>(kPacketHeadroomBytes + data_room_bytes_);
  layout.mbuf_priv_size = sizeof(net::Packet);
  rte_pktmbuf_pool_init(mempool_, &layout);
  const int added = rte_mempool_populate_iova(mempool_, reinterpret_cast<char*>(region_), memzone_->iova, region_bytes_,
                                              nullptr, nullptr);
  if (added != static_cast<int>(count_)) return failed("frames");
  rte_mempool_obj_iter(mempool_, rte_pktmbuf_init, nullptr);
  rte_mempool_obj_iter(mempool_, construct_packet, &data_room_bytes_);
  return {};
}

MbufPool::~MbufPool() {
  rte_mempool_free(mempool_);
  if (memzone_ != nullptr) rte_memzone_free(memzone_);
}

net::Packet* MbufPool::allocate() noexcept {
  void* mbuf = nullptr;
  if (rte_mempool_get(mempool_, &mbuf) != 0) return nullptr;
  net::Packet* packet = packet_of(mbuf);
  reset(*packet);
  return packet;
}

bool MbufPool::allocate_bulk(std::span<net::Packet*> out) noexcept {
  std::array<void*, kBurst> mbufs;
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t n = std::min<std::size_t>(out.size() - done, kBurst);
    if (rte_mempool_get_bulk(mempool_, mbufs.data(), static_cast<unsigned>(n)) != 0) {
      release(out.first(done));
      return false;
    }
    for (std::size_t i = 0; i < n; ++i) {
      out[done + i] = packet_of(mbufs[i]);
      reset(*out[done + i]);
    }
    done += n;
  }
  return true;
}

bool MbufPool::allocate_frames(std::span<std::uint64_t> offsets) noexcept {
  assert(offsets.size() <= kBurst);
  std::array<void*, kBurst> mbufs;
  if (rte_mempool_get_bulk(mempool_, mbufs.data(), static_cast<unsigned>(offsets.size())) != 0) return false;
  for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = offset_of(packet_of(mbufs[i]));
  return true;
}

void MbufPool::release_frames(std::span<const std::uint64_t> offsets) noexcept {
  assert(offsets.size() <= kBurst);
  std::array<void*, kBurst> mbufs;
  for (std::size_t i = 0; i < offsets.size(); ++i) mbufs[i] = region_ + offsets[i] + kMempoolHeaderBytes;
  rte_mempool_put_bulk(mempool_, mbufs.data(), static_cast<unsigned>(offsets.size()));
}

void MbufPool::release_tail(net::Packet& packet) noexcept {
  std::array<void*, kBurst> mbufs;
  unsigned count = 0;
  net::Packet* segment = net::take_tail(packet);
  for (bool is_last = false; !is_last;) {
    mbufs[count++] = mbuf_of(segment);
    is_last = !segment->is_chained();
    if (!is_last) segment = segment->next;
    if (count == kBurst || is_last) {
      rte_mempool_put_bulk(mempool_, mbufs.data(), count);
      count = 0;
    }
  }
}

void MbufPool::release(std::span<net::Packet* const> packets) noexcept {
  std::array<void*, kBurst> mbufs;
  while (!packets.empty()) {
    const std::size_t n = std::min<std::size_t>(packets.size(), kBurst);
    for (std::size_t i = 0; i < n; ++i) {
      if (packets[i]->is_chained()) [[unlikely]]
        release_tail(*packets[i]);
      mbufs[i] = mbuf_of(packets[i]);
    }
    rte_mempool_put_bulk(mempool_, mbufs.data(), static_cast<unsigned>(n));
    packets = packets.subspan(n);
  }
}

std::uint32_t MbufPool::free_count() const noexcept { return rte_mempool_avail_count(mempool_); }

}  // namespace millrace::datapath::io
