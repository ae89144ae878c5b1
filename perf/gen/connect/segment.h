/// write_segment: one TCP segment or UDP datagram over IPv4, whole and with right checksums.
///
/// Shape:   Ethernet, IPv4, TCP without options or UDP, payload of one repeated byte; no tag.
/// Thread:  pure function. Never allocates.
#pragma once

#include <cstdint>

#include "net/address.h"

namespace millrace::perf::gen {

inline constexpr std::uint32_t kMostPayloadBytes = 1400;

struct Ends {
  net::Mac source_mac, destination_mac;
  net::Ipv4 source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
};

struct Segment {
  std::uint8_t flags = 0;  // of TCP; 0: a UDP datagram
  std::uint32_t sequence = 0, acknowledgment = 0;
  std::uint32_t payload_bytes = 0;  // at most kMostPayloadBytes
};

/// Returns the bytes written, 60 at least: a shorter packet is padded.
std::uint32_t write_segment(std::uint8_t* frame, const Ends& ends, const Segment& segment) noexcept;

}  // namespace millrace::perf::gen
