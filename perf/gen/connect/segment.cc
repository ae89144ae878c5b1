#include "perf/gen/connect/segment.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/wire.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint32_t kLeastFrameBytes = 60;
constexpr std::uint8_t kPayload = 0x55;

}  // namespace

std::uint32_t write_segment(std::uint8_t* frame, const Ends& ends, const Segment& segment) noexcept {
  const bool tcp = segment.flags != 0;
  const auto header = static_cast<std::uint32_t>(tcp ? sizeof(net::TcpHeader) : sizeof(net::UdpHeader));
  const std::uint32_t l4_bytes = header + segment.payload_bytes;
  const auto length = static_cast<std::uint16_t>(l4_bytes);
  net::view<net::EthernetHeader>(frame) = {
      .destination = ends.destination_mac, .source = ends.source_mac, .type = net::ether_type::kIpv4};
  auto& ip = net::view<net::Ipv4Header>(frame + sizeof(net::EthernetHeader));
  ip = {};
  ip.version_ihl = 0x45;
  ip.total_length = net::Be16(static_cast<std::uint16_t>(sizeof ip + l4_bytes));
  ip.flags_offset = net::Be16(net::Ipv4Header::kDontFragment);
  ip.ttl = 64;
  ip.protocol = tcp ? net::ip_protocol::kTcp : net::ip_protocol::kUdp;
  ip.source = ends.source;
  ip.destination = ends.destination;
  net::set_ipv4_checksum(ip);

  std::uint8_t* const l4 = frame + sizeof(net::EthernetHeader) + sizeof ip;
  std::memset(l4 + header, kPayload, segment.payload_bytes);
  const net::Be16 source(ends.source_port), destination(ends.destination_port);
  const net::Sum pseudo = net::pseudo_header_sum(ends.source, ends.destination, ip.protocol, length);
  if (tcp) {
    auto& out = net::view<net::TcpHeader>(l4);
    out = {.source_port = source,
           .destination_port = destination,
           .sequence = net::Be32(segment.sequence),
           .acknowledgment = net::Be32(segment.acknowledgment),
           .data_offset = 5 << 4,
           .flags = segment.flags,
           .window = net::Be16(65535),
           .checksum = {},
           .urgent = {}};
    out.checksum = net::finish(pseudo + net::sum_bytes({l4, l4_bytes}));
  } else {
    auto& out = net::view<net::UdpHeader>(l4);
    out = {.source_port = source, .destination_port = destination, .length = net::Be16(length), .checksum = {}};
    const net::Be16 sum = net::finish(pseudo + net::sum_bytes({l4, l4_bytes}));
    out.checksum = sum.raw() == 0 ? net::Be16(0xffff) : sum;
  }
  const auto bytes = static_cast<std::uint32_t>(l4 - frame) + l4_bytes;
  if (bytes >= kLeastFrameBytes) return bytes;
  std::memset(frame + bytes, 0, kLeastFrameBytes - bytes);
  return kLeastFrameBytes;
}

}  // namespace millrace::perf::gen
