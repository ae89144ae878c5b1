// ARP: which requests are answered, and the reply.

#include "net/arp.h"

#include <gtest/gtest.h>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

constexpr std::string_view kPod = "02:00:00:00:00:01", kGateway = "02:00:00:00:00:fe";
constexpr std::string_view kBroadcast = "ff:ff:ff:ff:ff:ff", kNobody = "00:00:00:00:00:00";
constexpr std::string_view kPodIp = "10.244.0.7", kGatewayIp = "169.254.1.1";
constexpr std::uint16_t kRequest = 1, kReply = 2;

TEST(Arp, RequestBecomesTheReply) {
  TestPacket packet(eth(kPod, kBroadcast).arp(kRequest, kPod, kPodIp, kNobody, kGatewayIp).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_arp_reply(*packet, mac(kGateway)));
  EXPECT_EQ(describe(packet.bytes()),
            describe(eth(kGateway, kPod).arp(kReply, kGateway, kGatewayIp, kPod, kPodIp).bytes()));
}

TEST(Arp, VlanTagAndPaddingStay) {
  Bytes frame = eth(kPod, kBroadcast).vlan(7).arp(kRequest, kPod, kPodIp, kNobody, kGatewayIp).bytes();
  frame.resize(64);
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(make_arp_reply(*packet, mac(kGateway)));
  Bytes reply = eth(kGateway, kPod).vlan(7).arp(kReply, kGateway, kGatewayIp, kPod, kPodIp).bytes();
  reply.resize(64);
  EXPECT_EQ(packet.bytes(), reply);
}

TEST(Arp, AProbeIsAnswerableAndKnown) {
  TestPacket packet(eth(kPod, kBroadcast).arp(kRequest, kPod, "0.0.0.0", kNobody, kGatewayIp).bytes());
  ASSERT_EQ(packet.parse(), Drop::kNone);
  EXPECT_TRUE(is_arp_probe(arp(*packet)));
  EXPECT_TRUE(is_answerable_arp_request(*packet)) << "to defend the gateway's address";
}

TEST(Arp, AnythingElseIsLeftAlone) {
  const std::pair<const char*, Bytes> rows[] = {
      {"reply", eth(kPod, kGateway).arp(kReply, kPod, kPodIp, kGateway, kGatewayIp).bytes()},
      {"announcement", eth(kPod, kBroadcast).arp(kRequest, kPod, kPodIp, kNobody, kPodIp).bytes()},
      {"sender MAC is not the frame's",
       eth(kPod, kBroadcast).arp(kRequest, kGateway, kPodIp, kNobody, kGatewayIp).bytes()},
      {"from a multicast MAC",
       eth(kBroadcast, kBroadcast).arp(kRequest, kBroadcast, kPodIp, kNobody, kGatewayIp).bytes()},
      {"for a multicast address", eth(kPod, kBroadcast).arp(kRequest, kPod, kPodIp, kNobody, "224.0.0.1").bytes()},
      {"for no address", eth(kPod, kBroadcast).arp(kRequest, kPod, kPodIp, kNobody, "0.0.0.0").bytes()},
      {"for broadcast", eth(kPod, kBroadcast).arp(kRequest, kPod, kPodIp, kNobody, "255.255.255.255").bytes()},
      {"not ARP", eth(kPod, kGateway).ipv4(kPodIp, kGatewayIp).udp(1, 2).bytes()},
  };
  for (const auto& [name, frame] : rows) {
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << name;
    EXPECT_FALSE(make_arp_reply(*packet, mac(kGateway))) << name;
    EXPECT_EQ(packet.bytes(), frame) << name;
  }
}

}  // namespace
}  // namespace millrace::tests
