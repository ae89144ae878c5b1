#include "perf/gen/run/turn_round.h"

#include <utility>

#include "net/arp.h"
#include "net/icmp.h"
#include "net/ip_header.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint16_t kVxlanPort = 4789;

void swap_ethernet_and_ip(std::uint8_t* frame, const net::Headers& headers) noexcept {
  auto& ethernet = net::view<net::EthernetHeader>(frame);
  std::swap(ethernet.source, ethernet.destination);
  if (headers.l3 == net::L3::kIpv4) {
    auto& ip = net::view<net::Ipv4Header>(frame + headers.l3_offset);
    std::swap(ip.source, ip.destination);
  } else {
    auto& ip = net::view<net::Ipv6Header>(frame + headers.l3_offset);
    std::swap(ip.source, ip.destination);
  }
}

/// Ports come first in all three. The internet checksum does not care; SCTP's does.
void swap_ports(std::uint8_t* frame, const net::Headers& headers) noexcept {
  std::uint8_t* const l4 = frame + headers.l4_offset;
  auto& ports = net::view<net::Be32>(l4);
  const net::Be32 before = ports;
  ports = net::Be32(before.host() << 16 | before.host() >> 16);
  if (headers.l4_protocol != net::ip_protocol::kSctp) return;
  auto& sctp = net::view<net::SctpHeader>(l4);
  const std::uint32_t bytes = headers.l3_length - (headers.l4_offset - headers.l3_offset);
  sctp.checksum = net::update_sctp_checksum(sctp.checksum, before, ports, bytes);
}

bool has_ports(const net::Headers& headers) noexcept {
  return headers.has_l4 && !headers.is_fragment &&
         (headers.l4_protocol == net::ip_protocol::kUdp || headers.l4_protocol == net::ip_protocol::kTcp ||
          headers.l4_protocol == net::ip_protocol::kSctp);
}

bool turn_tunnel(net::Packet& packet) noexcept {
  const std::uint32_t inner_offset =
      packet.headers.payload_offset + static_cast<std::uint32_t>(sizeof(net::VxlanHeader));
  if (inner_offset >= packet.head_bytes) return false;
  net::Headers inner;
  const auto frame = packet.head().subspan(inner_offset);
  if (net::parse(frame, static_cast<std::uint32_t>(frame.size()), inner) != net::Drop::kNone || !has_ports(inner)) {
    return false;
  }
  swap_ethernet_and_ip(packet.data, packet.headers);
  swap_ethernet_and_ip(frame.data(), inner);
  const auto& sctp = net::view<net::SctpHeader>(frame.data() + inner.l4_offset);
  const net::Be32 before = inner.l4_protocol == net::ip_protocol::kSctp ? sctp.checksum : net::Be32();
  swap_ports(frame.data(), inner);
  auto& outer = net::view<net::UdpHeader>(packet.data + packet.headers.l4_offset);
  if (outer.checksum.raw() != 0 && inner.l4_protocol == net::ip_protocol::kSctp) {
    outer.checksum = net::update_checksum(outer.checksum, before, sctp.checksum);
  }
  return true;
}

}  // namespace

bool turn_round(net::Packet& packet) noexcept {
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) return false;
  const net::Headers& headers = packet.headers;
  if (net::is_echo_request(packet)) return net::make_echo_reply(packet);
  if (!has_ports(headers)) return false;
  if (headers.l4_protocol == net::ip_protocol::kUdp && headers.destination_port == kVxlanPort)
    return turn_tunnel(packet);
  swap_ethernet_and_ip(packet.data, headers);
  swap_ports(packet.data, headers);
  return true;
}

}  // namespace millrace::perf::gen
