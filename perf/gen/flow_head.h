/// FlowHead: the headers that every frame of the generator begins with, made once in user space.
///
/// Shape:   what xdp/send.h says: Ethernet, IPv4 or IPv6, UDP; ports and UDP checksum zero, IPv4 checksum right.
/// Thread:  pure function.
/// Errors:  kInvalidArgument names the option and what is possible.
/// Source:  RFC 768, RFC 791, RFC 8200 section 8.1 (a UDP checksum is required over IPv6; it is sent over both).
#pragma once

#include <cstdint>

#include "net/address.h"
#include "net/result.h"
#include "perf/gen/xdp/send.h"

namespace millrace::perf::gen {

/// Frame lengths in bytes, without the FCS.
inline constexpr std::uint32_t kMinXdpFrameBytes = SEND_HEAD_BYTES;
inline constexpr std::uint32_t kMaxXdpFrameBytes = 3000;  // the hook gives one page to a frame and its headroom
inline constexpr std::uint32_t kMaxXdpFlows = 16'000'000;

struct FlowOptions {
  net::Mac source_mac;
  net::Mac destination_mac;
  net::IpAddress source_ip;
  net::IpAddress destination_ip;
  std::uint16_t destination_port = 8080;
  std::uint32_t flows = 1;  // told apart by source port, then by destination port
  std::uint32_t frame_bytes = 64;
};

net::Result<send_config> make_flow_head(const FlowOptions& options);

}  // namespace millrace::perf::gen
