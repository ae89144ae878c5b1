// ICMP: echo replies and errors, and the packets that never get one.

#include "net/icmp.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

constexpr std::string_view kPod = "02:00:00:00:00:01", kGateway = "02:00:00:00:00:fe", kAll = "ff:ff:ff:ff:ff:ff";
constexpr std::string_view kA = "10.0.0.1", kB = "10.0.0.2", kA6 = "fd00::1", kB6 = "fd00::2";

IcmpSource gateway() { return {.mac = mac(kGateway), .ipv4 = v4("169.254.1.1"), .ipv6 = v6("fd00::ffff")}; }

PacketBuilder ip4(std::string_view source = kA, std::string_view destination = kB) {
  return eth(kPod, kGateway).ipv4(source, destination);
}
PacketBuilder ip6(std::string_view source = kA6, std::string_view destination = kB6) {
  return eth(kPod, kGateway).ipv6(source, destination);
}

TEST(Echo, RequestBecomesTheReply) {
  for (const std::size_t length : {0u, 1u, 56u, 1472u}) {
    TestPacket four(ip4().ttl(3).icmp(8, 0, 77, 5).payload(length).bytes());
    ASSERT_EQ(four.parse(), Drop::kNone);
    EXPECT_TRUE(make_echo_reply(*four));
    const Bytes reply4 = eth(kGateway, kPod).ipv4(kB, kA).icmp(0, 0, 77, 5).payload(length).bytes();
    EXPECT_EQ(describe(four.bytes()), describe(reply4));
    EXPECT_EQ(four.bytes(), reply4);
    EXPECT_EQ(four->headers.icmp_type, 0);

    TestPacket six(ip6().ttl(3).icmpv6(128, 0, 77, 5).payload(length).bytes());
    ASSERT_EQ(six.parse(), Drop::kNone);
    EXPECT_TRUE(make_echo_reply(*six));
    const Bytes reply6 = eth(kGateway, kPod).ipv6(kB6, kA6).icmpv6(129, 0, 77, 5).payload(length).bytes();
    EXPECT_EQ(describe(six.bytes()), describe(reply6));
    EXPECT_EQ(six.bytes(), reply6);
  }
}

TEST(Echo, DamageToThePayloadStaysVisible) {
  Bytes frame = ip4().icmp(8, 0, 77, 5).payload(56u).bytes();
  frame.back() ^= 1;
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_echo_reply(*packet));
  EXPECT_FALSE(l4_checksum_is_right(packet->head(), packet->headers));
}

TEST(Echo, AnythingElseIsLeftAlone) {
  const std::pair<const char*, Bytes> rows[] = {
      {"reply", ip4().icmp(0).bytes()},
      {"code 1", ip4().icmp(8, 1).bytes()},
      {"fragment", ip4().fragment(0, true).icmp(8).payload(8u).bytes()},
      {"later fragment", ip4().fragment(8, false).protocol(1).payload(8u).bytes()},
      {"to multicast", ip4(kA, "224.0.0.1").icmp(8).bytes()},
      {"to broadcast", ip4(kA, "255.255.255.255").icmp(8).bytes()},
      {"to a broadcast MAC", eth(kPod, kAll).ipv4(kA, kB).icmp(8).bytes()},
      {"from nobody", ip4("0.0.0.0", kB).icmp(8).bytes()},
      {"from multicast", ip4("224.0.0.1", kB).icmp(8).bytes()},
      {"with IPv4 options", eth(kPod, kGateway).ipv4(kA, kB).options({7, 7, 4, 0, 0, 0, 0}).icmp(8).bytes()},
      {"IPv6 reply", ip6().icmpv6(129).bytes()},
      {"IPv6 to multicast", ip6(kA6, "ff02::1").icmpv6(128).bytes()},
      {"IPv6 from nobody", ip6("::", kB6).icmpv6(128).bytes()},
      {"IPv6 with an extension header", ip6().extension(60).icmpv6(128).bytes()},
      {"ICMP type 128 in IPv4", ip4().icmp(128).bytes()},
      {"UDP", ip4().udp(8, 8).bytes()},
  };
  for (const auto& [name, frame] : rows) {
    TestPacket packet(frame);
    ASSERT_EQ(drop_name(packet.parse()), "none") << name;
    EXPECT_FALSE(make_echo_reply(*packet)) << name;
    EXPECT_EQ(packet.bytes(), frame) << name;
  }
}

Bytes ip_packet(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

struct ErrorRow {
  std::string name;
  IcmpError error;
  std::uint8_t type4, code4;
  std::uint8_t type6, code6;
};

const std::vector<ErrorRow> kErrors = {
    {"time exceeded", {.kind = IcmpErrorKind::kTimeExceeded}, 11, 0, 3, 0},
    {"packet too big", {.kind = IcmpErrorKind::kPacketTooBig, .mtu_bytes = 1400}, 3, 4, 2, 0},
    {"no route", {.kind = IcmpErrorKind::kNoRoute}, 3, 0, 1, 0},
    {"host unreachable", {.kind = IcmpErrorKind::kHostUnreachable}, 3, 1, 1, 3},
    {"port unreachable", {.kind = IcmpErrorKind::kPortUnreachable}, 3, 3, 1, 4},
    {"prohibited", {.kind = IcmpErrorKind::kProhibited}, 3, 13, 1, 1},
};

TEST(Error, QuotesTheWholeOfASmallPacket) {
  for (const ErrorRow& row : kErrors) {
    const Bytes offending4 = ip4().ttl(1).udp(1000, 53).payload(40u).bytes();
    TestPacket four(offending4, 28);
    ASSERT_EQ(four.parse(), Drop::kNone);
    ASSERT_TRUE(make_icmp_error(*four, row.error, gateway())) << row.name;
    Bytes expected4 = eth(kGateway, kPod)
                          .ipv4("169.254.1.1", kA)
                          .dont_fragment()
                          .icmp(row.type4, row.code4, 0, row.error.mtu_bytes)
                          .payload(ip_packet(offending4))
                          .bytes();
    expected4 = patch_ipv4(expected4, 15, 0xc0);
    EXPECT_EQ(describe(four.bytes()), describe(expected4)) << row.name;
    EXPECT_EQ(four.bytes(), expected4) << row.name;

    const Bytes offending6 = ip6().ttl(1).udp(1000, 53).payload(40u).bytes();
    TestPacket six(offending6, 48);
    ASSERT_EQ(six.parse(), Drop::kNone);
    ASSERT_TRUE(make_icmp_error(*six, row.error, gateway())) << row.name;
    const Bytes expected6 = eth(kGateway, kPod)
                                .ipv6("fd00::ffff", kA6)
                                .icmpv6(row.type6, row.code6, 0, row.error.mtu_bytes)
                                .payload(ip_packet(offending6))
                                .bytes();
    EXPECT_EQ(describe(six.bytes()), describe(expected6)) << row.name;
    EXPECT_EQ(six.bytes(), expected6) << row.name;
    EXPECT_EQ(six->headers.icmp_type, row.type6);
  }
}

TEST(Error, QuotesNoMoreThanTheRfcsAllowAndNoPadding) {
  for (const std::size_t length : {0u, 500u, 519u, 520u, 521u, 1400u}) {
    Bytes frame = ip4().tcp(1, 2).payload(length).bytes();
    const std::size_t ip_bytes = frame.size() - 14;
    frame.resize(frame.size() + 6);  // padding
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    ASSERT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kTimeExceeded}, gateway()));
    EXPECT_EQ(packet->head_bytes, 14 + std::min<std::size_t>(576, ip_bytes + 28)) << length;
    EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers));
  }
  for (const std::size_t length : {0u, 1171u, 1172u, 1173u, 1400u}) {
    TestPacket packet(ip6().tcp(1, 2).payload(length).bytes());
    ASSERT_EQ(packet.parse(), Drop::kNone);
    ASSERT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kTimeExceeded}, gateway()));
    EXPECT_EQ(packet->head_bytes, 14 + std::min<std::size_t>(1280, 40 + 20 + length + 48)) << length;
    EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers));
  }
}

TEST(Error, OfAPacketInSegmentsQuotesTheFirstAndEndsThere) {
  const Bytes whole = ip4().tcp(1, 2).payload(1000u).bytes();
  TestPacket packet(cut(whole, 100));
  packet->length_bytes = static_cast<std::uint32_t>(whole.size());
  packet->offload = {.checksum_partial = true, .gso_size_bytes = 500};
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kNoRoute}, gateway()));
  EXPECT_EQ(packet->head_bytes, 128u);
  EXPECT_EQ(packet->length_bytes, 128u);
  EXPECT_EQ(packet->offload.gso_size_bytes, 0u);
  EXPECT_FALSE(packet->offload.checksum_partial);
}

TEST(Error, KeepsVlanTags) {
  const Bytes offending = eth(kPod, kGateway).vlan(5).vlan(6).ipv4(kA, kB).udp(1, 2).bytes();
  TestPacket packet(offending);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kNoRoute}, gateway()));
  const Bytes quote(offending.begin() + 22, offending.end());
  Bytes expected =
      eth(kGateway, kPod).vlan(5).vlan(6).ipv4("169.254.1.1", kA).dont_fragment().icmp(3, 0).payload(quote).bytes();
  EXPECT_EQ(packet->headers.vlan_count, 2);
  EXPECT_EQ(packet->headers.vlan_id, 5);
  EXPECT_EQ(Bytes(packet->data, packet->data + 22), Bytes(expected.begin(), expected.begin() + 22));
  EXPECT_EQ(packet.bytes().size(), expected.size());
}

TEST(Error, NeverAboutThese) {
  const std::pair<const char*, Bytes> rows[] = {
      {"ICMP unreachable", ip4().icmp(3, 1).payload(28u).bytes()},
      {"ICMP source quench", ip4().icmp(4).bytes()},
      {"ICMP redirect", ip4().icmp(5).bytes()},
      {"ICMP time exceeded", ip4().icmp(11).bytes()},
      {"ICMP parameter problem", ip4().icmp(12).bytes()},
      {"ICMP of a type nobody knows", ip4().icmp(40).bytes()},
      {"later fragment", ip4().fragment(1480, false).protocol(17).payload(40u).bytes()},
      {"to multicast", ip4(kA, "224.0.0.251").udp(1, 2).bytes()},
      {"to broadcast", ip4(kA, "255.255.255.255").udp(1, 2).bytes()},
      {"to a multicast MAC", eth(kPod, "01:00:5e:00:00:01").ipv4(kA, kB).udp(1, 2).bytes()},
      {"to a broadcast MAC", eth(kPod, kAll).ipv4(kA, kB).udp(1, 2).bytes()},
      {"from a multicast MAC", eth(kAll, kGateway).ipv4(kA, kB).udp(1, 2).bytes()},
      {"from nobody", ip4("0.0.0.0", kB).udp(1, 2).bytes()},
      {"from this network", ip4("0.0.0.9", kB).udp(1, 2).bytes()},
      {"from loopback", ip4("127.0.0.1", kB).udp(1, 2).bytes()},
      {"from multicast", ip4("224.0.0.1", kB).udp(1, 2).bytes()},
      {"from class E", ip4("240.0.0.1", kB).udp(1, 2).bytes()},
      {"from broadcast", ip4("255.255.255.255", kB).udp(1, 2).bytes()},
      {"ICMPv6 error", ip6().icmpv6(1).bytes()},
      {"ICMPv6 error nobody knows", ip6().icmpv6(100).bytes()},
      {"ICMPv6 redirect", ip6().icmpv6(137).bytes()},
      {"ICMPv6 error behind an extension header", ip6().extension(60).icmpv6(3).bytes()},
      {"IPv6 from nobody", ip6("::", kB6).udp(1, 2).bytes()},
      {"IPv6 from multicast", ip6("ff02::1", kB6).udp(1, 2).bytes()},
      {"IPv6 from loopback", ip6("::1", kB6).udp(1, 2).bytes()},
      {"IPv6 to multicast", ip6(kA6, "ff0e::1").udp(1, 2).bytes()},
      {"IPv6 to a multicast MAC", eth(kPod, "33:33:00:00:00:01").ipv6(kA6, kB6).udp(1, 2).bytes()},
      {"ARP", eth(kPod, kAll).arp(1, kPod, kA, kGateway, kB).bytes()},
  };
  for (const auto& [name, frame] : rows) {
    TestPacket packet(frame);
    ASSERT_EQ(drop_name(packet.parse()), "none") << name;
    for (const ErrorRow& row : kErrors) {
      const bool to_ipv6_multicast = std::string_view(name).starts_with("IPv6 to");
      if (row.error.kind == IcmpErrorKind::kPacketTooBig && to_ipv6_multicast) continue;
      EXPECT_FALSE(make_icmp_error(*packet, row.error, gateway())) << row.name << " about " << name;
      EXPECT_EQ(packet.bytes(), frame) << name;
    }
  }
}

TEST(Error, ButAboutThese) {
  const std::pair<const char*, Bytes> rows[] = {
      {"echo request", ip4().icmp(8).bytes()},
      {"echo reply", ip4().icmp(0).bytes()},
      {"timestamp request", ip4().icmp(13).bytes()},
      {"first fragment", ip4().fragment(0, true).udp(1, 2).payload(8u).bytes()},
      {"unknown protocol", ip4().protocol(47).payload(8u).bytes()},
      {"with options", ip4().options({148, 4, 0, 0}).udp(1, 2).bytes()},
      {"ICMPv6 echo", ip6().icmpv6(128).bytes()},
      {"ICMPv6 behind extension headers", ip6().extension(0).extension(60).udp(1, 2).bytes()},
  };
  for (const auto& [name, frame] : rows) {
    TestPacket packet(frame);
    ASSERT_EQ(drop_name(packet.parse()), "none") << name;
    EXPECT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kNoRoute}, gateway())) << name;
    EXPECT_TRUE(l4_checksum_is_right(packet->head(), packet->headers)) << name;
  }
}

TEST(Error, PacketTooBigMayAnswerIpv6Multicast) {
  TestPacket packet(eth(kPod, "33:33:00:00:00:05").ipv6(kA6, "ff0e::5").udp(1, 2).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_icmp_error(*packet, {.kind = IcmpErrorKind::kPacketTooBig, .mtu_bytes = 1280}, gateway()));
}

TEST(Error, WithoutHeadroomOrAddressNothingChanges) {
  const Bytes four = ip4().udp(1, 2).bytes();
  const Bytes six = ip6().udp(1, 2).bytes();
  const IcmpError error{.kind = IcmpErrorKind::kNoRoute};
  TestPacket tight4(four, 27), tight6(six, 47), nobody4(four), nobody6(six);
  for (TestPacket* packet : {&tight4, &tight6, &nobody4, &nobody6}) ASSERT_EQ(packet->parse(), Drop::kNone);
  EXPECT_FALSE(make_icmp_error(*tight4, error, gateway()));
  EXPECT_FALSE(make_icmp_error(*tight6, error, gateway()));
  EXPECT_FALSE(make_icmp_error(*nobody4, error, {.mac = mac(kGateway), .ipv4 = {}, .ipv6 = v6("fd00::ffff")}));
  EXPECT_FALSE(make_icmp_error(*nobody6, error, {.mac = mac(kGateway), .ipv4 = v4("169.254.1.1"), .ipv6 = {}}));
  EXPECT_EQ(tight4.bytes(), four);
  EXPECT_EQ(nobody6.bytes(), six);
}

}  // namespace
}  // namespace millrace::tests
