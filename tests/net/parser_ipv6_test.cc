// parse(): IPv6, its extension headers and fragments.

#include <gtest/gtest.h>

#include "net/parser.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

constexpr std::string_view kA = "fd00::1", kB = "fd00::2";
constexpr std::size_t kIp = 14, kL4 = 54;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kAh = 51, kDestination = 60;

PacketBuilder ip6() { return eth().ipv6(kA, kB); }
Bytes udp() { return ip6().udp(1000, 53).payload("hello").bytes(); }

PacketBuilder many_extensions(unsigned count) {
  PacketBuilder builder = ip6();
  for (unsigned i = 0; i < count; ++i) builder.extension(kDestination);
  return builder.udp(7, 8);
}

struct DropRow {
  std::string name;
  Bytes frame;
  Drop drop;
};

TEST(ParserIpv6, NamesTheReasonForABadPacket) {
  const Bytes one_extension = ip6().extension(kDestination).udp(7, 8).bytes();
  const std::vector<DropRow> rows = {
      {"header cut off", cut(udp(), 53), Drop::kIpv6Truncated},
      {"shorter than its payload length", cut(udp(), udp().size() - 1), Drop::kIpv6Truncated},
      {"version 4", patch(udp(), kIp, 0x40), Drop::kIpv6BadHeader},
      {"UDP cut off by the payload length", patch(udp(), kIp + 5, 7), Drop::kL4Truncated},
      {"UDP length 0: no jumbograms", patch(udp(), kL4 + 5, 0), Drop::kL4BadHeader},
      {"TCP data offset 4", patch(ip6().tcp(1, 2).bytes(), kL4 + 12, 0x40), Drop::kL4BadHeader},
      {"ICMPv6 of 7 bytes", ip6().protocol(58).payload(7u).bytes(), Drop::kL4Truncated},
      {"extension header cut off", patch(one_extension, kIp + 5, 7), Drop::kIpv6BadExtension},
      {"extension longer than the packet", patch(one_extension, kL4 + 1, 2), Drop::kIpv6BadExtension},
      {"hop-by-hop behind another", ip6().extension(kDestination).extension(kHopByHop).udp(7, 8).bytes(),
       Drop::kIpv6BadExtension},
      {"two hop-by-hop", ip6().extension(kHopByHop).extension(kHopByHop).udp(7, 8).bytes(), Drop::kIpv6BadExtension},
      {"nine extension headers", many_extensions(9).bytes(), Drop::kIpv6BadExtension},
      {"two fragment headers", ip6().ipv6_fragment(0, false).ipv6_fragment(0, false).udp(7, 8).bytes(),
       Drop::kIpv6BadExtension},
      {"fragment header cut off", ip6().protocol(44).payload(7u).bytes(), Drop::kIpv6BadExtension},
      {"routing header with a hop left", patch(ip6().extension(kRouting, 24).udp(7, 8).bytes(), kL4 + 3, 1),
       Drop::kSourceRouted},
  };
  for (const DropRow& row : rows) {
    TestPacket packet(row.frame, 0, 0);
    EXPECT_EQ(drop_name(packet.parse()), drop_name(row.drop)) << row.name << "\n" << describe(row.frame);
  }
}

TEST(ParserIpv6, NamesTheReasonForABadFragment) {
  const auto later = [](std::uint32_t offset, bool more, std::uint8_t protocol, std::size_t bytes) {
    return patch(ip6().ipv6_fragment(offset, more).payload(bytes).bytes(), kL4, protocol);
  };
  const std::vector<DropRow> rows = {
      {"nothing in it", later(8, true, 17, 0), Drop::kFragmentBad},
      {"not a multiple of 8 with more to come", later(1480, true, 17, 9), Drop::kFragmentBad},
      {"beyond 65535 bytes", later(65528, false, 17, 8), Drop::kFragmentBad},
      {"first without the TCP header (RFC 7112)", later(0, true, 6, 16), Drop::kFragmentBad},
      {"first with half an extension header", patch(later(0, true, 60, 8), kL4 + 9, 1), Drop::kFragmentBad},
      {"starts inside TCP", later(8, false, 6, 40), Drop::kFragmentBad},
  };
  for (const DropRow& row : rows) {
    TestPacket packet(row.frame, 0, 0);
    EXPECT_EQ(drop_name(packet.parse()), drop_name(row.drop)) << row.name << "\n" << describe(row.frame);
  }
}

struct Row {
  std::string name;
  Bytes frame;
  unsigned protocol;
  unsigned l4_offset;
  unsigned payload_offset;
  bool has_l4;
  unsigned source_port, destination_port;
};

TEST(ParserIpv6, FindsL4BehindExtensionHeaders) {
  const std::vector<Row> rows = {
      {"UDP", udp(), 17, 54, 62, true, 1000, 53},
      {"TCP", ip6().tcp(7, 8).bytes(), 6, 54, 74, true, 7, 8},
      {"SCTP", ip6().sctp(7, 8).bytes(), 132, 54, 66, true, 7, 8},
      {"echo request", ip6().icmpv6(128, 0, 77).bytes(), 58, 54, 62, true, 77, 77},
      {"echo reply", ip6().icmpv6(129, 0, 78).bytes(), 58, 54, 62, true, 78, 78},
      {"error: no ports", ip6().icmpv6(2, 0, 5, 1280).bytes(), 58, 54, 62, true, 0, 0},
      {"ICMP inside IPv6 is not read", ip6().icmp(8).bytes(), 1, 54, 54, false, 0, 0},
      {"hop-by-hop", ip6().extension(kHopByHop).udp(7, 8).bytes(), 17, 62, 70, true, 7, 8},
      {"destination options of 264 bytes", ip6().extension(kDestination, 264).udp(7, 8).bytes(), 17, 318, 326, true, 7,
       8},
      {"authentication header of 24 bytes", ip6().extension(kAh, 24).udp(7, 8).bytes(), 17, 78, 86, true, 7, 8},
      {"routing header at its end", ip6().extension(kRouting, 24).udp(7, 8).bytes(), 17, 78, 86, true, 7, 8},
      {"all of them",
       ip6()
           .extension(kHopByHop)
           .extension(kDestination)
           .extension(kRouting)
           .ipv6_fragment(0, false)
           .extension(kAh, 16)
           .extension(kDestination)
           .tcp(7, 8)
           .bytes(),
       6, 110, 130, true, 7, 8},
      {"eight extension headers", many_extensions(8).bytes(), 17, 118, 126, true, 7, 8},
      {"ESP ends what can be read", ip6().protocol(50).payload(20u).bytes(), 50, 54, 54, false, 0, 0},
      {"no next header", ip6().extension(kDestination).payload(4u).bytes(), 59, 62, 62, false, 0, 0},
      {"no payload, no next header", ip6().protocol(59).bytes(), 59, 54, 54, false, 0, 0},
      {"behind a VLAN tag", eth().vlan(5).ipv6(kA, kB).udp(7, 8).bytes(), 17, 58, 66, true, 7, 8},
      {"atomic fragment (RFC 6946)", ip6().ipv6_fragment(0, false).udp(7, 8).bytes(), 17, 62, 70, true, 7, 8},
  };
  for (const Row& row : rows) {
    TestPacket packet(row.frame, 0, 0);
    ASSERT_EQ(drop_name(packet.parse()), "none") << row.name;
    const Headers& headers = packet->headers;
    EXPECT_EQ(headers.l3, L3::kIpv6) << row.name;
    EXPECT_EQ(headers.ttl, 64) << row.name;
    EXPECT_EQ(headers.l3_length, row.frame.size() - headers.l3_offset) << row.name;
    EXPECT_EQ(headers.l4_protocol, row.protocol) << row.name;
    EXPECT_EQ(headers.l4_offset, row.l4_offset) << row.name;
    EXPECT_EQ(headers.payload_offset, row.payload_offset) << row.name;
    EXPECT_EQ(headers.has_l4, row.has_l4) << row.name;
    EXPECT_EQ(headers.source_port, row.source_port) << row.name;
    EXPECT_EQ(headers.destination_port, row.destination_port) << row.name;
    EXPECT_FALSE(headers.is_fragment) << row.name;
  }
}

TEST(ParserIpv6, KnowsFragments) {
  TestPacket first(ip6().extension(kDestination).ipv6_fragment(0, true).udp(7, 8).payload(8u).bytes(), 0, 0);
  ASSERT_EQ(first.parse(), Drop::kNone);
  EXPECT_TRUE(first->headers.is_fragment);
  EXPECT_TRUE(first->headers.is_first_fragment);
  EXPECT_TRUE(first->headers.has_l4);
  EXPECT_EQ(first->headers.source_port, 7);

  TestPacket later(patch(ip6().ipv6_fragment(1480, true).payload(16u).bytes(), kL4, 60), 0, 0);
  ASSERT_EQ(later.parse(), Drop::kNone);
  EXPECT_TRUE(later->headers.is_fragment);
  EXPECT_FALSE(later->headers.is_first_fragment);
  EXPECT_FALSE(later->headers.has_l4);
  EXPECT_EQ(later->headers.l4_protocol, 60) << "the middle of a packet is not read as an extension header";
  EXPECT_EQ(later->headers.payload_offset, kL4 + 8);
}

}  // namespace
}  // namespace millrace::tests
