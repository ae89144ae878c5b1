/// Frames of the benchmarks' worlds, as a pod's kernel would send them: every length and checksum is right.
///
/// Shape:   an IPv6 address here is fd00::/96 and the IPv4 address of the same thing, so that four bytes name it in
///          both families. Ports host order. What is not header is filled with kFill, but for `tag`, in the first four
///          bytes of the payload (in host order: nobody but tag_of() reads it).
/// Thread:  pure functions.
#pragma once

#include <cstdint>

#include "net/address.h"
#include "net/packet.h"
#include "net/wire.h"

namespace millrace::perf::bench {

enum class Family { kIpv4, kIpv6 };

inline constexpr net::Mac kGatewayMac{{0x02, 0x4d, 0x52, 0, 0, 1}};

net::Mac mac_of_port(unsigned port);
net::Ipv6 ipv6_of(net::Ipv4 address);
net::Ipv4 ipv4_of(const net::Ipv6& address);
/// 10.1.0.0 + number.
net::Ipv4 pod_address(unsigned number);

struct Frame {
  Family family = Family::kIpv4;
  std::uint8_t protocol = net::ip_protocol::kUdp;  // or TCP
  net::Mac source_mac;
  net::Ipv4 source;
  net::Ipv4 destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t tcp_flags = net::TcpHeader::kAck;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint32_t tag = 0;
  std::uint32_t bytes = 64;  // without frame check sequence; headers and tag fit
  bool checksum_left_to_offload = false;
};

/// To the gateway, from in_port. Precondition: the packet has room; data is set.
void write_frame(net::Packet& packet, const Frame& frame, net::PortId in_port);

/// Precondition: parsed, written by write_frame().
std::uint32_t tag_of(const net::Packet& packet) noexcept;

}  // namespace millrace::perf::bench
