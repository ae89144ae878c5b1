// Properties that hold for any bytes: the parser stays inside the frame, and what is made from a packet is a packet.
// Frames are cut, flipped and stretched from good ones with a fixed seed; each lies in memory of exactly its size, so
// the address sanitizer sees any byte read outside. The fuzzer (tests/fuzz) goes further with the same properties.

#include <gtest/gtest.h>

#include <random>

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/ip_header.h"
#include "net/ndp.h"
#include "net/parser.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

std::vector<Bytes> good_frames() {
  const auto ip4 = [] { return eth().ipv4("10.0.0.1", "10.0.0.2"); };
  const auto ip6 = [] { return eth().ipv6("fd00::1", "fd00::2"); };
  return {
      ip4().udp(1000, 53).payload(20u).bytes(),
      ip4().tcp(1000, 80).options({2, 4, 5, 0xb4}).payload(20u).bytes(),
      ip4().sctp(1000, 80).payload(20u).bytes(),
      ip4().icmp(8, 0, 1, 2).payload(20u).bytes(),
      ip4().options({148, 4, 0, 0, 1, 7, 7, 4, 0, 0, 0, 0}).udp(1, 2).payload(20u).bytes(),
      ip4().fragment(0, true).udp(1, 2).payload(24u).bytes(),
      ip4().fragment(1480, false).protocol(6).payload(24u).bytes(),
      eth().vlan(5).vlan(6).ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).bytes(),
      eth().arp(1, kMacA, "10.0.0.1", kMacB, "10.0.0.2").bytes(),
      ip6().udp(1000, 53).payload(20u).bytes(),
      ip6().extension(0).extension(60, 16).extension(43, 24).extension(51, 24).tcp(1, 2).bytes(),
      ip6().ipv6_fragment(0, true).udp(1, 2).payload(24u).bytes(),
      ip6().ipv6_fragment(1480, true).payload(24u).bytes(),
      ip6().icmpv6(128, 0, 1, 2).payload(20u).bytes(),
      eth().ipv6("fe80::7", "ff02::1:ff00:1").ttl(255).neighbor_solicitation("fe80::1", kMacA).bytes(),
  };
}

/// A frame near a good one: some bytes changed, perhaps cut; the IPv4 checksum mostly mended so that it gets further.
Bytes mutated(const Bytes& good, std::mt19937& random) {
  Bytes frame = good;
  for (unsigned changes = static_cast<unsigned>(random() % 4); changes > 0; --changes) {
    frame[12 + random() % std::min<std::size_t>(frame.size() - 12, 70)] = static_cast<std::uint8_t>(random());
  }
  if (random() % 4 == 0) frame.resize(random() % (frame.size() + 1));
  const auto* ethernet = at<EthernetHeader>(std::span<const std::uint8_t>(frame), 0);
  if (ethernet != nullptr && ethernet->type == ether_type::kIpv4 && random() % 8 != 0) {
    auto* ip = at<Ipv4Header>(std::span(frame), 14);
    if (ip != nullptr && ip->header_bytes() >= 20 && 14u + ip->header_bytes() <= frame.size()) set_ipv4_checksum(*ip);
  }
  return frame;
}

/// Where the headers say things lie is inside the frame and in order.
void expect_in_order(const Headers& headers, std::size_t frame_bytes) {
  EXPECT_GE(headers.l3_offset, 14);
  EXPECT_LE(headers.l3_offset + headers.l3_length, frame_bytes);
  EXPECT_LE(headers.vlan_count, 2);
  if (headers.l3 == L3::kArp) return;
  EXPECT_GE(headers.l4_offset, headers.l3_offset + (headers.l3 == L3::kIpv4 ? 20 : 40));
  EXPECT_GE(headers.payload_offset, headers.l4_offset);
  EXPECT_LE(headers.payload_offset, headers.l3_offset + headers.l3_length);
  EXPECT_FALSE(headers.is_first_fragment && !headers.is_fragment);
  EXPECT_FALSE(headers.has_l4 && headers.is_fragment && !headers.is_first_fragment);
}

TEST(ParserProperty, AnyBytesAreParsedWithinTheirBoundsAndHeadersLieInOrder) {
  std::mt19937 random(1);
  const std::vector<Bytes> good = good_frames();
  unsigned accepted = 0;
  std::array<unsigned, kDropCount> drops{};
  for (unsigned round = 0; round < 100000; ++round) {
    const Bytes frame = mutated(good[round % good.size()], random);
    TestPacket packet(frame, 0, 0);
    const Drop drop = packet.parse();
    ++drops[static_cast<std::size_t>(drop)];
    EXPECT_EQ(packet.bytes(), frame);
    if (drop != Drop::kNone) continue;
    ++accepted;
    expect_in_order(packet->headers, frame.size());
    if (HasFailure()) FAIL() << describe(frame);
  }
  EXPECT_GT(accepted, 30000u) << "the frames must not all be refused at the door";
  for (const Drop drop :
       {Drop::kFrameTooShort, Drop::kVlanTooDeep, Drop::kUnknownEtherType, Drop::kIpv4Truncated, Drop::kIpv4BadHeader,
        Drop::kIpv4BadChecksum, Drop::kIpv6Truncated, Drop::kIpv6BadHeader, Drop::kIpv6BadExtension,
        Drop::kSourceRouted, Drop::kFragmentBad, Drop::kL4Truncated, Drop::kL4BadHeader, Drop::kArpBad}) {
    EXPECT_GT(drops[static_cast<std::size_t>(drop)], 0u) << drop_name(drop);
  }
}

TEST(ParserProperty, EveryPrefixOfAGoodFrameIsRefusedWithoutReadingBeyondIt) {
  for (const Bytes& frame : good_frames()) {
    for (std::size_t length = 0; length < frame.size(); ++length) {
      TestPacket packet(cut(frame, length), 0, 0);
      EXPECT_NE(packet.parse(), Drop::kNone) << length << "\n" << describe(frame);
    }
  }
}

TEST(ParserProperty, ParsingTheFirstSegmentGivesTheHeadersOfTheWhole) {
  for (const Bytes& frame : good_frames()) {
    TestPacket whole(frame, 0, 0);
    ASSERT_EQ(whole.parse(), Drop::kNone);
    for (std::size_t length = whole->headers.payload_offset; length < frame.size(); ++length) {
      if (whole->headers.l3 == L3::kArp) continue;
      TestPacket head(cut(frame, length), 0, 0);
      head->length_bytes = static_cast<std::uint32_t>(frame.size());
      ASSERT_EQ(head.parse(), Drop::kNone) << length << "\n" << describe(frame);
      EXPECT_EQ(head->headers.payload_offset, whole->headers.payload_offset);
      EXPECT_EQ(head->headers.l3_length, whole->headers.l3_length);
      EXPECT_EQ(head->headers.destination_port, whole->headers.destination_port);
    }
  }
}

TEST(ParserProperty, WhatIsMadeFromAPacketParsesAndVerifies) {
  std::mt19937 random(2);
  const std::vector<Bytes> good = good_frames();
  const IcmpSource source{.mac = mac(kMacB), .ipv4 = v4("169.254.1.1"), .ipv6 = v6("fe80::1")};
  unsigned errors = 0, replies = 0, advertisements = 0;
  for (unsigned round = 0; round < 60000; ++round) {
    const Bytes frame = mutated(good[round % good.size()], random);
    TestPacket packet(frame);
    if (packet.parse() != Drop::kNone) continue;
    const bool was_right = l4_checksum_is_right(packet->head(), packet->headers);
    bool must_verify = true;
    if (make_neighbor_advertisement(*packet, source.mac, true)) {
      ++advertisements;
    } else if (make_echo_reply(*packet)) {
      ++replies;
      must_verify = was_right;
    } else {
      const auto kind = static_cast<IcmpErrorKind>(round % 6);
      if (!make_icmp_error(*packet, {.kind = kind, .mtu_bytes = 1400}, source)) continue;
      ++errors;
    }
    ASSERT_EQ(drop_name(packet.parse()), "none") << describe(frame);
    expect_in_order(packet->headers, packet->head_bytes);
    ASSERT_TRUE(!must_verify || l4_checksum_is_right(packet->head(), packet->headers)) << describe(packet.bytes());
    TestPacket again(packet.bytes());
    ASSERT_EQ(again.parse(), Drop::kNone);
    EXPECT_FALSE(make_neighbor_advertisement(*again, source.mac, true)) << "an answer is never answered";
    EXPECT_FALSE(make_echo_reply(*again));
  }
  EXPECT_GT(errors, 1000u);
  EXPECT_GT(replies, 1000u);
  EXPECT_GT(advertisements, 200u);
}

}  // namespace
}  // namespace millrace::tests
