/// Offload: what a sender left to its device, held against the headers that the parser found.
///
/// Shape:   a guest says of a packet that its checksum is partial and into what it is to be cut (virtio_net_hdr); none
///          of it is believed. check_offload() comes right behind parse(): what passes it can be completed, cut and
///          quoted by its headers alone.
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Errors:  Drop::kOffloadBad.
/// Source:  virtio 1.2, section 5.1.6; Linux Documentation/networking/segmentation-offloads.rst.
#pragma once

#include <cstdint>

#include "net/drop.h"
#include "net/packet.h"

namespace millrace::net {

/// Most packets that one stands for: 64 KB in pieces of 32, smaller than any sender makes them. It bounds what a packet
/// can cost a worker.
inline constexpr std::uint32_t kMaxSegments = 2048;

/// Most bytes of a packet: an IPv6 header, the longest payload, an Ethernet header and two tags.
inline constexpr std::uint32_t kMaxPacketBytes = 40 + 0xffff + 14 + 2 * 4;

/// Whether the port said anything that must be checked.
inline bool has_offload(const Packet& packet) noexcept {
  return packet.offload.checksum_partial || packet.offload.gso_size_bytes != 0 || packet.is_chained();
}

/// Bytes of the L4 payload. Precondition: parsed, with L4.
inline std::uint32_t payload_bytes(const Packet& packet) noexcept {
  return packet.headers.l3_offset + packet.headers.l3_length - packet.headers.payload_offset;
}

/// A partial checksum must be one of TCP, UDP or SCTP, of a packet that is whole. To be cut is TCP alone, with a
/// partial checksum, in at most kMaxSegments pieces, and without SYN or RST, which no data follow. Only that may have
/// several segments. What fits into one piece is no longer to be cut. Precondition: parsed without error.
Drop check_offload(Packet& packet) noexcept;

/// Whether the partial checksum of the packet may go on to somebody who computes it over all that stands behind the L4
/// header, with a pseudo header made of the IP header's own fields: TCP or UDP that ends with its IP packet, and that
/// with the frame, behind no IPv6 extension header.
bool checksum_may_be_left(const Packet& packet) noexcept;

/// The longest IP packet of those that this one stands for, its header included: what an MTU is compared with.
/// Precondition: parsed, and passed by check_offload().
inline std::uint32_t longest_l3_bytes(const Packet& packet) noexcept {
  if (packet.offload.gso_size_bytes == 0) [[likely]]
    return packet.headers.l3_length;
  return packet.headers.payload_offset - packet.headers.l3_offset + std::uint32_t{packet.offload.gso_size_bytes};
}

}  // namespace millrace::net
