// What a forwarded packet looks like when it leaves: the next hop's MACs, and no checksum left to anybody.
#include "datapath/rewrite.h"

#include <gtest/gtest.h>

#include "nat/translate.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;

PacketBuilder in() { return eth(pod_mac(3), kGatewayMac); }
PacketBuilder out() { return eth(kGatewayMac, pod_mac(4)); }

TEST(Rewrite, CompletesChecksumsAndSetsMacs) {
  struct Row {
    const char* name;
    Bytes before;
    Bytes after;
  };
  const auto v4_of = [](PacketBuilder frame) { return frame.ipv4("10.244.0.3", "10.244.0.4"); };
  const auto v6_of = [](PacketBuilder frame) { return frame.ipv6("fd00::3", "fd00::4"); };
  for (const Row& row :
       std::vector<Row>{{"complete UDP stays", v4_of(in()).udp(1, 2).payload(99).bytes(),
                         v4_of(out()).udp(1, 2).payload(99).bytes()},
                        {"partial UDP", v4_of(in()).udp(1, 2).partial_checksum().payload(99).bytes(),
                         v4_of(out()).udp(1, 2).payload(99).bytes()},
                        {"UDP without", v4_of(in()).udp(1, 2).no_checksum().payload(99).bytes(),
                         v4_of(out()).udp(1, 2).no_checksum().payload(99).bytes()},
                        {"partial TCP", v4_of(in()).tcp(1, 2).partial_checksum().payload(1).bytes(),
                         v4_of(out()).tcp(1, 2).payload(1).bytes()},
                        {"partial SCTP", v4_of(in()).sctp(1, 2).partial_checksum().payload(16).bytes(),
                         v4_of(out()).sctp(1, 2).payload(16).bytes()},
                        {"partial UDP, IPv6", v6_of(in()).udp(1, 2).partial_checksum().payload(99).bytes(),
                         v6_of(out()).udp(1, 2).payload(99).bytes()},
                        {"partial TCP, IPv6", v6_of(in()).tcp(1, 2).partial_checksum().payload(1400).bytes(),
                         v6_of(out()).tcp(1, 2).payload(1400).bytes()},
                        {"ICMP", v4_of(in()).icmp(8).payload(9).bytes(), v4_of(out()).icmp(8).payload(9).bytes()},
                        {"a later fragment", v4_of(in()).fragment(64, false).payload(32).bytes(),
                         v4_of(out()).fragment(64, false).payload(32).bytes()}}) {
    TestPacket packet(row.before);
    ASSERT_EQ(packet.parse(), net::Drop::kNone) << row.name;
    PortEntry port;
    port.mac = mac(pod_mac(4));
    rewrite(*packet, port, test_gateway());
    EXPECT_EQ(describe(packet.bytes()), describe(row.after)) << row.name;
    EXPECT_EQ(packet.bytes(), row.after) << row.name;
    EXPECT_FALSE(packet->offload.checksum_partial) << row.name;
  }
}

/// What translation found out holds: the field is not compared once more.
TEST(Rewrite, AsksForThePartialChecksumOnce) {
  for (const bool is_known : {false, true}) {
    const Bytes partial = in().ipv4("10.244.0.3", "10.244.0.4").tcp(1, 2).partial_checksum().payload(7).bytes();
    TestPacket packet(partial);
    ASSERT_EQ(packet.parse(), net::Drop::kNone);
    packet->checksum_is_known = is_known;  // and offload says: not partial
    complete_checksum(*packet);
    EXPECT_EQ(packet.bytes() == partial, is_known);
  }
}

TEST(Rewrite, CompletesWhatTranslationFoundPartial) {
  TestPacket packet(in().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).partial_checksum().payload(7).bytes());
  ASSERT_EQ(packet.parse(), net::Drop::kNone);
  nat::mark_partial(*packet);
  EXPECT_TRUE(packet->offload.checksum_partial && packet->checksum_is_known);
  complete_checksum(*packet);
  EXPECT_FALSE(packet->offload.checksum_partial);
  EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers));
}

TEST(Rewrite, BelievesAPortThatSaysPartial) {
  TestPacket packet(in().ipv4("10.244.0.3", "10.244.0.4").tcp(1, 2).partial_checksum().payload(7).bytes());
  ASSERT_EQ(packet.parse(), net::Drop::kNone);
  packet->offload = {.checksum_partial = true};
  complete_checksum(*packet);
  EXPECT_FALSE(packet->offload.checksum_partial);
  EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers));
}

TEST(Rewrite, LeavesToAPortWhatItTakes) {
  struct Row {
    const char* name;
    PacketBuilder packet;
    bool is_left;
  };
  const auto l3 = [] { return in().ipv4("10.244.0.3", "10.244.0.4"); };
  MemoryPort device;
  device.set_tx_offload({.checksum = true});
  PortEntry port;
  port.port = &device;
  for (const Row& row : {Row{"TCP", l3().tcp(1, 2).partial_checksum().payload(7), true},
                         Row{"SCTP, a CRC", l3().sctp(1, 2).partial_checksum().payload(16), false},
                         Row{"complete", l3().udp(1, 2).payload(7), false}}) {
    TestPacket packet(row.packet.bytes());
    ASSERT_EQ(packet.parse(), net::Drop::kNone);
    rewrite(*packet, port, test_gateway());
    EXPECT_EQ(packet->offload.checksum_partial, row.is_left) << row.name;
    EXPECT_EQ(net::l4_checksum_is_right(packet->head(), packet->headers), !row.is_left) << row.name;
  }
}

// Damage must stay visible to the receiver: only what was left to offload is computed.
TEST(Rewrite, DoesNotRepairAWrongChecksum) {
  Bytes damaged = in().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).payload(99).bytes();
  damaged.back() ^= 0x40;
  TestPacket packet(damaged);
  ASSERT_EQ(packet.parse(), net::Drop::kNone);
  complete_checksum(*packet);
  EXPECT_EQ(packet.bytes(), damaged);
}

}  // namespace
}  // namespace millrace::datapath
