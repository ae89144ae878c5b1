// What the switch answers itself: question in, answer out, or the reason for silence.
#include "datapath/answer.h"

#include <gtest/gtest.h>

#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPodA = 1, kPodB = 2, kHost = 3;
constexpr const char* kMac3 = "02:00:00:00:00:03";
constexpr const char* kMacHost = "02:00:00:00:00:ff";
constexpr const char* kNoMac = "00:00:00:00:00:00";

/// Pods 3 and 4 on ports 1 and 2, the host on port 3.
class Answer : public testing::Test {
 protected:
  void SetUp() override {
    world_.add_pod(kPodA, 3);
    world_.add_pod(kPodB, 4);
    world_.add_host(kHost);
    world_.publish();
  }
  const Snapshot& snapshot() { return *world_.publisher().current(); }
  TestSwitch world_;
};

Bytes arp_request(const char* sender_mac, const char* sender, const char* target) {
  return eth(sender_mac, kBroadcastMac).arp(1, sender_mac, sender, kNoMac, target).bytes();
}
Bytes arp_reply(const char* to_mac, const char* to, const char* from) {
  return eth(kGatewayMac, to_mac).arp(2, kGatewayMac, from, to_mac, to).bytes();
}
Bytes solicitation(const char* source, const char* destination, const char* target) {
  return eth(kMac3, "33:33:ff:00:00:01")
      .ipv6(source, destination)
      .ttl(255)
      .neighbor_solicitation(target, kMac3)
      .bytes();
}
Bytes advertisement(const char* target, const char* to) {
  constexpr std::uint16_t kRouterSolicitedOverride = 0xe000;
  const net::Ipv6 address = v6(target);
  Bytes rest(address.bytes.begin(), address.bytes.end());
  rest.insert(rest.end(), {net::LinkLayerOption::kTarget, 1});
  const net::Mac own = mac(kGatewayMac);
  rest.insert(rest.end(), own.bytes.begin(), own.bytes.end());
  return eth(kGatewayMac, kMac3)
      .ipv6(target, to)
      .ttl(255)
      .icmpv6(136, 0, kRouterSolicitedOverride)
      .payload(rest)
      .bytes();
}

struct Row {
  const char* name;
  net::PortId in_port;
  Bytes question;
  Bytes answer;             // empty: none
  Drop drop = Drop::kNone;  // when there is no answer; kNone: the packet goes on
};

void check(const Snapshot& snapshot, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    TestPacket packet(row.question);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    packet->in_port = row.in_port;
    const Drop drop = answer(*packet, snapshot);
    EXPECT_EQ(net::drop_name(drop), net::drop_name(row.drop)) << row.name;
    if (row.answer.empty()) {
      EXPECT_EQ(packet->out_port, net::kNoPort) << row.name;
    } else {
      EXPECT_EQ(packet->out_port, row.in_port) << row.name;
      EXPECT_EQ(describe(packet.bytes()), describe(row.answer)) << row.name;
      EXPECT_EQ(packet.bytes(), row.answer) << row.name;
    }
  }
}

TEST_F(Answer, ArpForTheGatewayAndForWhatLiesBehindOtherPorts) {
  check(snapshot(),
        {
            {"the gateway", kPodA, arp_request(kMac3, "10.244.0.3", "169.254.1.1"),
             arp_reply(kMac3, "10.244.0.3", "169.254.1.1")},
            {"a neighbour on-link", kPodA, arp_request(kMac3, "10.244.0.3", "10.244.0.4"),
             arp_reply(kMac3, "10.244.0.3", "10.244.0.4")},
            {"a delegated gateway, by the default route", kPodA, arp_request(kMac3, "10.244.0.3", "10.88.0.1"),
             arp_reply(kMac3, "10.244.0.3", "10.88.0.1")},
            {"a pod, asked by the host", kHost, arp_request(kMacHost, "192.0.2.1", "10.244.0.3"),
             arp_reply(kMacHost, "192.0.2.1", "10.244.0.3")},
            {"its own address", kPodA, arp_request(kMac3, "10.244.0.3", "10.244.0.3"), {}, Drop::kArpIgnored},
            {"probe for its own address", kPodA, arp_request(kMac3, "0.0.0.0", "10.244.0.3"), {}, Drop::kArpIgnored},
            {"probe for a neighbour's", kPodA, arp_request(kMac3, "0.0.0.0", "10.244.0.4"), {}, Drop::kArpIgnored},
            {"what the host itself should have",
             kHost,
             arp_request(kMacHost, "192.0.2.1", "192.0.2.9"),
             {},
             Drop::kArpIgnored},
            {"a reply",
             kPodA,
             eth(kMac3, kGatewayMac).arp(2, kMac3, "10.244.0.3", kGatewayMac, "169.254.1.1").bytes(),
             {},
             Drop::kArpIgnored},
        });
}

TEST_F(Answer, NeighbourDiscoveryForTheGatewayAndForWhatLiesBehindOtherPorts) {
  check(snapshot(),
        {
            {"the gateway, from link-local", kPodA, solicitation("fe80::a", "ff02::1:ff00:1", "fe80::1"),
             advertisement("fe80::1", "fe80::a")},
            {"the gateway, from global", kPodA, solicitation("fd00:10:244::3", "ff02::1:ff00:1", "fe80::1"),
             advertisement("fe80::1", "fd00:10:244::3")},
            {"a neighbour on-link", kPodA, solicitation("fd00:10:244::3", "ff02::1:ff00:4", "fd00:10:244::4"),
             advertisement("fd00:10:244::4", "fd00:10:244::3")},
            {"a neighbour, unicast probe", kPodA, solicitation("fd00:10:244::3", "fd00:10:244::4", "fd00:10:244::4"),
             advertisement("fd00:10:244::4", "fd00:10:244::3")},
            {"its own address",
             kPodA,
             solicitation("fd00:10:244::3", "ff02::1:ff00:3", "fd00:10:244::3"),
             {},
             Drop::kNdIgnored},
            {"duplicate address detection",
             kPodA,
             eth(kMac3, "33:33:ff:00:00:04")
                 .ipv6("::", "ff02::1:ff00:4")
                 .ttl(255)
                 .neighbor_solicitation("fd00:10:244::4")
                 .bytes(),
             {},
             Drop::kNdIgnored},
            {"a neighbour's link-local, in spite of the default route",
             kPodA,
             solicitation("fe80::a", "ff02::1:ff00:b", "fe80::b"),
             {},
             Drop::kNdIgnored},
            {"from beyond the link (hop limit)",
             kPodA,
             eth(kMac3, "33:33:ff:00:00:01")
                 .ipv6("fe80::a", "ff02::1:ff00:1")
                 .ttl(64)
                 .neighbor_solicitation("fe80::1", kMac3)
                 .bytes(),
             {},
             Drop::kNdIgnored},
            {"router solicitation",
             kPodA,
             eth(kMac3, "33:33:00:00:00:02").ipv6("fe80::a", "ff02::2").ttl(255).icmpv6(133).bytes(),
             {},
             Drop::kNdIgnored},
            {"advertisement",
             kPodA,
             eth(kMac3, kGatewayMac).ipv6("fe80::a", "fe80::1").ttl(255).icmpv6(136).payload(16).bytes(),
             {},
             Drop::kNdIgnored},
        });
}

TEST_F(Answer, EchoToTheGatewayAndNothingElse) {
  const auto from_a = [] { return eth(kMac3, kGatewayMac); };
  const auto to_a = [] { return eth(kGatewayMac, kMac3); };
  check(
      snapshot(),
      {
          {"ping", kPodA, from_a().ipv4("10.244.0.3", "169.254.1.1").ttl(64).icmp(8, 0, 7, 1).payload("hello").bytes(),
           to_a().ipv4("169.254.1.1", "10.244.0.3").ttl(64).icmp(0, 0, 7, 1).payload("hello").bytes()},
          {"ping with TTL 1", kPodA, from_a().ipv4("10.244.0.3", "169.254.1.1").ttl(1).icmp(8, 0, 7, 1).bytes(),
           to_a().ipv4("169.254.1.1", "10.244.0.3").ttl(64).icmp(0, 0, 7, 1).bytes()},
          {"ping6", kPodA, from_a().ipv6("fe80::a", "fe80::1").ttl(64).icmpv6(128, 0, 7, 1).payload("hello").bytes(),
           to_a().ipv6("fe80::1", "fe80::a").ttl(64).icmpv6(129, 0, 7, 1).payload("hello").bytes()},
          {"UDP to the gateway",
           kPodA,
           from_a().ipv4("10.244.0.3", "169.254.1.1").udp(1, 53).bytes(),
           {},
           Drop::kGatewayProtocol},
          {"TCP to the gateway",
           kPodA,
           from_a().ipv6("fd00:10:244::3", "fe80::1").tcp(1, 80).bytes(),
           {},
           Drop::kGatewayProtocol},
          {"a fragment of a ping",
           kPodA,
           from_a().ipv4("10.244.0.3", "169.254.1.1").fragment(0, true).icmp(8).payload(8).bytes(),
           {},
           Drop::kGatewayProtocol},
          {"an echo reply",
           kPodA,
           from_a().ipv4("10.244.0.3", "169.254.1.1").icmp(0).bytes(),
           {},
           Drop::kGatewayProtocol},
          {"ping of a neighbour goes on", kPodA, from_a().ipv4("10.244.0.3", "10.244.0.4").icmp(8).bytes(), {}},
          {"ping6 of a neighbour goes on",
           kPodA,
           from_a().ipv6("fd00:10:244::3", "fd00:10:244::4").icmpv6(128).bytes(),
           {}},
      });
}

// A gateway that was not given a family answers for none, least of all for the unspecified address.
TEST_F(Answer, GatewayWithoutAddressesAnswersNothing) {
  Snapshot bare;
  bare.gateway.mac = mac(kGatewayMac);
  bare.ports.resize(4);
  check(bare, {
                  {"ARP for 0.0.0.0", kPodA, arp_request(kMac3, "10.244.0.3", "0.0.0.0"), {}, Drop::kArpIgnored},
                  {"solicitation of fe80::1",
                   kPodA,
                   solicitation("fe80::a", "ff02::1:ff00:1", "fe80::1"),
                   {},
                   Drop::kNdIgnored},
                  {"ping to 0.0.0.0",
                   kPodA,
                   eth(kMac3, kGatewayMac).ipv4("10.244.0.3", "0.0.0.0").icmp(8).bytes(),
                   {},
                   Drop::kGatewayProtocol},
              });
}

TEST_F(Answer, ErrorsAreLimitedAndSayWhatHappened) {
  const Bytes frame = eth(kMac3, kGatewayMac).ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).payload(20).bytes();
  struct Error {
    Drop drop;
    std::uint8_t type, code;
    std::uint16_t mtu_bytes;
  };
  for (const Error& row : std::vector<Error>{{Drop::kTtlExceeded, 11, 0, 0},
                                             {Drop::kNoRoute, 3, 0, 0},
                                             {Drop::kSameRoute, 3, 1, 0},
                                             {Drop::kPacketTooBig, 3, 4, 1500}}) {
    RateLimiter limiter(1, 1);
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    packet->in_port = kPodA;
    packet->out_port = kPodB;
    packet->drop = row.drop;
    ASSERT_EQ(answer_with_error(*packet, snapshot(), limiter, 5), ErrorAnswer::kSent) << net::drop_name(row.drop);
    EXPECT_EQ(packet->out_port, kPodA);
    EXPECT_EQ(packet->headers.icmp_type, row.type);
    EXPECT_EQ(packet->headers.icmp_code, row.code);
    EXPECT_EQ(net::view<net::IcmpHeader>(packet->data + packet->headers.l4_offset).sequence.host(), row.mtu_bytes);
    EXPECT_EQ(net::ipv4(*packet).source, v4(kNodeV4));
    EXPECT_EQ(net::ipv4(*packet).destination, v4("10.244.0.3"));
    EXPECT_TRUE(net::l4_checksum_is_right(packet->head(), packet->headers));

    TestPacket next(frame);
    ASSERT_EQ(next.parse(), Drop::kNone);
    next->drop = row.drop;
    next->in_port = kPodA;
    next->out_port = kPodB;
    EXPECT_EQ(answer_with_error(*next, snapshot(), limiter, 5), ErrorAnswer::kLimited);
    EXPECT_EQ(next.bytes(), frame);
  }
}

TEST_F(Answer, NoErrorAboutSilentReasonsOrAboutErrors) {
  RateLimiter limiter(1000, 1000);
  struct Silent {
    const char* name;
    Bytes frame;
    Drop drop;
  };
  const auto from_a = [] { return eth(kMac3, kGatewayMac); };
  for (const Silent& row : std::vector<Silent>{
           {"spoofed", from_a().ipv4("10.244.0.9", "10.244.0.4").udp(1, 2).bytes(), Drop::kSpoofedAddress},
           {"transmit ring full", from_a().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes(), Drop::kTxRingFull},
           {"about an ICMP error", from_a().ipv4("10.244.0.3", "10.244.0.4").icmp(3, 1).payload(28).bytes(),
            Drop::kTtlExceeded},
           {"about an ICMPv6 error", from_a().ipv6("fd00:10:244::3", "fd00:10:244::4").icmpv6(1).payload(48).bytes(),
            Drop::kNoRoute},
           {"about a later fragment", from_a().ipv4("10.244.0.3", "10.244.0.4").fragment(64, false).payload(64).bytes(),
            Drop::kTtlExceeded},
       }) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    packet->in_port = kPodA;
    packet->out_port = kPodB;
    packet->drop = row.drop;
    EXPECT_EQ(answer_with_error(*packet, snapshot(), limiter, 5), ErrorAnswer::kNone) << row.name;
    EXPECT_EQ(packet.bytes(), row.frame) << row.name;
  }
}

}  // namespace
}  // namespace millrace::datapath
