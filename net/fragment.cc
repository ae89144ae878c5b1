#include "net/fragment.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "net/ip_header.h"
#include "net/ipv4_options.h"
#include "net/parser.h"

namespace millrace::net {
namespace {

constexpr std::uint32_t kMostHeaderBytes = 60;

/// How a datagram is cut: the headers of its first and of its other fragments and the payload each carries.
struct Plan {
  std::uint32_t payload_bytes = 0;
  std::uint32_t first_header_bytes = 0;
  std::uint32_t first_payload_bytes = 0;
  std::array<std::uint8_t, kMostHeaderBytes> other_header{};
  std::uint32_t other_header_bytes = 0;
  std::uint32_t other_payload_bytes = 0;
  unsigned count = 0;
};

/// Payload of one fragment: a multiple of 8 that fits behind the header.
std::uint32_t payload_room(std::uint32_t mtu_bytes, std::uint32_t header_bytes) noexcept {
  return mtu_bytes > header_bytes ? (mtu_bytes - header_bytes) & ~7u : 0;
}

/// The header of fragments that are not the first: only the options with the copy bit, padded with "end of list".
void make_other_header(const Packet& packet, Plan& plan) noexcept {
  const Ipv4Header& ip = ipv4(packet);
  std::memcpy(plan.other_header.data(), &ip, sizeof ip);
  std::uint32_t bytes = sizeof ip;
  Ipv4Options options(packet.head().subspan(packet.headers.l3_offset + sizeof ip, ip.header_bytes() - sizeof ip));
  while (options.next()) {
    if ((options.type() & Ipv4Options::kCopied) == 0) continue;
    std::memcpy(plan.other_header.data() + bytes, options.option().data(), options.option().size());
    bytes += static_cast<std::uint32_t>(options.option().size());
  }
  plan.other_header_bytes = (bytes + 3) & ~3u;
  auto& other = view<Ipv4Header>(plan.other_header.data());
  other.version_ihl = static_cast<std::uint8_t>(0x40 | plan.other_header_bytes / 4);
}

/// count 0 when the packet may not or cannot be fragmented.
Plan make_plan(const Packet& packet, std::uint32_t mtu_bytes) noexcept {
  const Headers& headers = packet.headers;
  Plan plan;
  if (headers.l3 != L3::kIpv4 || packet.length_bytes != packet.head_bytes) return plan;
  const Ipv4Header& ip = ipv4(packet);
  plan.first_header_bytes = ip.header_bytes();
  plan.payload_bytes = headers.l3_length - plan.first_header_bytes;
  if (headers.l3_length <= mtu_bytes) {
    plan.first_payload_bytes = plan.payload_bytes;
    plan.count = 1;
    return plan;
  }
  if (ip.dont_fragment() || packet.offload.checksum_partial) return plan;
  make_other_header(packet, plan);
  plan.first_payload_bytes = payload_room(mtu_bytes, plan.first_header_bytes);
  plan.other_payload_bytes = payload_room(mtu_bytes, plan.other_header_bytes);
  if (plan.first_payload_bytes == 0 || plan.other_payload_bytes == 0) return plan;
  const std::uint32_t left = plan.payload_bytes - plan.first_payload_bytes;
  plan.count = 1 + (left + plan.other_payload_bytes - 1) / plan.other_payload_bytes;
  return plan;
}

/// Writes Ethernet header, IP header and payload. `begin` is the payload's place in this packet's own payload.
bool write_fragment(const Packet& packet, const Plan& plan, std::uint32_t begin, Packet& out) noexcept {
  const bool is_first = begin == 0;
  const std::uint32_t header_bytes = is_first ? plan.first_header_bytes : plan.other_header_bytes;
  const std::uint32_t room = is_first ? plan.first_payload_bytes : plan.other_payload_bytes;
  const std::uint32_t payload_bytes = std::min(room, plan.payload_bytes - begin);
  const bool is_last = begin + payload_bytes == plan.payload_bytes;
  const std::uint32_t l3_offset = packet.headers.l3_offset;
  const std::uint32_t bytes = l3_offset + header_bytes + payload_bytes;
  if (out.capacity_bytes - out.headroom_bytes() < bytes) return false;

  const std::uint8_t* original_ip = packet.data + l3_offset;
  std::uint8_t* l3 = out.data + l3_offset;
  std::memcpy(out.data, packet.data, l3_offset);
  std::memcpy(l3, is_first ? original_ip : plan.other_header.data(), header_bytes);
  std::memcpy(l3 + header_bytes, original_ip + plan.first_header_bytes + begin, payload_bytes);

  auto& ip = view<Ipv4Header>(l3);
  const std::uint32_t original_flags = ipv4(packet).flags_offset.host();
  const std::uint32_t more = is_last ? original_flags & Ipv4Header::kMoreFragments : Ipv4Header::kMoreFragments;
  const std::uint32_t offset_units = (original_flags & Ipv4Header::kOffsetMask) + begin / 8;
  const std::uint32_t other_flags = original_flags & (Ipv4Header::kReserved | Ipv4Header::kDontFragment);
  ip.flags_offset = Be16(static_cast<std::uint16_t>(other_flags | more | offset_units));
  ip.total_length = Be16(static_cast<std::uint16_t>(header_bytes + payload_bytes));
  set_ipv4_checksum(ip);

  out.head_bytes = bytes;
  out.length_bytes = bytes;
  out.in_port = packet.in_port;
  out.out_port = packet.out_port;
  out.offload = plan.count == 1 ? packet.offload : Offload{};
  out.drop = Drop::kNone;
  return true;
}

}  // namespace

unsigned count_ipv4_fragments(const Packet& packet, std::uint32_t mtu_bytes) noexcept {
  return make_plan(packet, mtu_bytes).count;
}

unsigned fragment_ipv4(const Packet& packet, std::uint32_t mtu_bytes, std::span<Packet* const> out) noexcept {
  const Plan plan = make_plan(packet, mtu_bytes);
  if (plan.count == 0 || plan.count > out.size()) return 0;
  std::uint32_t begin = 0;
  for (unsigned i = 0; i < plan.count; ++i) {
    if (!write_fragment(packet, plan, begin, *out[i])) return 0;
    begin += i == 0 ? plan.first_payload_bytes : plan.other_payload_bytes;
    if (parse(out[i]->head(), out[i]->length_bytes, out[i]->headers) != Drop::kNone) return 0;
  }
  return plan.count;
}

std::uint32_t fragment_id(const Packet& packet) noexcept {
  if (packet.headers.l3 == L3::kIpv4) return ipv4(packet).id.host();
  // parse() has walked this way: there is a fragment header, and all in front of it is whole.
  const std::uint8_t* at = packet.data + packet.headers.l3_offset;
  std::uint8_t kind = view<Ipv6Header>(at).next_header;
  at += sizeof(Ipv6Header);
  while (kind != ipv6_next_header::kFragment) {
    const auto& extension = view<Ipv6Extension>(at);
    at += extension.bytes(kind);
    kind = extension.next_header;
  }
  return view<Ipv6FragmentHeader>(at).id.host();
}

}  // namespace millrace::net
