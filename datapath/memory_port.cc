#include "datapath/memory_port.h"

#include <cassert>

namespace millrace::datapath {

MemoryPool::MemoryPool(std::size_t packet_count, std::uint32_t data_room_bytes)
    : buffer_bytes_((kHeadroomBytes + data_room_bytes + 63u) & ~63u),
      buffers_(packet_count * buffer_bytes_),
      packets_(packet_count),
      free_(packet_count),
      free_count_(packet_count) {
  assert(packet_count >= 1 && packet_count <= kMaxPackets);
  for (std::size_t i = packet_count; i-- > 0;) {
    packets_[i].buffer = buffers_.data() + i * buffer_bytes_;
    packets_[i].capacity_bytes = buffer_bytes_;
    free_.bounded_push(&packets_[i]);
  }
}

net::Packet* MemoryPool::allocate() noexcept {
  net::Packet* packet = nullptr;
  if (!free_.pop(packet)) return nullptr;
  free_count_.fetch_sub(1, std::memory_order_relaxed);
  std::uint8_t* const buffer = packet->buffer;
  *packet = net::Packet{};
  packet->buffer = buffer;
  packet->data = buffer + kHeadroomBytes;
  packet->capacity_bytes = buffer_bytes_;
  return packet;
}

void MemoryPool::release(std::span<net::Packet* const> packets) noexcept {
  for (net::Packet* packet : packets) free_.bounded_push(packet);
  free_count_.fetch_add(packets.size(), std::memory_order_relaxed);
}

}  // namespace millrace::datapath
