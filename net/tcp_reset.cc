#include "net/tcp_reset.h"

#include <utility>

#include "net/checksum.h"
#include "net/ip_header.h"

namespace millrace::net {
namespace {

constexpr std::uint8_t kTtl = 64;  // RFC 1700

/// Sequence space the segment takes: its payload, SYN and FIN.
std::uint32_t segment_length(const Packet& packet, const TcpHeader& tcp) noexcept {
  const Headers& headers = packet.headers;
  const std::uint32_t end = headers.l3_offset + headers.l3_length;
  const std::uint32_t payload = end > headers.payload_offset ? end - headers.payload_offset : 0;
  return payload + ((tcp.flags & TcpHeader::kSyn) != 0 ? 1 : 0) + ((tcp.flags & TcpHeader::kFin) != 0 ? 1 : 0);
}

/// What a closed port answers: it acknowledges what has no acknowledgement, and takes the sequence number from what
/// has.
TcpHeader reset_for(const Packet& packet, const TcpHeader& tcp) noexcept {
  TcpHeader reset{};
  reset.source_port = tcp.destination_port;
  reset.destination_port = tcp.source_port;
  reset.data_offset = (sizeof reset / 4) << 4;
  if ((tcp.flags & TcpHeader::kAck) != 0) {
    reset.sequence = tcp.acknowledgment;
    reset.flags = TcpHeader::kRst;
  } else {
    reset.acknowledgment = Be32(tcp.sequence.host() + segment_length(packet, tcp));
    reset.flags = TcpHeader::kRst | TcpHeader::kAck;
  }
  return reset;
}

void write_ipv4(Packet& packet) noexcept {
  Ipv4Header& ip = ipv4(packet);
  std::swap(ip.source, ip.destination);
  ip.version_ihl = 0x45;
  ip.total_length = Be16(sizeof(Ipv4Header) + sizeof(TcpHeader));
  ip.id = Be16{};
  ip.flags_offset = Be16(Ipv4Header::kDontFragment);
  ip.ttl = kTtl;
  ip.protocol = ip_protocol::kTcp;
  set_ipv4_checksum(ip);
}

void write_ipv6(Packet& packet) noexcept {
  Ipv6Header& ip = ipv6(packet);
  std::swap(ip.source, ip.destination);
  ip.payload_length = Be16(sizeof(TcpHeader));
  ip.next_header = ip_protocol::kTcp;
  ip.hop_limit = kTtl;
}

}  // namespace

bool make_tcp_reset(Packet& packet, Mac source) noexcept {
  const Headers& headers = packet.headers;
  const bool is_segment = headers.l4_protocol == ip_protocol::kTcp && headers.has_l4 && !headers.is_fragment;
  if (!is_segment) return false;
  const auto& tcp = view<TcpHeader>(static_cast<const std::uint8_t*>(packet.data) + headers.l4_offset);
  if ((tcp.flags & TcpHeader::kRst) != 0) return false;
  const TcpHeader reset = reset_for(packet, tcp);

  const bool is_v4 = headers.l3 == L3::kIpv4;
  is_v4 ? write_ipv4(packet) : write_ipv6(packet);
  const std::uint32_t ip_bytes = is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  view<TcpHeader>(packet.data + headers.l3_offset + ip_bytes) = reset;
  packet.head_bytes = headers.l3_offset + ip_bytes + sizeof reset;
  packet.length_bytes = packet.head_bytes;
  packet.offload = {};
  set_macs(packet, ethernet(packet).source, source);
  if (parse(packet.head(), packet.length_bytes, packet.headers) != Drop::kNone) return false;
  return complete_l4_checksum(packet.head(), packet.headers);
}

}  // namespace millrace::net
