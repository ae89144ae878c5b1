#include "perf/bench/frame.h"

#include <cstring>
#include <stdexcept>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::perf::bench {
namespace {

constexpr std::uint8_t kFill = 0x5a;
constexpr unsigned kIpv4InIpv6 = 12;  // byte of an IPv6 address where the IPv4 address lies

void write_ipv4(std::uint8_t* to, const Frame& frame, std::size_t l4_bytes) {
  auto& header = net::view<net::Ipv4Header>(to);
  header = {.version_ihl = 0x45,
            .tos = 0,
            .total_length = net::Be16(static_cast<std::uint16_t>(sizeof header + l4_bytes)),
            .id = {},
            .flags_offset = net::Be16(net::Ipv4Header::kDontFragment),
            .ttl = 64,
            .protocol = frame.protocol,
            .checksum = {},
            .source = frame.source,
            .destination = frame.destination};
  net::set_ipv4_checksum(header);
}

void write_ipv6(std::uint8_t* to, const Frame& frame, std::size_t l4_bytes) {
  net::view<net::Ipv6Header>(to) = {.version_class_flow = net::Be32(6u << 28),
                                    .payload_length = net::Be16(static_cast<std::uint16_t>(l4_bytes)),
                                    .next_header = frame.protocol,
                                    .hop_limit = 64,
                                    .source = ipv6_of(frame.source),
                                    .destination = ipv6_of(frame.destination)};
}

/// Returns where its checksum lies.
net::Be16* write_l4(std::uint8_t* to, const Frame& frame, std::size_t l4_bytes) {
  const net::Be16 source(frame.source_port), destination(frame.destination_port);
  if (frame.protocol == net::ip_protocol::kUdp) {
    auto& udp = net::view<net::UdpHeader>(to);
    udp = {source, destination, net::Be16(static_cast<std::uint16_t>(l4_bytes)), {}};
    return &udp.checksum;
  }
  auto& tcp = net::view<net::TcpHeader>(to);
  tcp = {.source_port = source,
         .destination_port = destination,
         .sequence = net::Be32(frame.sequence),
         .acknowledgment = net::Be32(frame.acknowledgment),
         .data_offset = (sizeof tcp / 4) << 4,
         .flags = frame.tcp_flags,
         .window = net::Be16(0xffff),
         .checksum = {},
         .urgent = {}};
  return &tcp.checksum;
}

}  // namespace

net::Mac mac_of_port(unsigned port) {
  return {{0x02, 0, 0, 0, static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)}};
}

net::Ipv6 ipv6_of(net::Ipv4 address) {
  net::Ipv6 result;
  result.bytes[0] = 0xfd;
  std::memcpy(result.bytes.data() + kIpv4InIpv6, &address, sizeof address);
  return result;
}

net::Ipv4 ipv4_of(const net::Ipv6& address) {
  net::Ipv4 result;
  std::memcpy(&result, address.bytes.data() + kIpv4InIpv6, sizeof result);
  return result;
}

net::Ipv4 pod_address(unsigned number) { return net::Ipv4::from_host(0x0a010000 + number); }

void write_frame(net::Packet& packet, const Frame& frame, net::PortId in_port) {
  const bool is_v4 = frame.family == Family::kIpv4;
  packet.head_bytes = packet.length_bytes = frame.bytes;
  packet.in_port = in_port;
  packet.out_port = net::kNoPort;
  packet.offload = {};
  packet.is_reply = packet.checksum_is_known = false;
  std::uint8_t* const data = packet.data;
  net::view<net::EthernetHeader>(data) = {kGatewayMac, frame.source_mac,
                                          is_v4 ? net::ether_type::kIpv4 : net::ether_type::kIpv6};
  std::uint8_t* const ip = data + sizeof(net::EthernetHeader);
  std::uint8_t* const l4 = ip + (is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
  const std::size_t l4_bytes = frame.bytes - static_cast<std::size_t>(l4 - data);
  is_v4 ? write_ipv4(ip, frame, l4_bytes) : write_ipv6(ip, frame, l4_bytes);
  net::Be16* const checksum = write_l4(l4, frame, l4_bytes);
  std::uint8_t* const payload =
      l4 + (frame.protocol == net::ip_protocol::kUdp ? sizeof(net::UdpHeader) : sizeof(net::TcpHeader));
  std::memset(payload, kFill, static_cast<std::size_t>(data + frame.bytes - payload));
  std::memcpy(payload, &frame.tag, sizeof frame.tag);
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) {
    throw std::logic_error("a frame of the benchmark does not parse");
  }
  if (frame.checksum_left_to_offload) {
    const auto bytes = static_cast<std::uint16_t>(l4_bytes);
    const net::Sum pseudo =
        is_v4 ? net::pseudo_header_sum(frame.source, frame.destination, frame.protocol, bytes)
              : net::pseudo_header_sum(ipv6_of(frame.source), ipv6_of(frame.destination), frame.protocol, bytes);
    *checksum = net::Be16::from_raw(net::fold(pseudo));
  } else if (!net::complete_l4_checksum(packet.head(), packet.headers)) {
    throw std::logic_error("a checksum of the benchmark cannot be completed");
  }
}

std::uint32_t tag_of(const net::Packet& packet) noexcept {
  std::uint32_t tag;
  std::memcpy(&tag, packet.data + packet.headers.payload_offset, sizeof tag);
  return tag;
}

}  // namespace millrace::perf::bench
