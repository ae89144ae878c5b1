/// TestChain: a packet in several segments, each in memory of exactly its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/net/packet_builder.h"

namespace millrace::tests {

class TestChain {
 public:
  /// The first segment has `head_bytes` of the frame, each other `segment_bytes`, the last what is left.
  TestChain(const Bytes& frame, std::size_t head_bytes, std::size_t segment_bytes, const net::Offload& offload) {
    std::size_t at = 0;
    std::size_t bytes = std::min(head_bytes, frame.size());
    while (true) {
      const std::span piece = std::span(frame).subspan(at, bytes);
      segments_.emplace_back(piece, at == 0 ? 128u : 0u, 0u);
      segments_.back()->length_bytes = static_cast<std::uint32_t>(frame.size() - at);
      at += bytes;
      if (at == frame.size()) break;
      bytes = std::min(segment_bytes, frame.size() - at);
    }
    for (std::size_t i = 1; i < segments_.size(); ++i) segments_[i - 1]->next = segments_[i].get();
    segments_.front()->offload = offload;
  }

  net::Packet& operator*() noexcept { return *segments_.front(); }
  net::Packet* operator->() noexcept { return segments_.front().get(); }
  std::size_t size() const noexcept { return segments_.size(); }
  net::Drop parse() noexcept { return segments_.front().parse(); }

 private:
  std::vector<TestPacket> segments_;
};

}  // namespace millrace::tests
