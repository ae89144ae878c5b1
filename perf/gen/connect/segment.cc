#include "perf/gen/connect/segment.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint32_t kLeastFrameBytes = 60;
constexpr std::uint8_t kPayload = 0x55;

/// Returns where IP begins.
std::uint8_t* write_ethernet(std::uint8_t* frame, const Ends& ends) noexcept {
  const net::Be16 ip = ends.source.is_v4() ? net::ether_type::kIpv4 : net::ether_type::kIpv6;
  auto& ethernet = net::view<net::EthernetHeader>(frame);
  ethernet = {.destination = ends.destination_mac, .source = ends.source_mac, .type = ip};
  std::uint8_t* at = frame + sizeof ethernet;
  for (std::uint8_t i = 0; i < ends.vlan_count; ++i, at += sizeof(net::VlanTag)) {
    const net::Be16 type = i + 1 == ends.vlan_count ? net::ether_type::kVlan : net::ether_type::kQinQ;
    (i == 0 ? ethernet.type : net::view<net::VlanTag>(at - sizeof(net::VlanTag)).type) = type;
    net::view<net::VlanTag>(at) = {.control = ends.vlans[i], .type = ip};
  }
  return at;
}

/// Returns the bytes of the IP header; `sum` is then that of the pseudo header.
std::size_t write_ip(std::uint8_t* at, const Ends& ends, std::uint8_t protocol, std::uint16_t l4_bytes,
                     net::Sum& sum) noexcept {
  if (!ends.source.is_v4()) {
    auto& ip = net::view<net::Ipv6Header>(at);
    ip = {.version_class_flow = net::Be32(6u << 28),
          .payload_length = net::Be16(l4_bytes),
          .next_header = protocol,
          .hop_limit = 64,
          .source = ends.source.v6(),
          .destination = ends.destination.v6()};
    sum = net::pseudo_header_sum(ip.source, ip.destination, protocol, l4_bytes);
    return sizeof ip;
  }
  auto& ip = net::view<net::Ipv4Header>(at);
  ip = {};
  ip.version_ihl = 0x45;
  ip.total_length = net::Be16(static_cast<std::uint16_t>(sizeof ip + l4_bytes));
  ip.flags_offset = net::Be16(net::Ipv4Header::kDontFragment);
  ip.ttl = 64;
  ip.protocol = protocol;
  ip.source = ends.source.v4();
  ip.destination = ends.destination.v4();
  net::set_ipv4_checksum(ip);
  sum = net::pseudo_header_sum(ip.source, ip.destination, protocol, l4_bytes);
  return sizeof ip;
}

std::uint32_t number_of(const net::IpAddress& address) noexcept {
  return net::view<net::Be32>(address.bytes.data() + (address.is_v4() ? 0 : 12)).host();
}

}  // namespace

std::uint32_t write_segment(std::uint8_t* frame, const Ends& ends, const Segment& segment) noexcept {
  const bool tcp = segment.flags != 0;
  const auto header = static_cast<std::uint32_t>(tcp ? sizeof(net::TcpHeader) : sizeof(net::UdpHeader));
  const std::uint32_t l4_bytes = header + segment.payload_bytes;
  const auto length = static_cast<std::uint16_t>(l4_bytes);
  std::uint8_t* const ip = write_ethernet(frame, ends);
  net::Sum pseudo = 0;
  std::uint8_t* const l4 =
      ip + write_ip(ip, ends, tcp ? net::ip_protocol::kTcp : net::ip_protocol::kUdp, length, pseudo);
  std::memset(l4 + header, kPayload, segment.payload_bytes);
  const net::Be16 source(ends.source_port), destination(ends.destination_port);
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

Ends ends_of_answer(const std::uint8_t* frame, const net::Headers& headers) noexcept {
  const auto& ethernet = net::view<net::EthernetHeader>(frame);
  Ends ends{.source_mac = ethernet.destination,
            .destination_mac = ethernet.source,
            .source = {},
            .destination = {},
            .source_port = headers.destination_port,
            .destination_port = headers.source_port,
            .vlan_count = headers.vlan_count};
  for (std::uint8_t i = 0; i < headers.vlan_count; ++i) {
    ends.vlans[i] = net::view<net::VlanTag>(frame + sizeof ethernet + i * sizeof(net::VlanTag)).control;
  }
  if (headers.l3 == net::L3::kIpv4) {
    const auto& ip = net::view<net::Ipv4Header>(frame + headers.l3_offset);
    ends.source = net::IpAddress::from(ip.destination);
    ends.destination = net::IpAddress::from(ip.source);
  } else {
    const auto& ip = net::view<net::Ipv6Header>(frame + headers.l3_offset);
    ends.source = net::IpAddress::from(ip.destination);
    ends.destination = net::IpAddress::from(ip.source);
  }
  return ends;
}

net::IpAddress plus(net::IpAddress address, std::uint32_t number) noexcept {
  net::view<net::Be32>(address.bytes.data() + (address.is_v4() ? 0 : 12)) = net::Be32(number_of(address) + number);
  return address;
}

std::uint32_t behind(const net::IpAddress& address, const net::IpAddress& first) noexcept {
  if (address.family != first.family) return UINT32_MAX;
  const std::size_t alike = address.is_v4() ? 0 : 12;
  if (!std::equal(address.bytes.begin(), address.bytes.begin() + alike, first.bytes.begin())) return UINT32_MAX;
  return number_of(address) - number_of(first);
}

}  // namespace millrace::perf::gen
