// Packets in, packets out: what leaves must be what a sender with that tuple would have built, byte for byte.

#include "nat/translate.h"

#include <gtest/gtest.h>

#include "tests/nat/lines.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;

struct RowV4 {
  std::string name;
  PacketBuilder in;
  Translation<Ipv4> to;
  PacketBuilder out;
};

PacketBuilder inside() { return eth().ipv4("10.244.0.3", "10.96.0.10"); }
PacketBuilder outside() { return eth().ipv4("192.0.2.1", "10.244.1.7"); }

const Translation<Ipv4> kBoth = to_v4("192.0.2.1", 30001, "10.244.1.7", 5353);
const Translation<Ipv4> kAddressesOnly = to_v4("192.0.2.1", 40000, "10.244.1.7", 53);
const Translation<Ipv4> kEcho = to_v4("192.0.2.1", 777, "10.244.1.7", 777);

std::vector<RowV4> rows_v4() {
  return {
      {"TCP", inside().tcp(40000, 53).payload("abc"), kBoth, outside().tcp(30001, 5353).payload("abc")},
      {"UDP", inside().udp(40000, 53).payload("abc"), kBoth, outside().udp(30001, 5353).payload("abc")},
      {"UDP without a checksum stays without", inside().udp(40000, 53).no_checksum().payload("abc"), kBoth,
       outside().udp(30001, 5353).no_checksum().payload("abc")},
      {"SCTP", inside().sctp(40000, 53).payload(37u), kBoth, outside().sctp(30001, 5353).payload(37u)},
      {"SCTP whose ports stay", inside().sctp(40000, 53).payload(8u), kAddressesOnly,
       outside().sctp(40000, 53).payload(8u)},
      {"TCP checksum left to offload", inside().tcp(40000, 53).partial_checksum().payload("abc"), kBoth,
       outside().tcp(30001, 5353).partial_checksum().payload("abc")},
      {"UDP checksum left to offload", inside().udp(40000, 53).partial_checksum().payload("abc"), kBoth,
       outside().udp(30001, 5353).partial_checksum().payload("abc")},
      {"SCTP checksum left to offload", inside().sctp(40000, 53).partial_checksum().payload(8u), kBoth,
       outside().sctp(30001, 5353).partial_checksum().payload(8u)},
      {"echo request", inside().icmp(8, 0, 5, 9).payload("ping"), kEcho, outside().icmp(8, 0, 777, 9).payload("ping")},
      {"echo reply", inside().icmp(0, 0, 5, 9).payload("ping"), kEcho, outside().icmp(0, 0, 777, 9).payload("ping")},
      {"ICMP without an identifier the parser knows", inside().icmp(13, 0, 5, 9).payload(12u),
       to_v4("192.0.2.1", 0, "10.244.1.7", 0), outside().icmp(13, 0, 5, 9).payload(12u)},
      {"TCP behind IPv4 options", inside().options({148, 4, 0, 0}).tcp(40000, 53), kBoth,
       outside().options({148, 4, 0, 0}).tcp(30001, 5353)},
      {"TCP behind a VLAN tag", eth().vlan(7).ipv4("10.244.0.3", "10.96.0.10").tcp(40000, 53), kBoth,
       eth().vlan(7).ipv4("192.0.2.1", "10.244.1.7").tcp(30001, 5353)},
      {"first fragment of UDP", inside().fragment(0, true, 4).udp(40000, 53).payload(24u), kBoth,
       outside().fragment(0, true, 4).udp(30001, 5353).payload(24u)},
      {"later fragment: addresses alone", inside().fragment(1480, true, 4).protocol(17).payload(24u), kBoth,
       outside().fragment(1480, true, 4).protocol(17).payload(24u)},
      {"later fragment of SCTP", inside().fragment(1480, true, 4).protocol(132).payload(24u), kBoth,
       outside().fragment(1480, true, 4).protocol(132).payload(24u)},
      {"a protocol that is not looked into", inside().protocol(47).payload(24u), to_v4("192.0.2.1", 0, "10.244.1.7", 0),
       outside().protocol(47).payload(24u)},
  };
}

TEST(Translate, Ipv4LeavesAsItsTupleWouldBeBuilt) {
  for (const RowV4& row : rows_v4()) {
    TestPacket packet(row.in.bytes(), 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    mark_partial(*packet);
    EXPECT_TRUE(translate(*packet, line_of<FlowLineV4>(FlowKeyV4::of(*packet), row.to))) << row.name;
    EXPECT_EQ(describe(packet.bytes()), describe(row.out.bytes())) << row.name;
    EXPECT_EQ(packet.bytes(), row.out.bytes()) << row.name;
    EXPECT_EQ(packet->headers.source_port, row.to.source_port) << row.name;
    EXPECT_EQ(packet->headers.destination_port, row.to.destination_port) << row.name;
  }
}

struct RowV6 {
  std::string name;
  PacketBuilder in;
  Translation<Ipv6> to;
  PacketBuilder out;
};

std::vector<RowV6> rows_v6() {
  const auto inside6 = [] { return eth().ipv6("fd00:244::3", "fd00:96::10"); };
  const auto outside6 = [] { return eth().ipv6("2001:db8::1", "fd00:244:1::7"); };
  const auto both = to_v6("2001:db8::1", 30001, "fd00:244:1::7", 5353);
  const auto echo = to_v6("2001:db8::1", 777, "fd00:244:1::7", 777);
  const auto no_ports = to_v6("2001:db8::1", 0, "fd00:244:1::7", 0);
  return {
      {"TCP", inside6().tcp(40000, 53).payload("abc"), both, outside6().tcp(30001, 5353).payload("abc")},
      {"UDP", inside6().udp(40000, 53).payload("abc"), both, outside6().udp(30001, 5353).payload("abc")},
      {"SCTP", inside6().sctp(40000, 53).payload(40u), both, outside6().sctp(30001, 5353).payload(40u)},
      {"TCP checksum left to offload", inside6().tcp(40000, 53).partial_checksum().payload("abc"), both,
       outside6().tcp(30001, 5353).partial_checksum().payload("abc")},
      {"UDP checksum left to offload", inside6().udp(40000, 53).partial_checksum().payload("abc"), both,
       outside6().udp(30001, 5353).partial_checksum().payload("abc")},
      {"echo request", inside6().icmpv6(128, 0, 5, 9).payload("ping"), echo,
       outside6().icmpv6(128, 0, 777, 9).payload("ping")},
      {"ICMPv6 that is no echo: the pseudo header", inside6().icmpv6(200, 0, 5, 9).payload("data"), no_ports,
       outside6().icmpv6(200, 0, 5, 9).payload("data")},
      {"TCP behind extension headers", inside6().extension(0).extension(60, 16).tcp(40000, 53), both,
       outside6().extension(0).extension(60, 16).tcp(30001, 5353)},
      {"first fragment", inside6().ipv6_fragment(0, true, 4).udp(40000, 53).payload(24u), both,
       outside6().ipv6_fragment(0, true, 4).udp(30001, 5353).payload(24u)},
      {"later fragment: addresses alone", inside6().ipv6_fragment(1480, true, 4).payload(24u), no_ports,
       outside6().ipv6_fragment(1480, true, 4).payload(24u)},
  };
}

TEST(Translate, Ipv6LeavesAsItsTupleWouldBeBuilt) {
  for (const RowV6& row : rows_v6()) {
    TestPacket packet(row.in.bytes(), 0, 0);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    mark_partial(*packet);
    EXPECT_TRUE(translate(*packet, line_of<FlowLineV6>(FlowKeyV6::of(*packet), row.to))) << row.name;
    EXPECT_EQ(describe(packet.bytes()), describe(row.out.bytes())) << row.name;
    EXPECT_EQ(packet.bytes(), row.out.bytes()) << row.name;
  }
}

TEST(Translate, ALineThatTranslatesNothingLeavesThePacketAlone) {
  TestPacket packet(inside().tcp(40000, 53).payload("abc").bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  const auto line = line_of<FlowLineV4>(FlowKeyV4::of(*packet), to_v4("10.244.0.3", 40000, "10.96.0.10", 53));
  EXPECT_FALSE(line.translates());
  EXPECT_EQ(line.l3_delta, 0);
  EXPECT_EQ(line.l4_delta, 0);
  const Bytes before = packet.bytes();
  EXPECT_TRUE(translate(*packet, line));
  EXPECT_EQ(packet.bytes(), before);
}

TEST(Translate, ALineIsTranslatingAgainOnlyWhileItsTupleDiffers) {
  const FlowKeyV4 key{v4("10.0.0.1"), v4("10.0.0.2"), 1, 2, ip_protocol::kTcp};
  auto line = line_of<FlowLineV4>(key, to_v4("10.0.0.1", 1, "10.0.0.2", 3));
  EXPECT_TRUE(line.translates());
  set_translation(line, {key.source, key.destination, 1, 2});
  EXPECT_FALSE(line.translates());
}

TEST(Translate, FirstFragmentOfSctpWithAnotherPortIsRefusedUnchanged) {
  TestPacket packet(inside().fragment(0, true).sctp(40000, 53).payload(28u).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  const Bytes before = packet.bytes();
  EXPECT_FALSE(translate(*packet, line_of<FlowLineV4>(FlowKeyV4::of(*packet), kBoth)));
  EXPECT_EQ(packet.bytes(), before);
  EXPECT_EQ(packet->headers.source_port, 40000);
  EXPECT_TRUE(translate(*packet, line_of<FlowLineV4>(FlowKeyV4::of(*packet), kAddressesOnly)));
  EXPECT_EQ(packet.bytes(), outside().fragment(0, true).sctp(40000, 53).payload(28u).bytes());
}

TEST(Translate, DamageStaysVisible) {
  for (const RowV4& row : rows_v4()) {
    Bytes frame = row.in.bytes();
    TestPacket whole(frame);
    ASSERT_EQ(whole.parse(), Drop::kNone);
    mark_partial(*whole);
    if (whole->offload.checksum_partial || !l4_checksum_is_right(whole->head(), whole->headers)) continue;
    if (whole->headers.payload_offset == frame.size()) continue;
    if (whole->headers.l4_protocol == ip_protocol::kUdp && view<UdpHeader>(&frame[34]).checksum == Be16()) continue;
    frame.back() ^= 0x40;
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    ASSERT_TRUE(translate(*packet, line_of<FlowLineV4>(FlowKeyV4::of(*packet), row.to)));
    EXPECT_FALSE(l4_checksum_is_right(packet->head(), packet->headers)) << row.name;
  }
}

TEST(Translate, AUdpChecksumThatBecomesZeroIsWrittenAsAllOnes) {
  // The sum over the packet moves with the port: one of them makes it 0xffff, whose complement is 0.
  unsigned found = 0;
  for (unsigned port = 1; port <= 0xffff; ++port) {
    TestPacket packet(inside().udp(40000, 53).payload("abc").bytes());
    ASSERT_EQ(packet.parse(), Drop::kNone);
    auto to = kBoth;
    to.source_port = static_cast<std::uint16_t>(port);
    ASSERT_TRUE(translate(*packet, line_of<FlowLineV4>(FlowKeyV4::of(*packet), to)));
    const Be16 checksum = view<UdpHeader>(packet->data + 34).checksum;
    ASSERT_NE(checksum, Be16()) << port;
    if (checksum != Be16(0xffff)) continue;
    ++found;
    EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers)) << port;
  }
  EXPECT_EQ(found, 1u);
}

TEST(MarkPartial, ComparesTheFieldOnce) {
  struct {
    const char* name;
    PacketBuilder packet;
    bool is_partial;
  } const rows[] = {
      {"TCP", inside().tcp(1, 2).partial_checksum().payload("abc"), true},
      {"UDP", inside().udp(1, 2).partial_checksum().payload("abc"), true},
      {"SCTP", inside().sctp(1, 2).partial_checksum().payload("abc"), true},
      {"complete", inside().tcp(1, 2).payload("abc"), false},
      {"UDP without", inside().udp(1, 2).no_checksum().payload("abc"), false},
      {"ICMP", inside().icmp(8, 0, 1, 2), false},
  };
  for (const auto& row : rows) {
    TestPacket packet(row.packet.bytes());
    ASSERT_EQ(packet.parse(), Drop::kNone);
    mark_partial(*packet);
    EXPECT_EQ(packet->offload.checksum_partial, row.is_partial) << row.name;
    EXPECT_TRUE(packet->checksum_is_known) << row.name;
    packet->offload.checksum_partial = false;
    mark_partial(*packet);
    EXPECT_FALSE(packet->offload.checksum_partial) << row.name;
  }
}

}  // namespace
}  // namespace millrace::tests
