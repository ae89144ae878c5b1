#include "net/offload.h"

#include "net/wire.h"

namespace millrace::net {
namespace {

/// What has a checksum field that a sender may leave to its device.
bool may_be_partial(const Headers& headers) noexcept {
  if (!headers.has_l4 || headers.is_fragment) return false;
  return headers.l4_protocol == ip_protocol::kTcp || headers.l4_protocol == ip_protocol::kUdp ||
         headers.l4_protocol == ip_protocol::kSctp;
}

bool may_be_cut(const Packet& packet) noexcept {
  if (!packet.offload.checksum_partial || packet.headers.l4_protocol != ip_protocol::kTcp) return false;
  const auto& tcp = view<TcpHeader>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l4_offset);
  if ((tcp.flags & (TcpHeader::kSyn | TcpHeader::kRst)) != 0) return false;
  return payload_bytes(packet) <= std::uint32_t{packet.offload.gso_size_bytes} * kMaxSegments;
}

}  // namespace

Drop check_offload(Packet& packet) noexcept {
  Offload& offload = packet.offload;
  if (offload.checksum_partial && !may_be_partial(packet.headers)) return Drop::kOffloadBad;
  if (offload.gso_size_bytes != 0) {
    if (!may_be_cut(packet)) return Drop::kOffloadBad;
    if (payload_bytes(packet) <= offload.gso_size_bytes) offload.gso_size_bytes = 0;
  }
  return packet.is_chained() && offload.gso_size_bytes == 0 ? Drop::kOffloadBad : Drop::kNone;
}

bool checksum_may_be_left(const Packet& packet) noexcept {
  const Headers& headers = packet.headers;
  if (!may_be_partial(headers)) return false;
  if (headers.l3_offset + headers.l3_length != packet.length_bytes) return false;
  if (headers.l3 == L3::kIpv6 && headers.l4_offset != headers.l3_offset + sizeof(Ipv6Header)) return false;
  if (headers.l4_protocol == ip_protocol::kTcp) return true;
  const auto& udp = view<UdpHeader>(static_cast<const std::uint8_t*>(packet.data) + headers.l4_offset);
  return headers.l4_protocol == ip_protocol::kUdp && headers.l4_offset + udp.length.host() == packet.length_bytes;
}

}  // namespace millrace::net
