/// Packet: the descriptor that every stage of the switch works on. It owns no memory; a PacketPool does.
///
/// Shape:   `data` is the first byte of the Ethernet header and lies inside [buffer, buffer + capacity_bytes).
///          What lies before `data` is headroom, for encapsulation and ICMP errors. A packet may be larger than its
///          first segment (`length_bytes` > `head_bytes`): then `next` is the second, a Packet of the same pool of
///          which data, head_bytes, length_bytes and next are set, and so on. Headers always lie in the first segment.
///          A port that received the packet sets data, head_bytes, length_bytes, next, offload and in_port.
/// Thread:  one owner at a time; handing the pointer over hands the packet over, and its segments.
/// Source:  Offload is what virtio_net_hdr says (virtio 1.2, section 5.1.6) beyond what the headers themselves do:
///          where the checksum lies, and of which family the segments are, parse() finds. offload.h compares the two.
#pragma once

#include <cstdint>
#include <span>

#include "net/drop.h"
#include "net/parser.h"

namespace millrace::net {

using PortId = std::uint16_t;
inline constexpr PortId kNoPort = 0xffff;

struct Offload {
  /// The L4 checksum field holds the pseudo-header sum; whoever sends the packet out of the switch completes it.
  bool checksum_partial = false;
  /// Not 0: this is TCP that stands for packets of so many payload bytes each, the last of fewer; whoever sends it out
  /// of the switch to somebody who does not take it so cuts it (segment.h). The checksum is partial then.
  std::uint16_t gso_size_bytes = 0;
};

struct alignas(64) Packet {
  std::uint8_t* data = nullptr;
  std::uint8_t* buffer = nullptr;
  std::uint32_t capacity_bytes = 0;
  std::uint32_t head_bytes = 0;    // bytes of the first segment
  std::uint32_t length_bytes = 0;  // bytes of this segment and those behind it
  PortId in_port = kNoPort;
  PortId out_port = kNoPort;
  PortId tunnel = kNoPort;  // by which it came from another node, in_port being the uplink's (datapath/tunnel_in.h)
  Offload offload;
  Headers headers;
  Drop drop = Drop::kNone;
  /// Goes along the reply direction of the flow that the worker which forwarded it has.
  bool is_reply = false;
  /// The port told, or the checksum field was compared with the pseudo-header sum: what offload.checksum_partial says
  /// is all there is.
  bool checksum_is_known = false;
  Packet* next = nullptr;  // segment behind this one; of no meaning where is_chained() is false

  std::span<std::uint8_t> head() noexcept { return {data, head_bytes}; }
  std::span<const std::uint8_t> head() const noexcept { return {data, head_bytes}; }
  bool is_chained() const noexcept { return length_bytes != head_bytes; }
  std::uint32_t headroom_bytes() const noexcept { return static_cast<std::uint32_t>(data - buffer); }
  std::uint32_t tailroom_bytes() const noexcept { return capacity_bytes - headroom_bytes() - head_bytes; }
};

/// Leaves the first segment alone of a packet that is_chained(), and gives back the others, which are the caller's now.
inline Packet* take_tail(Packet& packet) noexcept {
  packet.length_bytes = packet.head_bytes;
  return packet.next;
}

static_assert(sizeof(Packet) <= 128, "two cache lines: it lies in the private area of every mbuf");

}  // namespace millrace::net
