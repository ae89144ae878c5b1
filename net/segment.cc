#include "net/segment.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/offload.h"

namespace millrace::net {
namespace {

constexpr std::uint8_t kOfTheLast = TcpHeader::kFin | TcpHeader::kPsh;
constexpr std::uint8_t kOfTheFirst = TcpHeader::kCwr;

/// IPv4: total length, identification, checksum; IPv6: payload length.
void write_l3(Packet& piece, std::uint16_t number) noexcept {
  if (piece.headers.l3 == L3::kIpv4) {
    Ipv4Header& ip = ipv4(piece);
    ip.total_length = Be16(static_cast<std::uint16_t>(piece.headers.l3_length));
    ip.id = Be16(static_cast<std::uint16_t>(ip.id.host() + number));
    set_ipv4_checksum(ip);
  } else {
    ipv6(piece).payload_length = Be16(static_cast<std::uint16_t>(piece.headers.l3_length - sizeof(Ipv6Header)));
  }
}

/// `before`: payload in front of this piece's own.
void write_tcp(Packet& piece, std::uint32_t before, bool is_last) noexcept {
  auto& tcp = view<TcpHeader>(piece.data + piece.headers.l4_offset);
  tcp.sequence = Be32(tcp.sequence.host() + before);
  if (!is_last) tcp.flags = static_cast<std::uint8_t>(tcp.flags & ~kOfTheLast);
  if (before != 0) tcp.flags = static_cast<std::uint8_t>(tcp.flags & ~kOfTheFirst);
  if ((tcp.flags & TcpHeader::kUrg) == 0) return;
  const std::uint32_t urgent = tcp.urgent.host();
  if (urgent > before) {
    tcp.urgent = Be16(static_cast<std::uint16_t>(urgent - before));
  } else if (before != 0) {
    tcp.urgent = Be16();
    tcp.flags = static_cast<std::uint8_t>(tcp.flags & ~TcpHeader::kUrg);
  }
}

}  // namespace

Segmenter::Segmenter(const Packet& packet) noexcept
    : packet_(packet),
      payload_bytes_(payload_bytes(packet)),
      from_(&packet),
      from_offset_(packet.headers.payload_offset) {}

/// The parser has found the payload inside length_bytes: the chain is as long as that.
void Segmenter::copy_payload(std::uint8_t* to, std::uint32_t bytes) noexcept {
  while (bytes != 0) {
    const std::uint32_t here = std::min(bytes, from_->head_bytes - from_offset_);
    std::memcpy(to, from_->data + from_offset_, here);
    to += here;
    bytes -= here;
    from_offset_ += here;
    if (from_offset_ == from_->head_bytes && from_->is_chained()) {
      from_ = from_->next;
      from_offset_ = 0;
    }
  }
}

bool Segmenter::write_next(Packet& out) noexcept {
  const Headers& headers = packet_.headers;
  const std::uint32_t payload = std::min<std::uint32_t>(packet_.offload.gso_size_bytes, payload_bytes_ - sent_bytes_);
  const std::uint32_t bytes = headers.payload_offset + payload;
  if (out.capacity_bytes - out.headroom_bytes() < bytes) return false;
  std::memcpy(out.data, packet_.data, headers.payload_offset);
  copy_payload(out.data + headers.payload_offset, payload);
  out.head_bytes = out.length_bytes = bytes;
  out.in_port = packet_.in_port;
  out.out_port = packet_.out_port;
  out.tunnel = packet_.tunnel;
  out.headers = headers;
  out.headers.l3_length = bytes - headers.l3_offset;
  out.is_reply = packet_.is_reply;
  out.offload = {};
  out.checksum_is_known = true;
  out.drop = Drop::kNone;
  write_l3(out, count_);
  write_tcp(out, sent_bytes_, sent_bytes_ + payload == payload_bytes_);
  complete_l4_checksum(out.head(), out.headers);
  sent_bytes_ += payload;
  ++count_;
  return true;
}

}  // namespace millrace::net
