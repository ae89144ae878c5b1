/// PacketStock: packets of one thread between being received and being sent again.
///
/// Theory:  a generator that gets its packets back needs few from the pool: what arrived is what is sent next. The pool
///          is asked only for the difference.
/// Thread:  one. Never allocates memory.
#pragma once

#include <array>
#include <span>

#include "datapath/packet_pool.h"

namespace millrace::perf::gen {

class PacketStock {
 public:
  static constexpr std::size_t kMost = 512;

  explicit PacketStock(datapath::PacketPool& pool) noexcept : pool_(pool) {}
  ~PacketStock() { pool_.release(std::span(packets_).first(count_)); }
  PacketStock(const PacketStock&) = delete;
  PacketStock& operator=(const PacketStock&) = delete;

  /// A packet whose data begins behind the headroom; nullptr when the pool is empty.
  net::Packet* take() noexcept {
    net::Packet* const packet = count_ != 0 ? packets_[--count_] : pool_.allocate();
    if (packet != nullptr) packet->data = packet->buffer + datapath::kHeadroomBytes;
    return packet;
  }
  void give(net::Packet* packet) noexcept {
    if (count_ == kMost) {
      count_ = kMost / 2;
      pool_.release(std::span(packets_).subspan(kMost / 2));
    }
    packets_[count_++] = packet;
  }

 private:
  datapath::PacketPool& pool_;
  std::array<net::Packet*, kMost> packets_{};
  std::size_t count_ = 0;
};

}  // namespace millrace::perf::gen
