// Neighbour discovery: which solicitations are valid (RFC 4861 7.1.1) and the advertisement that answers.

#include "net/ndp.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

constexpr std::string_view kPod = "02:00:00:00:00:01", kGateway = "02:00:00:00:00:fe";
constexpr std::string_view kSolicitedMac = "33:33:ff:00:00:01", kSolicited = "ff02::1:ff00:1";
constexpr std::string_view kPodIp = "fe80::7", kGatewayIp = "fe80::1";
constexpr std::uint32_t kIcmp = 54;

PacketBuilder from(std::string_view source, std::string_view destination = kSolicited) {
  return eth(kPod, kSolicitedMac).ipv6(source, destination).ttl(255);
}

/// The advertisement as bytes written by hand: flags, target, target link-layer option.
Bytes advertisement(PacketBuilder ip, std::uint8_t flags) {
  Bytes content = {2, 1, 2, 0, 0, 0, 0, 0xfe};
  const Ipv6 target = v6(kGatewayIp);
  content.insert(content.begin(), target.bytes.begin(), target.bytes.end());
  return ip.icmpv6(136, 0, static_cast<std::uint16_t>(flags << 8), 0).payload(content).bytes();
}

TEST(Ndp, SolicitationBecomesTheAdvertisement) {
  TestPacket packet(from(kPodIp).neighbor_solicitation(kGatewayIp, kPod).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  const auto asked = read_neighbor_solicitation(*packet);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->target.to_string(), kGatewayIp);
  EXPECT_EQ(asked->source.to_string(), kPodIp);
  EXPECT_EQ(asked->source_mac->to_string(), kPod);
  EXPECT_FALSE(asked->is_duplicate_detection);

  ASSERT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  const Bytes expected = advertisement(eth(kGateway, kPod).ipv6(kGatewayIp, kPodIp).ttl(255), 0xe0);
  EXPECT_EQ(describe(packet.bytes()), describe(expected));
  EXPECT_EQ(packet.bytes(), expected);
  EXPECT_EQ(packet->headers.icmp_type, 136);
}

TEST(Ndp, AHostsAdvertisementHasNoRouterFlag) {
  TestPacket packet(from(kPodIp).neighbor_solicitation(kGatewayIp, kPod).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), false));
  EXPECT_EQ(packet.bytes(), advertisement(eth(kGateway, kPod).ipv6(kGatewayIp, kPodIp).ttl(255), 0x60));
}

TEST(Ndp, DuplicateDetectionIsAnsweredToAllNodesUnsolicited) {
  TestPacket packet(from("::").neighbor_solicitation(kGatewayIp).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  const auto asked = read_neighbor_solicitation(*packet);
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->is_duplicate_detection);
  ASSERT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  const PacketBuilder to_all_nodes = eth(kGateway, "33:33:00:00:00:01").ipv6(kGatewayIp, "ff02::1").ttl(255);
  EXPECT_EQ(packet.bytes(), advertisement(to_all_nodes, 0xa0));
}

TEST(Ndp, AUnicastSolicitationWithoutOptionGrowsIntoTheTailroom) {
  const Bytes asking = from(kPodIp, kGatewayIp).neighbor_solicitation(kGatewayIp).bytes();
  TestPacket packet(asking, 0, 8);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  EXPECT_EQ(packet->head_bytes, asking.size() + 8);
  TestPacket full(asking, 0, 7);
  ASSERT_EQ(full.parse(), Drop::kNone);
  EXPECT_FALSE(make_neighbor_advertisement(*full, mac(kGateway), true));
  EXPECT_EQ(full.bytes(), asking);
}

TEST(Ndp, UnknownOptionsAreSkippedAndDropped) {
  const Bytes options = {14, 1, 1, 2, 3, 4, 5, 6, 1, 1, 2, 0, 0, 0, 0, 9};  // nonce (RFC 3971), then source MAC
  TestPacket packet(from(kPodIp).neighbor_solicitation(kGatewayIp).payload(options).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  ASSERT_TRUE(read_neighbor_solicitation(*packet));
  EXPECT_EQ(read_neighbor_solicitation(*packet)->source_mac->to_string(), "02:00:00:00:00:09");
  EXPECT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  EXPECT_EQ(packet.bytes(), advertisement(eth(kGateway, kPod).ipv6(kGatewayIp, kPodIp).ttl(255), 0xe0));
}

TEST(Ndp, AVlanTagStays) {
  TestPacket packet(eth(kPod, kSolicitedMac)
                        .vlan(7)
                        .ipv6(kPodIp, kSolicited)
                        .ttl(255)
                        .neighbor_solicitation(kGatewayIp, kPod)
                        .bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  EXPECT_EQ(packet.bytes(), advertisement(eth(kGateway, kPod).vlan(7).ipv6(kGatewayIp, kPodIp).ttl(255), 0xe0));
}

TEST(Ndp, WhatRfc4861TellsToDiscardIsLeftAlone) {
  const Bytes good = from(kPodIp).neighbor_solicitation(kGatewayIp, kPod).bytes();
  const auto solicitation = [](Bytes options) {
    return from(kPodIp).neighbor_solicitation(kGatewayIp).payload(std::move(options)).bytes();
  };
  const std::pair<const char*, Bytes> rows[] = {
      {"hop limit 254: a router forwarded it",
       eth(kPod, kSolicitedMac).ipv6(kPodIp, kSolicited).ttl(254).neighbor_solicitation(kGatewayIp, kPod).bytes()},
      {"wrong checksum", patch(good, kIcmp + 2, static_cast<std::uint8_t>(good[kIcmp + 2] ^ 1))},
      {"code 1", from(kPodIp).icmpv6(135, 1).payload(Bytes(16, 0xfe)).bytes()},
      {"too short for a target", from(kPodIp).icmpv6(135).payload(Bytes(15, 0xfe)).bytes()},
      {"multicast target", from(kPodIp).neighbor_solicitation("ff02::1", kPod).bytes()},
      {"unspecified target", from(kPodIp).neighbor_solicitation("::", kPod).bytes()},
      {"multicast source", from("ff02::1").neighbor_solicitation(kGatewayIp, kPod).bytes()},
      {"option of length 0", solicitation({14, 0, 1, 2, 3, 4, 5, 6})},
      {"option longer than the packet", solicitation({14, 2, 1, 2, 3, 4, 5, 6})},
      {"one byte of an option", solicitation({14})},
      {"source option from the unspecified address", from("::").neighbor_solicitation(kGatewayIp, kPod).bytes()},
      {"unspecified source to a unicast address", from("::", kGatewayIp).neighbor_solicitation(kGatewayIp).bytes()},
      {"advertisement", advertisement(from(kPodIp), 0)},
      {"behind an extension header (RFC 6980)",
       from(kPodIp).ipv6_fragment(0, false).neighbor_solicitation(kGatewayIp, kPod).bytes()},
      {"IPv4", eth(kPod, kGateway).ipv4("10.0.0.1", "10.0.0.2").icmp(135).bytes()},
  };
  for (const auto& [name, frame] : rows) {
    TestPacket packet(frame);
    ASSERT_EQ(drop_name(packet.parse()), "none") << name;
    EXPECT_FALSE(read_neighbor_solicitation(*packet)) << name;
    EXPECT_FALSE(make_neighbor_advertisement(*packet, mac(kGateway), true)) << name;
    EXPECT_EQ(packet.bytes(), frame) << name;
  }
}

TEST(Ndp, AChecksumLeftToOffloadIsNotVerified) {
  Bytes frame = from(kPodIp).neighbor_solicitation(kGatewayIp, kPod).bytes();
  view<Be16>(frame.data() + kIcmp + 2) = Be16::from_raw(fold(pseudo_header_sum(v6(kPodIp), v6(kSolicited), 58, 32)));
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_FALSE(read_neighbor_solicitation(*packet));
  packet->offload.checksum_partial = true;
  ASSERT_TRUE(make_neighbor_advertisement(*packet, mac(kGateway), true));
  EXPECT_FALSE(packet->offload.checksum_partial);
  EXPECT_EQ(packet.bytes(), advertisement(eth(kGateway, kPod).ipv6(kGatewayIp, kPodIp).ttl(255), 0xe0));
}

}  // namespace
}  // namespace millrace::tests
