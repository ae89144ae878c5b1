// Fuzzes parse() and, on what it accepts, everything that rewrites a packet: checksums, TTL, ARP, neighbour discovery,
// ICMP and fragmentation. The input is a frame; its last byte also chooses sizes, kinds and MTUs.

#include <cstring>
#include <vector>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/flow_key.h"
#include "net/fragment.h"
#include "net/icmp.h"
#include "net/ip_header.h"
#include "net/ndp.h"
#include "tests/fuzz/require.h"
#include "tests/net/packet_builder.h"

namespace {

using namespace millrace;
using namespace millrace::net;
using tests::Bytes;
using tests::require;
using tests::TestPacket;
using Input = std::span<const std::uint8_t>;

IcmpSource source() {
  return {.mac = Mac{{2, 0, 0, 0, 0, 0xfe}},
          .ipv4 = Ipv4::from_host(0xa9fe0101),
          .ipv6 = Ipv6{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};
}

TestPacket parsed(Input frame, std::uint32_t headroom_bytes = 128, std::uint32_t tailroom_bytes = 64) {
  TestPacket packet(frame, headroom_bytes, tailroom_bytes);
  require(packet.parse() == Drop::kNone, "parsing the same frame again gives the same answer");
  return packet;
}

void check_headers(const Headers& headers, std::uint32_t total_length) {
  const std::uint32_t l3_end = headers.l3_offset + headers.l3_length;
  require(headers.l3 != L3::kNone, "an accepted frame has an L3");
  require(headers.l3_offset == 14 + headers.vlan_count * 4 && headers.vlan_count <= 2, "L3 is behind the tags");
  require(l3_end <= total_length, "L3 ends inside the packet");
  if (headers.l3 == L3::kArp) return;
  require(headers.l4_offset >= headers.l3_offset + 20, "L4 is behind the IP header");
  require(headers.payload_offset >= headers.l4_offset, "payload is behind L4");
  require(headers.payload_offset <= l3_end, "payload begins inside L3");
  require(!headers.is_first_fragment || headers.is_fragment, "a first fragment is a fragment");
  require(!headers.has_l4 || !headers.is_fragment || headers.is_first_fragment, "no L4 in a later fragment");
}

/// The frame as the first segment of a longer packet.
void check_segments(Input frame, std::uint8_t choice) {
  TestPacket head(frame.first(frame.size() - choice % frame.size()), 0, 0);
  head->length_bytes = static_cast<std::uint32_t>(frame.size()) + choice;
  if (head.parse() != Drop::kNone) return;
  check_headers(head->headers, head->length_bytes);
  const auto& headers = head->headers;
  require(headers.l3 == L3::kArp || headers.payload_offset <= head->head_bytes, "headers lie in the first segment");
  l4_checksum_is_partial(head->head(), headers);
  complete_l4_checksum(head->head(), headers);
  make_icmp_error(*head, {.kind = IcmpErrorKind::kNoRoute}, source());
  TestPacket roomy(frame.first(frame.size() - choice % frame.size()));
  roomy->length_bytes = head->length_bytes;
  if (roomy.parse() == Drop::kNone && make_icmp_error(*roomy, {.kind = IcmpErrorKind::kNoRoute}, source())) {
    require(roomy->length_bytes == roomy->head_bytes, "an error ends in its first segment");
  }
}

void check_checksums(Input frame) {
  TestPacket packet = parsed(frame, 0, 0);
  const bool was_right = l4_checksum_is_right(packet->head(), packet->headers);
  const Bytes before = packet.bytes();
  if (!complete_l4_checksum(packet->head(), packet->headers)) {
    require(packet.bytes() == before, "a refused checksum changes nothing");
    return;
  }
  require(l4_checksum_is_right(packet->head(), packet->headers), "a completed checksum is right");
  const bool is_crc = packet->headers.l4_protocol == ip_protocol::kSctp;
  require(!is_crc || !was_right || packet.bytes() == before, "completing a right CRC changes nothing");
}

void check_forwarding(Input frame) {
  TestPacket packet = parsed(frame, 0, 0);
  if (packet->headers.l3 == L3::kArp) return;
  const std::uint8_t ttl = packet->headers.ttl;
  require(decrement_ttl(*packet) == (ttl > 1), "TTL above 1 passes");
  require(packet.parse() == Drop::kNone, "a forwarded packet parses");
  require(packet->headers.ttl == (ttl > 1 ? ttl - 1 : ttl), "one hop takes one");
  if (packet->headers.l3 == L3::kIpv4) {
    const FlowKeyV4 key = FlowKeyV4::of(*packet);
    require(key.symmetric_hash() == key.reversed().symmetric_hash(), "hash(request) == hash(reply)");
  } else {
    const FlowKeyV6 key = FlowKeyV6::of(*packet);
    require(key.symmetric_hash() == key.reversed().symmetric_hash(), "hash(request) == hash(reply)");
  }
}

void check_answers(Input frame, std::uint8_t choice) {
  const std::uint32_t tailroom = choice % 16;
  TestPacket arp_packet = parsed(frame, 0, 0);
  if (make_arp_reply(*arp_packet, source().mac)) {
    require(arp_packet.parse() == Drop::kNone && !make_arp_reply(*arp_packet, source().mac), "a reply is no request");
  }
  TestPacket solicitation = parsed(frame, 0, tailroom);
  if (make_neighbor_advertisement(*solicitation, source().mac, choice % 2 == 0)) {
    require(solicitation.parse() == Drop::kNone, "an advertisement parses");
    require(l4_checksum_is_right(solicitation->head(), solicitation->headers), "an advertisement verifies");
  }
  TestPacket echo = parsed(frame, 0, 0);
  const bool was_right = l4_checksum_is_right(echo->head(), echo->headers);
  if (make_echo_reply(*echo)) {
    require(echo.parse() == Drop::kNone, "an echo reply parses");
    require(l4_checksum_is_right(echo->head(), echo->headers) == was_right, "an echo reply is as right as its request");
    require(!make_echo_reply(*echo), "a reply is no request");
  }
}

void check_icmp_error(Input frame, std::uint8_t choice) {
  TestPacket packet = parsed(frame, choice % 64, 0);
  const Bytes before = packet.bytes();
  const auto kind = static_cast<IcmpErrorKind>(choice % 6);
  if (!make_icmp_error(*packet, {.kind = kind, .mtu_bytes = 1400}, source())) {
    require(packet.bytes() == before, "a refused error changes nothing");
    return;
  }
  require(packet.parse() == Drop::kNone, "an error parses");
  require(l4_checksum_is_right(packet->head(), packet->headers), "an error verifies");
  require(packet->headers.l3_length <= (packet->headers.l3 == L3::kIpv4 ? 576u : 1280u), "an error is short enough");
  require(!may_answer_with_error(*packet, kind), "an error is never answered with one");
}

void check_fragments(Input frame, std::uint8_t choice) {
  TestPacket packet = parsed(frame);
  const std::uint32_t mtu_bytes = 28u + choice * 4u;
  const unsigned count = count_ipv4_fragments(*packet, mtu_bytes);
  if (count == 0) return;
  std::vector<TestPacket> fragments;
  std::vector<Packet*> out;
  for (unsigned i = 0; i < count; ++i) {
    fragments.push_back(TestPacket::with_capacity(22 + mtu_bytes, 0));
    out.push_back(fragments.back().get());
  }
  if (fragment_ipv4(*packet, mtu_bytes, out) == 0) return;  // the L4 header would not fit into the first
  const Ipv4Header& whole = ipv4(*packet);
  std::uint32_t next = whole.offset_bytes();
  for (TestPacket& fragment : fragments) {
    require(fragment.parse() == Drop::kNone, "a fragment parses");
    const Ipv4Header& part = ipv4(*fragment);
    require(fragment->headers.l3_length <= mtu_bytes, "a fragment fits the MTU");
    require(part.offset_bytes() == next, "fragments follow each other");
    const bool is_last = fragment.get() == out.back();
    require(part.more_fragments() == (!is_last || whole.more_fragments()), "only the last is the last");
    const std::uint32_t bytes = fragment->headers.l3_length - part.header_bytes();
    const std::uint8_t* original = packet->data + packet->headers.l4_offset + (next - whole.offset_bytes());
    require(std::memcmp(fragment->data + fragment->headers.l4_offset, original, bytes) == 0, "payload is kept");
    next += bytes;
  }
  require(next - whole.offset_bytes() == packet->headers.l3_length - whole.header_bytes(), "nothing is lost");
}

Drop check_frame(Input frame) {
  Headers headers;
  const Drop drop = parse(frame, static_cast<std::uint32_t>(frame.size()), headers);
  if (frame.empty()) return drop;
  const std::uint8_t choice = frame.back();
  check_segments(frame, choice);
  if (drop != Drop::kNone) return drop;
  check_headers(headers, static_cast<std::uint32_t>(frame.size()));
  check_checksums(frame);
  check_forwarding(frame);
  check_answers(frame, choice);
  check_icmp_error(frame, choice);
  check_fragments(frame, choice);
  return drop;
}

/// A fuzzer does not guess a checksum: the same frame with it mended, so that IPv4 gets further than its header.
void check_mended(Input frame) {
  Headers headers;
  parse(frame, static_cast<std::uint32_t>(frame.size()), headers);
  Bytes mended(frame.begin(), frame.end());
  set_ipv4_checksum(view<Ipv4Header>(mended.data() + headers.l3_offset));
  require(check_frame(mended) != Drop::kIpv4BadChecksum, "a mended checksum is right");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input frame(data, size);
  if (check_frame(frame) == Drop::kIpv4BadChecksum) check_mended(frame);
  return 0;
}
