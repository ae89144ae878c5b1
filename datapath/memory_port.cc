#include "datapath/memory_port.h"

#include <cassert>

namespace millrace::datapath {
namespace {

constexpr unsigned kTagShift = 32;

std::uint32_t index_of(std::uint64_t head) noexcept { return static_cast<std::uint32_t>(head); }
std::uint64_t head_after(std::uint64_t head, std::uint32_t index) noexcept {
  return ((head >> kTagShift) + 1) << kTagShift | index;
}

}  // namespace

MemoryPool::MemoryPool(std::size_t packet_count, std::uint32_t data_room_bytes)
    : buffer_bytes_((kHeadroomBytes + data_room_bytes + 63u) & ~63u),
      buffers_(packet_count * buffer_bytes_),
      packets_(packet_count),
      next_(packet_count) {
  assert(packet_count >= 1 && packet_count <= kMaxPackets);
  for (std::size_t i = packet_count; i-- > 0;) {
    packets_[i].buffer = buffers_.data() + i * buffer_bytes_;
    packets_[i].capacity_bytes = buffer_bytes_;
    net::Packet* const packet = &packets_[i];
    release({&packet, 1});
  }
}

net::Packet* MemoryPool::allocate() noexcept {
  std::uint64_t head = free_.load(std::memory_order_acquire);
  std::uint32_t index;
  do {
    index = index_of(head);
    if (index == kNone) return nullptr;
    // Another may have taken the packet since, and given it back above others: then the head has another tag.
  } while (!free_.compare_exchange_weak(head, head_after(head, next_[index].load(std::memory_order_relaxed)),
                                        std::memory_order_acquire));
  free_count_.fetch_sub(1, std::memory_order_relaxed);
  net::Packet* const packet = &packets_[index];
  std::uint8_t* const buffer = packet->buffer;
  *packet = net::Packet{};
  packet->buffer = buffer;
  packet->data = buffer + kHeadroomBytes;
  packet->capacity_bytes = buffer_bytes_;
  return packet;
}

void MemoryPool::release_tail(net::Packet& packet) noexcept {
  net::Packet* segment = net::take_tail(packet);
  for (bool is_last = false; !is_last;) {
    is_last = !segment->is_chained();
    net::Packet* const next = is_last ? nullptr : net::take_tail(*segment);
    release({&segment, 1});
    segment = next;
  }
}

void MemoryPool::release(std::span<net::Packet* const> packets) noexcept {
  if (packets.empty()) return;
  const auto index = [this](const net::Packet* packet) { return static_cast<std::uint32_t>(packet - packets_.data()); };
  for (net::Packet* const packet : packets) {
    if (packet->is_chained()) [[unlikely]]
      release_tail(*packet);
  }
  // A chain of their own, put on top at once.
  for (std::size_t i = 1; i < packets.size(); ++i) {
    next_[index(packets[i])].store(index(packets[i - 1]), std::memory_order_relaxed);
  }
  const std::uint32_t bottom = index(packets.front()), top = index(packets.back());
  free_count_.fetch_add(packets.size(), std::memory_order_relaxed);
  std::uint64_t head = free_.load(std::memory_order_relaxed);
  do next_[bottom].store(index_of(head), std::memory_order_relaxed);
  while (
      !free_.compare_exchange_weak(head, head_after(head, top), std::memory_order_release, std::memory_order_relaxed));
}

}  // namespace millrace::datapath
