#include "perf/gen/stream/frame_template.h"

#include <algorithm>
#include <span>

#include "net/wire.h"
#include "perf/gen/measure/tag.h"

namespace millrace::perf::gen {
namespace {

using net::Be16;
using net::Be32;
using net::view;

std::uint8_t protocol_number(const StreamDescription& stream) {
  switch (stream.protocol) {
    case Protocol::kUdp: return net::ip_protocol::kUdp;
    case Protocol::kTcp: return net::ip_protocol::kTcp;
    case Protocol::kSctp: return net::ip_protocol::kSctp;
    case Protocol::kIcmp: return stream.source_ip.is_v4() ? net::ip_protocol::kIcmp : net::ip_protocol::kIcmpv6;
  }
  return 0;
}

Be16 be16(std::size_t value) { return Be16(static_cast<std::uint16_t>(value)); }

void write_ipv4(std::uint8_t* at, net::Ipv4 source, net::Ipv4 destination, std::uint8_t protocol, std::size_t length,
                std::uint8_t dscp, std::uint8_t ttl) {
  auto& ip = view<net::Ipv4Header>(at);
  ip = {};
  ip.version_ihl = 0x45;
  ip.tos = static_cast<std::uint8_t>(dscp << 2);
  ip.total_length = be16(length);
  ip.flags_offset = Be16(net::Ipv4Header::kDontFragment);
  ip.ttl = ttl;
  ip.protocol = protocol;
  ip.source = source;
  ip.destination = destination;
}

void write_ipv6(std::uint8_t* at, const net::Ipv6& source, const net::Ipv6& destination, std::uint8_t protocol,
                std::size_t length, std::uint8_t dscp, std::uint8_t ttl) {
  view<net::Ipv6Header>(at) = {.version_class_flow = Be32(6u << 28 | std::uint32_t{dscp} << 22),
                               .payload_length = be16(length - sizeof(net::Ipv6Header)),
                               .next_header = protocol,
                               .hop_limit = ttl,
                               .source = source,
                               .destination = destination};
}

/// Returns the sum of the pseudo header.
net::Sum write_tunnel(const StreamDescription& stream, std::span<std::uint8_t> frame) {
  const VxlanDescription& tunnel = *stream.vxlan;
  const bool v4 = tunnel.source.is_v4();
  auto& ethernet = view<net::EthernetHeader>(frame.data());
  ethernet = {.destination = tunnel.destination_mac,
              .source = tunnel.source_mac,
              .type = v4 ? net::ether_type::kIpv4 : net::ether_type::kIpv6};
  std::uint8_t* const ip = frame.data() + sizeof ethernet;
  const std::size_t ip_bytes = frame.size() - sizeof ethernet;
  const std::size_t header = v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  if (v4) {
    write_ipv4(ip, tunnel.source.v4(), tunnel.destination.v4(), net::ip_protocol::kUdp, ip_bytes, stream.dscp, 64);
    net::set_ipv4_checksum(view<net::Ipv4Header>(ip));
  } else {
    write_ipv6(ip, tunnel.source.v6(), tunnel.destination.v6(), net::ip_protocol::kUdp, ip_bytes, stream.dscp, 64);
  }
  auto& udp = view<net::UdpHeader>(ip + header);
  udp = {.source_port = Be16(49152),
         .destination_port = Be16(tunnel.udp_port),
         .length = be16(ip_bytes - header),
         .checksum = {}};
  auto& vxlan = view<net::VxlanHeader>(ip + header + sizeof udp);
  vxlan = {.flags = net::VxlanHeader::kHasVni, .reserved = {}, .vni_reserved = Be32(tunnel.vni << 8)};
  if (v4) return 0;
  return net::pseudo_header_sum(tunnel.source.v6(), tunnel.destination.v6(), net::ip_protocol::kUdp,
                                static_cast<std::uint32_t>(ip_bytes - header));
}

void write_ethernet(const StreamDescription& stream, std::uint8_t* at) {
  const Be16 ip = stream.source_ip.is_v4() ? net::ether_type::kIpv4 : net::ether_type::kIpv6;
  auto& ethernet = view<net::EthernetHeader>(at);
  ethernet = {.destination = stream.destination_mac, .source = stream.source_mac, .type = ip};
  std::uint8_t* tag = at + sizeof ethernet;
  for (std::size_t i = 0; i < stream.vlans.size(); ++i, tag += sizeof(net::VlanTag)) {
    const bool inner_most = i + 1 == stream.vlans.size();
    const Be16 type = inner_most ? net::ether_type::kVlan : net::ether_type::kQinQ;
    (i == 0 ? ethernet.type : view<net::VlanTag>(tag - sizeof(net::VlanTag)).type) = type;
    view<net::VlanTag>(tag) = {.control = be16(stream.vlans[i].priority << 13 | stream.vlans[i].id), .type = ip};
  }
}

void write_ip(const StreamDescription& stream, std::uint8_t* at, std::size_t ip_bytes) {
  const std::uint8_t protocol = protocol_number(stream);
  if (stream.source_ip.is_v4()) {
    write_ipv4(at, stream.source_ip.v4(), stream.destination_ip.v4(), protocol, ip_bytes, stream.dscp, stream.ttl);
    return;
  }
  write_ipv6(at, stream.source_ip.v6(), stream.destination_ip.v6(), protocol, ip_bytes, stream.dscp, stream.ttl);
}

void write_l4(const StreamDescription& stream, std::uint8_t* at, std::size_t l4_bytes) {
  const Be16 source(stream.source_port), destination(stream.destination_port);
  switch (stream.protocol) {
    case Protocol::kUdp:
      view<net::UdpHeader>(at) = {
          .source_port = source, .destination_port = destination, .length = be16(l4_bytes), .checksum = {}};
      return;
    case Protocol::kTcp:
      view<net::TcpHeader>(at) = {.source_port = source,
                                  .destination_port = destination,
                                  .sequence = Be32(1),
                                  .acknowledgment = Be32(1),
                                  .data_offset = 5 << 4,
                                  .flags = stream.tcp_flags,
                                  .window = Be16(65535),
                                  .checksum = {},
                                  .urgent = {}};
      return;
    case Protocol::kIcmp:
      view<net::IcmpHeader>(at) = {
          .type = stream.source_ip.is_v4() ? net::icmp_type::kEchoRequest : net::icmpv6_type::kEchoRequest,
          .code = 0,
          .checksum = {},
          .identifier = source,
          .sequence = Be16(1)};
      return;
    case Protocol::kSctp:
      view<net::SctpHeader>(at) = {
          .source_port = source, .destination_port = destination, .verification_tag = Be32(1), .checksum = {}};
      // One whole message: beginning and end flags; TSN, stream, sequence and protocol identifier follow as zero.
      view<net::SctpChunk>(at + sizeof(net::SctpHeader)) = {
          .type = net::sctp_chunk::kData, .flags = 3, .length = be16(l4_bytes - sizeof(net::SctpHeader))};
      return;
  }
}

net::Sum pseudo_sum(const StreamDescription& stream, std::size_t l4_bytes) {
  const std::uint8_t protocol = protocol_number(stream);
  if (protocol == net::ip_protocol::kIcmp) return 0;
  const auto length = static_cast<std::uint16_t>(l4_bytes);
  return stream.source_ip.is_v4()
             ? net::pseudo_header_sum(stream.source_ip.v4(), stream.destination_ip.v4(), protocol, length)
             : net::pseudo_header_sum(stream.source_ip.v6(), stream.destination_ip.v6(), protocol, length);
}

}  // namespace

FrameLayout layout_of(const StreamDescription& stream) {
  FrameLayout at;
  const auto advance = [](std::size_t from, std::size_t by) { return static_cast<std::uint16_t>(from + by); };
  if (stream.vxlan) {
    const bool v4 = stream.vxlan->source.is_v4();
    at.outer_port = advance(sizeof(net::EthernetHeader), v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
    if (!v4) at.outer_checksum = advance(at.outer_port, offsetof(net::UdpHeader, checksum));
    at.vni = advance(at.outer_port, sizeof(net::UdpHeader) + 4);
  }
  at.ethernet = static_cast<std::uint16_t>(tunnel_bytes(stream));
  at.vlan = stream.vlans.empty() ? std::uint16_t{0} : advance(at.ethernet, sizeof(net::EthernetHeader));
  at.ip = advance(at.ethernet, sizeof(net::EthernetHeader) + stream.vlans.size() * sizeof(net::VlanTag));
  at.l4 = advance(at.ip, stream.source_ip.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
  at.payload = advance(at.ethernet, header_bytes(stream));
  if (stream.source_ip.is_v4()) at.ip_checksum = advance(at.ip, offsetof(net::Ipv4Header, checksum));
  switch (stream.protocol) {
    case Protocol::kUdp: at.l4_checksum = advance(at.l4, offsetof(net::UdpHeader, checksum)); break;
    case Protocol::kTcp: at.l4_checksum = advance(at.l4, offsetof(net::TcpHeader, checksum)); break;
    case Protocol::kIcmp: at.l4_checksum = advance(at.l4, offsetof(net::IcmpHeader, checksum)); break;
    case Protocol::kSctp: at.l4_checksum = advance(at.l4, offsetof(net::SctpHeader, checksum)); break;
  }
  return at;
}

FrameTemplate make_frame_template(const StreamDescription& stream, std::uint32_t frame_bytes) {
  FrameTemplate frame;
  const FrameLayout at = frame.layout = layout_of(stream);
  frame.bytes.resize(at.ethernet + frame_bytes);
  frame.is_sctp = stream.protocol == Protocol::kSctp;
  frame.is_udp = stream.protocol == Protocol::kUdp;
  std::uint8_t* const data = frame.bytes.data();
  if (stream.vxlan) frame.outer_sum = write_tunnel(stream, frame.bytes);
  write_ethernet(stream, data + at.ethernet);
  write_ip(stream, data + at.ip, frame.bytes.size() - at.ip);
  const std::size_t l4_bytes = frame.bytes.size() - at.l4;
  write_l4(stream, data + at.l4, l4_bytes);
  // A pattern, so that bytes that moved or were cleared are seen.
  const std::size_t payload_bytes = frame.bytes.size() - at.payload;
  const std::size_t first_covered = at.payload + payload_bytes % 2;
  const std::size_t tag = frame.bytes.size() - Tag::kBytes;
  for (std::size_t i = first_covered; i < tag; ++i) data[i] = static_cast<std::uint8_t>(i * 7 + 1);
  frame.covered_bytes = static_cast<std::uint16_t>(frame.bytes.size() - first_covered);
  frame.fill_sum = net::fold(net::sum_bytes({data + first_covered, tag - first_covered}));

  if (stream.source_ip.is_v4()) frame.ip_sum = net::sum_bytes({data + at.ip, sizeof(net::Ipv4Header)});
  frame.l4_sum =
      pseudo_sum(stream, l4_bytes) + net::sum_bytes({data + at.l4, static_cast<std::size_t>(at.payload - at.l4)});
  return frame;
}

FieldPlace place_of(const StreamDescription& stream, FieldName name) {
  const FrameLayout at = layout_of(stream);
  const auto plus = [](std::uint16_t from, std::size_t by) { return static_cast<std::uint16_t>(from + by); };
  const bool v4 = stream.source_ip.is_v4();
  const bool icmp4 = stream.protocol == Protocol::kIcmp && v4;
  const auto ip_bytes = static_cast<std::uint8_t>(v4 ? 4 : 16);
  switch (name) {
    case FieldName::kSourceMac: return {plus(at.ethernet, 6), 6, 0, 0xffffffff, false, false};
    case FieldName::kDestinationMac: return {at.ethernet, 6, 0, 0xffffffff, false, false};
    case FieldName::kVlan:
      if (at.vlan == 0) return {};
      return {at.vlan, 2, 0, 4094, false, false};
    case FieldName::kSourceIp:
      return {plus(at.ip, v4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source)),
              ip_bytes,
              0,
              0xffffffff,
              v4,
              !icmp4};
    case FieldName::kDestinationIp:
      return {plus(at.ip, v4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination)),
              ip_bytes,
              0,
              0xffffffff,
              v4,
              !icmp4};
    case FieldName::kSourcePort:
      return {plus(at.l4, stream.protocol == Protocol::kIcmp ? offsetof(net::IcmpHeader, identifier) : 0),
              2,
              0,
              65535,
              false,
              true};
    case FieldName::kDestinationPort:
      if (stream.protocol == Protocol::kIcmp) return {};
      return {plus(at.l4, 2), 2, 0, 65535, false, true};
    case FieldName::kTtl:  // shares its word with the protocol over IPv4, follows the next header over IPv6
      if (v4) return {plus(at.ip, offsetof(net::Ipv4Header, ttl)), 2, 8, 255, true, false};
      return {plus(at.ip, offsetof(net::Ipv6Header, next_header)), 2, 0, 255, false, false};
    case FieldName::kDscp:
      if (v4) return {at.ip, 2, 2, 63, true, false};
      return {at.ip, 2, 6, 63, false, false};
    case FieldName::kVni:
      if (at.vni == 0) return {};
      return {at.vni, 4, 8, (1u << 24) - 1, false, false};
  }
  return {};
}

void clear_field(FrameTemplate& frame, const FieldPlace& place) {
  const std::span<std::uint8_t> bytes(frame.bytes.data() + place.offset, place.bytes);
  const net::Sum before = net::sum_bytes(bytes);
  const std::uint32_t mask = place.most << place.shift;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t from_end = bytes.size() - 1 - i;
    // Addresses go as a whole; of a number only the bits that are its own.
    const std::uint32_t own = place.bytes > 4 ? 0xff : mask >> (8 * from_end) & 0xff;
    bytes[i] &= static_cast<std::uint8_t>(~own);
  }
  // One's complement: what goes is added inverted (RFC 1624), so that no sum falls below zero.
  const net::Sum change = static_cast<std::uint16_t>(~net::fold(before)) + net::Sum{net::fold(net::sum_bytes(bytes))};
  if (place.in_ip_sum) frame.ip_sum += change;
  if (place.in_l4_sum) frame.l4_sum += change;
}

}  // namespace millrace::perf::gen
