/// write_segment: one TCP segment or UDP datagram over IPv4 or IPv6, whole and with right checksums.
///
/// Shape:   Ethernet, at most two VLAN tags, IP without options, TCP without options or UDP, payload of one repeated
///          byte; no tag of the generator's. Both addresses of Ends are of one family.
/// Thread:  pure functions. Never allocate.
#pragma once

#include <array>
#include <cstdint>

#include "net/address.h"
#include "net/parser.h"
#include "net/wire.h"

namespace millrace::perf::gen {

inline constexpr std::uint32_t kMostPayloadBytes = 1400;

struct Ends {
  net::Mac source_mac, destination_mac;
  net::IpAddress source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t vlan_count = 0;
  std::array<net::Be16, 2> vlans{};  // control words, outer first
};

struct Segment {
  std::uint8_t flags = 0;  // of TCP; 0: a UDP datagram
  std::uint32_t sequence = 0, acknowledgment = 0;
  std::uint32_t payload_bytes = 0;  // at most kMostPayloadBytes
};

/// Returns the bytes written, 60 at least: a shorter packet is padded.
std::uint32_t write_segment(std::uint8_t* frame, const Ends& ends, const Segment& segment) noexcept;

/// Whom a packet came from and was for, exchanged: the ends of an answer. Precondition: IP, its L4 header was parsed.
Ends ends_of_answer(const std::uint8_t* frame, const net::Headers& headers) noexcept;

/// The address `number` behind this one; only the last four bytes count.
net::IpAddress plus(net::IpAddress address, std::uint32_t number) noexcept;
/// How many addresses `address` lies behind `first`; UINT32_MAX when they differ in more than the last four bytes.
std::uint32_t behind(const net::IpAddress& address, const net::IpAddress& first) noexcept;

}  // namespace millrace::perf::gen
