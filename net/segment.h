/// TCP segmentation: a packet that stands for many is cut into them.
///
/// Shape:   each piece is written to a packet the caller allocated; the original is not changed and stays the caller's.
///          A piece has the original's headers, options included, and gso_size_bytes of its payload (the last what is
///          left), its own lengths, sequence number, IPv4 identification (one more each) and complete checksums. FIN
///          and PSH are the last one's, CWR the first one's. An urgent pointer goes on to point at the same byte.
/// Thread:  pure functions on the packets' owner. Never allocate.
/// Errors:  see write_next.
/// Source:  RFC 9293 3.1, RFC 3168 6.1.2 (CWR); Linux Documentation/networking/segmentation-offloads.rst.
#pragma once

#include <cstdint>

#include "net/packet.h"

namespace millrace::net {

class Segmenter {
 public:
  /// Precondition: passed by check_offload(), with gso_size_bytes != 0; it outlives the segmenter and is not changed.
  explicit Segmenter(const Packet& packet) noexcept;

  bool is_done() const noexcept { return sent_bytes_ == payload_bytes_; }
  /// Writes the next piece, wholly into the first segment of `out`; its headers are those parse() would find, its ports
  /// and direction the original's. False, and `out` is to be released: it has too little room.
  /// Precondition: !is_done().
  bool write_next(Packet& out) noexcept;

 private:
  void copy_payload(std::uint8_t* to, std::uint32_t bytes) noexcept;

  const Packet& packet_;
  const std::uint32_t payload_bytes_;
  std::uint32_t sent_bytes_ = 0;
  std::uint16_t count_ = 0;    // of pieces written
  const Packet* from_;         // segment of the original in which the next payload begins
  std::uint32_t from_offset_;  // there
};

}  // namespace millrace::net
