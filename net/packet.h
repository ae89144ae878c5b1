/// Packet: the descriptor that every stage of the switch works on. It owns no memory; a PacketPool does.
///
/// Shape:   `data` is the first byte of the Ethernet header and lies inside [buffer, buffer + capacity_bytes).
///          What lies before `data` is headroom, for encapsulation and ICMP errors. A packet may be larger than its
///          first segment (`length_bytes` > `head_bytes`); its headers always lie in the first segment.
///          A port that received the packet sets data, head_bytes, length_bytes, offload and in_port.
/// Thread:  one owner at a time; handing the pointer over hands the packet over.
/// Source:  offload fields have the meaning of virtio_net_hdr (virtio 1.2, section 5.1.6).
#pragma once

#include <cstdint>
#include <span>

#include "net/drop.h"
#include "net/parser.h"

namespace millrace::net {

using PortId = std::uint16_t;
inline constexpr PortId kNoPort = 0xffff;

enum class GsoType : std::uint8_t { kNone, kTcp4, kTcp6, kUdp };

struct Offload {
  GsoType gso_type = GsoType::kNone;
  /// The L4 checksum field holds the pseudo-header sum; whoever sends the packet out of the switch completes it.
  bool checksum_partial = false;
  std::uint16_t gso_size_bytes = 0;   // payload bytes of one segment
  std::uint16_t checksum_start = 0;   // bytes from data
  std::uint16_t checksum_offset = 0;  // bytes from checksum_start
};

struct alignas(64) Packet {
  std::uint8_t* data = nullptr;
  std::uint8_t* buffer = nullptr;
  std::uint32_t capacity_bytes = 0;
  std::uint32_t head_bytes = 0;    // bytes of the first segment
  std::uint32_t length_bytes = 0;  // bytes of all segments
  PortId in_port = kNoPort;
  PortId out_port = kNoPort;
  PortId tunnel = kNoPort;  // by which it came from another node, in_port being the uplink's (datapath/tunnel_in.h)
  Offload offload;
  Headers headers;
  Drop drop = Drop::kNone;
  /// Goes along the reply direction of the flow that the worker which forwarded it has.
  bool is_reply = false;
  /// The checksum field was compared with the pseudo-header sum: what offload.checksum_partial says is all there is.
  bool checksum_is_known = false;

  std::span<std::uint8_t> head() noexcept { return {data, head_bytes}; }
  std::span<const std::uint8_t> head() const noexcept { return {data, head_bytes}; }
  std::uint32_t headroom_bytes() const noexcept { return static_cast<std::uint32_t>(data - buffer); }
  std::uint32_t tailroom_bytes() const noexcept { return capacity_bytes - headroom_bytes() - head_bytes; }
};

static_assert(sizeof(Packet) <= 128, "two cache lines: it lies in the private area of every mbuf");

}  // namespace millrace::net
