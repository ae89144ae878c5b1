#include "datapath/io/guest_rings.h"

#define VIRTIO_RING_NO_LEGACY  // what is legacy in it is no C++
#include <linux/virtio_ring.h>
#include <rte_memcpy.h>
#include <rte_vhost.h>
#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "datapath/port.h"

namespace millrace::datapath::io {
namespace {

/// virtio_net_hdr without and with num_buffers.
constexpr std::uint32_t kShortHeaderBytes = 10, kHeaderBytes = 12;
constexpr std::uint32_t kLeastFrameBytes = 14;
/// Behind more packets at once than these nothing is fetched ahead: the next are likely to be as many, and overlap.
constexpr unsigned kFewPackets = 4;
constexpr unsigned kAheadSteps = 2;
constexpr std::uint32_t kAheadBytes = 128;
/// Feature bits (virtio 1.2, sections 5.1.3 and 6).
constexpr std::uint64_t kMergeableBuffers = 1ull << 15, kEventIndex = 1ull << 29, kVersion1 = 1ull << 32,
                        kIommu = 1ull << 33, kPackedRing = 1ull << 34;

template <typename T>
T read_once(const T& shared) noexcept {
  return std::atomic_ref<T>(const_cast<T&>(shared)).load(std::memory_order_relaxed);
}
std::uint16_t read_index(const std::uint16_t& index) noexcept {
  return std::atomic_ref<std::uint16_t>(const_cast<std::uint16_t&>(index)).load(std::memory_order_acquire);
}
void write_index(std::uint16_t& index, std::uint16_t value) noexcept {
  std::atomic_ref<std::uint16_t>(index).store(value, std::memory_order_release);
}

/// Nothing in it asks for work: flags, gso_type, sizes, checksum. num_buffers is not the guest's to say.
bool is_plain(const std::byte* header) noexcept {
  std::uint64_t low = 0;
  std::uint16_t high = 0;
  std::memcpy(&low, header, sizeof low);
  std::memcpy(&high, header + sizeof low, sizeof high);
  return low == 0 && high == 0;
}

/// A line that holds this already is left as it is: written, it would have to come back from here to the guest.
void write_header(std::byte* header, std::uint32_t header_bytes) noexcept {
  if (!is_plain(header)) std::memset(header, 0, kShortHeaderBytes);
  if (header_bytes == kShortHeaderBytes) return;
  std::uint16_t buffers = 0;
  std::memcpy(&buffers, header + kShortHeaderBytes, sizeof buffers);
  if (buffers == 1) return;
  buffers = 1;
  std::memcpy(header + kShortHeaderBytes, &buffers, sizeof buffers);
}

}  // namespace

void GuestRings::set_enabled(unsigned queue, bool is_enabled) noexcept {
  if (queue < kQueues) is_enabled_[queue].store(is_enabled, std::memory_order_relaxed);
}

void GuestRings::pause() noexcept {
  is_open_.store(false, std::memory_order_seq_cst);
  while (is_inside_.load(std::memory_order_seq_cst)) ::sched_yield();
}

void GuestRings::forget() noexcept {
  pause();
  for (std::atomic<bool>& is_enabled : is_enabled_) is_enabled.store(false, std::memory_order_relaxed);
}

void GuestRings::resume(int guest) noexcept {
  std::uint64_t features = 0;
  if (rte_vhost_get_negotiated_features(guest, &features) != 0) return;
  if ((features & (kIommu | kPackedRing)) != 0) return;
  rte_vhost_memory* table = nullptr;
  if (rte_vhost_get_mem_table(guest, &table) != 0) return;
  const std::unique_ptr<rte_vhost_memory, decltype(&std::free)> owned(table, &std::free);
  if (table->nregions > kRegions) return;
  guest_ = guest;
  region_count_ = table->nregions;
  for (unsigned i = 0; i < region_count_; ++i) {
    const rte_vhost_mem_region& region = table->regions[i];
    regions_[i] = {region.guest_phys_addr, region.size, reinterpret_cast<std::byte*>(region.host_user_addr)};
  }
  has_events_ = (features & kEventIndex) != 0;
  header_bytes_ = (features & (kMergeableBuffers | kVersion1)) != 0 ? kHeaderBytes : kShortHeaderBytes;
  const unsigned queues = std::min<unsigned>(rte_vhost_get_vring_num(guest), kQueues);
  for (unsigned queue = 0; queue < kQueues; ++queue) {
    rte_vhost_vring ring{};
    const bool is_there =
        queue < queues && rte_vhost_get_vhost_vring(guest, static_cast<std::uint16_t>(queue), &ring) == 0 &&
        ring.desc != nullptr && ring.avail != nullptr && ring.used != nullptr && std::has_single_bit(ring.size);
    rings_[queue] = is_there ? Ring{ring.desc, ring.avail, ring.used, ring.size} : Ring{};
  }
  is_open_.store(true, std::memory_order_seq_cst);
}

[[gnu::always_inline]] inline std::byte* GuestRings::memory_at(std::uint64_t address,
                                                               std::uint32_t bytes) const noexcept {
  for (unsigned i = 0; i < region_count_; ++i) {
    const Region& region = regions_[i];
    const std::uint64_t offset = address - region.guest_address;
    if (offset < region.bytes && bytes <= region.bytes - offset) return region.memory + offset;
  }
  return nullptr;
}

/// The guest's buffers behind `first`, as long as each is one descriptor with just `kFlags`, in the guest's memory.
template <std::uint16_t kFlags>
unsigned GuestRings::pieces(const Ring& ring, std::uint16_t first, unsigned count,
                            std::span<Piece> found) const noexcept {
  const std::uint32_t mask = ring.size - 1;
  for (unsigned i = 0; i < count; ++i) {
    const std::uint16_t head = read_once(ring.available->ring[(first + i) & mask]);
    if (head > mask) return i;
    found[i].head = head;
    __builtin_prefetch(&ring.descriptors[head]);
  }
  for (unsigned i = 0; i < count; ++i) {
    const vring_desc& shared = ring.descriptors[found[i].head];
    const std::uint32_t bytes = read_once(shared.len);
    if (read_once(shared.flags) != kFlags || bytes < header_bytes_ + kLeastFrameBytes) return i;
    found[i].bytes = bytes;
    found[i].memory = memory_at(read_once(shared.addr), bytes);
    if (found[i].memory == nullptr) return i;
    __builtin_prefetch(found[i].memory, kFlags == VRING_DESC_F_WRITE ? 1 : 0);
    __builtin_prefetch(found[i].memory + 64, kFlags == VRING_DESC_F_WRITE ? 1 : 0);
  }
  return count;
}

bool GuestRings::must_call(const Ring& ring) const noexcept {
  if (has_events_) return true;
  // The guest writes its flags, then looks at the ring; here it is the other way round. One of the two sees it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return (read_once(ring.available->flags) & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

void GuestRings::fetch_ahead() noexcept {
  const Visit visit(*this);
  if (!visit) return;
  const bool is_first = ahead_steps_-- == kAheadSteps;
  const Ring& ring = rings_[ahead_queue_];
  std::uint16_t next = 0, next_used = 0;
  if (ring.descriptors == nullptr ||
      rte_vhost_get_vring_base(guest_, static_cast<std::uint16_t>(ahead_queue_), &next, &next_used) != 0) {
    return;
  }
  const std::uint32_t mask = ring.size - 1;
  // Whether it is available already is not asked: nothing is done with it.
  const std::uint16_t head = read_once(ring.available->ring[next & mask]);
  if (head > mask) return;
  const vring_desc& shared = ring.descriptors[head];
  if (is_first) {
    __builtin_prefetch(&shared);
    __builtin_prefetch(&ring.used->ring[next_used & mask], 1);
  } else if (const std::byte* const memory = memory_at(read_once(shared.addr), kAheadBytes); memory != nullptr) {
    __builtin_prefetch(memory, 1);
    __builtin_prefetch(memory + kAheadBytes / 2, 1);
  }
}

GuestRings::Done GuestRings::take(unsigned queue, MbufPool& pool, std::span<net::Packet*> out) noexcept {
  const Visit visit(*this);
  return visit ? take_inside(queue, pool, out) : Done{};
}

GuestRings::Done GuestRings::take_inside(unsigned queue, MbufPool& pool, std::span<net::Packet*> out) noexcept {
  const Ring& ring = rings_[queue];
  if (ring.descriptors == nullptr || !is_enabled_[queue].load(std::memory_order_relaxed)) return {};
  std::uint16_t next = 0, next_used = 0;
  if (rte_vhost_get_vring_base(guest_, static_cast<std::uint16_t>(queue), &next, &next_used) != 0) return {};
  const std::uint32_t waiting = static_cast<std::uint16_t>(read_index(ring.available->idx) - next);
  if (waiting == 0) return {.is_all = true};
  if (waiting > ring.size) return {};
  std::array<Piece, kBurst> found;
  unsigned count =
      pieces<0>(ring, next, std::min<unsigned>({waiting, static_cast<unsigned>(out.size()), kBurst}), found);
  const std::uint32_t room = pool.data_room_bytes() + header_bytes_;
  unsigned plain = 0;
  while (plain < count && found[plain].bytes <= room && is_plain(found[plain].memory)) ++plain;
  count = plain;
  if (count == 0 || !pool.allocate_bulk(out.first(count))) return {};
  const std::uint32_t mask = ring.size - 1;
  for (unsigned i = 0; i < count; ++i) {
    net::Packet& packet = *out[i];
    packet.head_bytes = packet.length_bytes = found[i].bytes - header_bytes_;
    packet.checksum_is_known = true;
    rte_memcpy(packet.data, found[i].memory + header_bytes_, packet.length_bytes);
    ring.used->ring[(next_used + i) & mask] = {found[i].head, 0};
  }
  write_index(ring.used->idx, static_cast<std::uint16_t>(next_used + count));
  rte_vhost_set_vring_base(guest_, static_cast<std::uint16_t>(queue), static_cast<std::uint16_t>(next + count),
                           static_cast<std::uint16_t>(next_used + count));
  return {count, count == waiting || count == out.size(), must_call(ring)};
}

GuestRings::Done GuestRings::give(unsigned queue, std::span<net::Packet* const> packets) noexcept {
  const Visit visit(*this);
  return visit ? give_inside(queue, packets) : Done{};
}

GuestRings::Done GuestRings::give_inside(unsigned queue, std::span<net::Packet* const> packets) noexcept {
  const Ring& ring = rings_[queue];
  if (ring.descriptors == nullptr || !is_enabled_[queue].load(std::memory_order_relaxed)) return {};
  std::uint16_t next = 0, next_used = 0;
  if (rte_vhost_get_vring_base(guest_, static_cast<std::uint16_t>(queue), &next, &next_used) != 0) return {};
  const std::uint32_t free = static_cast<std::uint16_t>(read_index(ring.available->idx) - next);
  if (free == 0) return {.is_all = true};
  if (free > ring.size) return {};
  std::array<Piece, kBurst> found;
  unsigned count = pieces<VRING_DESC_F_WRITE>(
      ring, next, std::min<unsigned>({free, static_cast<unsigned>(packets.size()), kBurst}), found);
  const std::uint32_t mask = ring.size - 1;
  for (unsigned i = 0; i < count; ++i) {
    const net::Packet& packet = *packets[i];
    const std::uint32_t bytes = header_bytes_ + packet.length_bytes;
    if (packet.head_bytes != packet.length_bytes || packet.offload.checksum_partial || bytes > found[i].bytes) {
      count = i;
      break;
    }
    write_header(found[i].memory, header_bytes_);
    rte_memcpy(found[i].memory + header_bytes_, packet.data, packet.length_bytes);
    ring.used->ring[(next_used + i) & mask] = {found[i].head, bytes};
  }
  if (count == 0) return {};
  write_index(ring.used->idx, static_cast<std::uint16_t>(next_used + count));
  rte_vhost_set_vring_base(guest_, static_cast<std::uint16_t>(queue), static_cast<std::uint16_t>(next + count),
                           static_cast<std::uint16_t>(next_used + count));
  if (count <= kFewPackets) {
    ahead_queue_ = queue;
    ahead_steps_ = kAheadSteps;
  }
  return {count, count == free || count == packets.size(), must_call(ring)};
}

}  // namespace millrace::datapath::io
