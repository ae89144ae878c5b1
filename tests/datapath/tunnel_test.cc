// Two nodes and the ways between them: what a pod, a node and the outside send arrives, on any number of workers.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/vxlan.h"
#include "tests/datapath/tunnel_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPod1 = kFirstPod + 1, kPod2 = kFirstPod + 2;
constexpr TunnelIndex kToOther = 2;
const std::string kNodePort = "192.0.2.1";

PacketBuilder from_pod(unsigned pod) { return eth(pod_mac(pod), kGatewayMac); }
PacketBuilder from_host() { return eth(pod_mac(0xff), kGatewayMac); }
/// As a router of the underlay hands it to node A.
PacketBuilder from_outside() { return eth("02:00:00:00:09:09", "02:00:00:00:02:01"); }

class Tunnels : public testing::TestWithParam<TunnelShape> {
 protected:
  Tunnels() : pair_(GetParam()) {}
  std::uint64_t counted(TunnelNode& node, Counter TunnelCounters::*counter) {
    std::uint64_t sum = 0;
    for (WorkerId id = 0; id < GetParam().workers; ++id) sum += (node->counters(id).tunnel(kToOther).*counter).get();
    return sum;
  }
  void add_service(TunnelNode& node, const nat::ServiceSpec& service) {
    node->services.push_back(service);
    node->publish();
  }

  TunnelPair pair_;
};

INSTANTIATE_TEST_SUITE_P(
    Shapes, Tunnels,
    testing::Values(TunnelShape{}, TunnelShape{.workers = 2}, TunnelShape{.workers = 2, .queues = 2},
                    TunnelShape{.workers = 4}, TunnelShape{.workers = 4, .queues = 3},
                    TunnelShape{.workers = 4, .queues = 2, .is_over_v6 = true}, TunnelShape{.is_over_v6 = true},
                    TunnelShape{.workers = 2, .queues = 2, .is_filtered = true}, TunnelShape{.is_encapsulated = false},
                    TunnelShape{.workers = 4, .queues = 2, .is_encapsulated = false}),
    [](const auto& shape) {
      return fmt::format("workers_{}_queues_{}_{}{}", shape.param.workers, shape.param.queues,
                         !shape.param.is_encapsulated ? "plain"
                         : shape.param.is_over_v6     ? "vxlan6"
                                                      : "vxlan4",
                         shape.param.is_filtered ? "_filtered" : "");
    });

TEST_P(Tunnels, PodsOfTwoNodesTalkWithTheirOwnAddresses) {
  for (const unsigned pod : {1u, 2u}) {
    const net::PortId port = TunnelNode::pod_port(pod);
    ASSERT_TRUE(
        pair_.a->send(port, from_pod(pod).ipv4(TunnelNode::pod_v4(1, pod), "10.245.0.2").tcp(1000, 80, 2).bytes()));
    pair_.carry();
    EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: tcp 10.244.0.{}:1000 > 10.245.0.2:80", kPod2, pod));
    ASSERT_TRUE(
        pair_.b->send(kPod2, from_pod(2).ipv4("10.245.0.2", TunnelNode::pod_v4(1, pod)).tcp(80, 1000, 0x12).bytes()));
    pair_.carry();
    EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 10.245.0.2:80 > 10.244.0.{}:1000", port, pod));
    ASSERT_TRUE(pair_.a->send(
        port, from_pod(pod).ipv6(TunnelNode::pod_v6(1, pod), "fd00:10:245::1").udp(7, 9).payload(33).bytes()));
    pair_.carry();
    EXPECT_EQ(arrivals(pair_.b.world()),
              fmt::format("{}: udp {}:7 > fd00:10:245::1:9", kPod1, TunnelNode::pod_v6(1, pod)));
  }
  EXPECT_EQ(pair_.a->drop_text() + pair_.b->drop_text(), "");
  EXPECT_EQ(counted(pair_.a, &TunnelCounters::tx_packets), 4u);
  EXPECT_EQ(counted(pair_.b, &TunnelCounters::rx_packets), 4u);
  EXPECT_EQ(counted(pair_.a, &TunnelCounters::rx_packets), 2u);
  EXPECT_EQ(counted(pair_.a, &TunnelCounters::tx_bytes), 2u * 40 + 2 * (40 + 8 + 33));
  EXPECT_EQ(counted(pair_.b, &TunnelCounters::rx_bytes), 2u * 40 + 2 * (40 + 8 + 33));
}

TEST_P(Tunnels, TheWholePacketArrivesButForTwoHops) {
  const Bytes sent = from_pod(1).ipv4("10.244.0.1", "10.245.0.1").ttl(9).udp(1, 2).payload(1000).bytes();
  ASSERT_TRUE(pair_.a->send(kPod1, sent));
  pair_.carry();
  const auto arrived = pair_.b->receive(kPod1);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(
      describe(arrived[0]),
      describe(eth(kGatewayMac, pod_mac(1)).ipv4("10.244.0.1", "10.245.0.1").ttl(7).udp(1, 2).payload(1000).bytes()));
}

TEST_P(Tunnels, AServiceOfAPodHasItsBackendOnTheOtherNode) {
  add_service(pair_.a, service_to("10.96.0.10", 17, 53, {"10.245.0.2"}, 5353));
  ASSERT_TRUE(pair_.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.96.0.10").udp(1000, 53).payload(5).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: udp 10.244.0.1:1000 > 10.245.0.2:5353", kPod2));
  ASSERT_TRUE(pair_.b->send(kPod2, from_pod(2).ipv4("10.245.0.2", "10.244.0.1").udp(5353, 1000).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: udp 10.96.0.10:53 > 10.244.0.1:1000", kPod1));
}

/// A node port whose backend is on the other node: the client sees the node port, the backend sees the node.
TEST_P(Tunnels, ANodePortReachesTheOtherNodeAndItsAnswersComeBack) {
  add_service(pair_.a, service_to(kNodePort, 6, 30080, {"10.245.0.2"}, 80, true));
  for (unsigned client = 0; client < 12; ++client) {
    const auto port = static_cast<std::uint16_t>(5000 + client);
    ASSERT_TRUE(pair_.a->send(kFirstQueue, from_outside().ipv4("198.51.100.7", kNodePort).tcp(port, 30080, 2).bytes()));
    pair_.carry();
    const auto arrived = pair_.b->receive(kPod2);
    ASSERT_EQ(arrived.size(), 1u) << pair_.a->drop_text() << pair_.b->drop_text();
    TestPacket packet(arrived[0]);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_EQ(net::ipv4(*packet).source, v4(kNodePort));
    const std::uint16_t masked = packet->headers.source_port;
    EXPECT_TRUE(masked >= kMasqueradePorts.first && masked < kMasqueradePorts.first + kMasqueradePorts.count);
    ASSERT_TRUE(pair_.b->send(kPod2, from_pod(2).ipv4("10.245.0.2", kNodePort).tcp(80, masked, 0x12).bytes()));
    pair_.carry();
    EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 192.0.2.1:30080 > 198.51.100.7:{}", kHostPort, port));
  }
  EXPECT_EQ(pair_.a->drop_text() + pair_.b->drop_text(), "");
}

/// The other node's pod asks the node port, whose backend is here or there: there it comes as this node.
TEST_P(Tunnels, APodOfTheOtherNodeReachesANodePortOfThisOne) {
  for (const unsigned here : {1u, 2u}) {
    for (const bool is_here : {true, false}) {
      const std::string backend = is_here ? TunnelNode::pod_v4(1, here) : "10.245.0.1";
      pair_.a->services = {service_to(kNodePort, 17, 30053, {backend}, 53, !is_here)};
      pair_.a->publish();
      const auto port = static_cast<std::uint16_t>(4000 + here * 2 + (is_here ? 1 : 0));
      ASSERT_TRUE(pair_.b->send(kPod2, from_pod(2).ipv4("10.245.0.2", kNodePort).udp(port, 30053).bytes()));
      pair_.carry();
      TunnelNode& at = is_here ? pair_.a : pair_.b;
      const unsigned pod = is_here ? here : 1;
      const auto arrived = at->receive(TunnelNode::pod_port(pod));
      ASSERT_EQ(arrived.size(), 1u) << pair_.a->drop_text() << " " << pair_.b->drop_text();
      TestPacket question(arrived[0]);
      ASSERT_EQ(question.parse(), Drop::kNone);
      const std::string asker = net::ipv4(*question).source.to_string();
      EXPECT_EQ(asker, is_here ? "10.245.0.2" : kNodePort);
      ASSERT_TRUE(at->send(TunnelNode::pod_port(pod),
                           from_pod(pod).ipv4(backend, asker).udp(53, question->headers.source_port).bytes()));
      pair_.carry();
      EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: udp 192.0.2.1:30053 > 10.245.0.2:{}", kPod2, port))
          << pair_.a->drop_text() << " " << pair_.b->drop_text();
    }
  }
}

TEST_P(Tunnels, NodesAndPodsOfOtherNodesReachEachOther) {
  ASSERT_TRUE(pair_.a->send(kHostPort, from_host().ipv4("192.0.2.1", "10.245.0.2").tcp(900, 80, 2).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: tcp 192.0.2.1:900 > 10.245.0.2:80", kPod2));
  ASSERT_TRUE(pair_.b->send(kPod2, from_pod(2).ipv4("10.245.0.2", "192.0.2.1").tcp(80, 900, 0x12).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 10.245.0.2:80 > 192.0.2.1:900", kHostPort));
  // A pod asks the other node itself; a node asks a node through its pods' switch.
  ASSERT_TRUE(pair_.b->send(kPod1, from_pod(1).ipv4("10.245.0.1", "192.0.2.1").tcp(77, 22, 2).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 10.245.0.1:77 > 192.0.2.1:22", kHostPort));
  ASSERT_TRUE(pair_.b->send(kHostPort, from_host().ipv6("2001:db8::2", "2001:db8::1").udp(5, 6).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: udp 2001:db8::2:5 > 2001:db8::1:6", kHostPort));
  ASSERT_TRUE(pair_.a->send(kHostPort, from_host().ipv4("192.0.2.1", "10.245.0.1").tcp(22, 77, 0x12).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: tcp 192.0.2.1:22 > 10.245.0.1:77", kPod1));
  EXPECT_EQ(pair_.a->drop_text() + pair_.b->drop_text(), "");
}

/// The other node's kernel asks a node port without the tunnel: so it must be answered, by this node's kernel.
TEST_P(Tunnels, TheOtherNodesKernelIsAnsweredTheWayItAsked) {
  for (const unsigned pod : {1u, 2u}) {
    pair_.a->services = {service_to(kNodePort, 6, 30080, {TunnelNode::pod_v4(1, pod)}, 80)};
    pair_.a->publish();
    const auto port = static_cast<std::uint16_t>(6000 + pod);
    ASSERT_TRUE(pair_.a->send(kFirstQueue, from_outside().ipv4("192.0.2.2", kNodePort).tcp(port, 30080, 2).bytes()));
    pair_.carry();
    const net::PortId at = TunnelNode::pod_port(pod);
    EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 192.0.2.2:{} > 10.244.0.{}:80", at, port, pod));
    for (const bool is_renewed : {false, true}) {
      if (is_renewed) pair_.a->publish();
      ASSERT_TRUE(pair_.a->send(
          at,
          from_pod(pod).ipv4(TunnelNode::pod_v4(1, pod), "192.0.2.2").tcp(80, port, is_renewed ? 0x10 : 0x12).bytes()));
      EXPECT_EQ(pair_.carry().size(), GetParam().is_encapsulated ? 0u : 1u) << pair_.a->drop_text();
      if (!GetParam().is_encapsulated) {
        EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: tcp 192.0.2.1:30080 > 192.0.2.2:{}", kHostPort, port));
        continue;
      }
      EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: tcp 192.0.2.1:30080 > 192.0.2.2:{}", kHostPort, port));
    }
  }
}

TEST_P(Tunnels, ErrorsGoBackByTheTunnelAndSayItsMtu) {
  // Out of hops at the other node.
  ASSERT_TRUE(pair_.a->send(kPod2, from_pod(2).ipv4("10.244.0.2", "10.245.0.1").ttl(2).udp(1, 2).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: icmp 192.0.2.1:0 > 10.244.0.2:0", kPod2))
      << pair_.a->drop_text() << pair_.b->drop_text();
  // Too big for the other node's pod.
  pair_.b->spec(kPod1).mtu_bytes = 1300;
  pair_.b->publish();
  ASSERT_TRUE(pair_.a->send(
      kPod2, from_pod(2).ipv4("10.244.0.2", "10.245.0.1").dont_fragment().udp(1, 2).payload(1300).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: icmp 192.0.2.1:0 > 10.244.0.2:0", kPod2));
  // Too big for the tunnel.
  if (!GetParam().is_encapsulated) return;
  const unsigned mtu_bytes = GetParam().is_over_v6 ? 1430 : 1450;
  const auto sized = [&](unsigned l3_bytes) {
    return from_pod(1).ipv4("10.244.0.1", "10.245.0.2").dont_fragment().udp(1, 2).payload(l3_bytes - 28).bytes();
  };
  ASSERT_TRUE(pair_.a->send(kPod1, sized(mtu_bytes)));
  const auto carried = pair_.carry();
  ASSERT_EQ(carried.size(), 1u);
  EXPECT_EQ(carried[0].size(), 1500u + 14) << "fills the path";
  EXPECT_NE(arrivals(pair_.b.world()), "nothing");
  ASSERT_TRUE(pair_.a->send(kPod1, sized(mtu_bytes + 1)));
  pair_.carry();
  const auto errors = pair_.a->receive(kPod1);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0][34], net::icmp_type::kUnreachable);
  EXPECT_EQ(errors[0][40] << 8 | errors[0][41], static_cast<int>(mtu_bytes));
}

TEST_P(Tunnels, WhatIsTooBigIsSaidInIpv6AndToWhoAskedANodePort) {
  if (!GetParam().is_encapsulated) return;
  const unsigned mtu_bytes = GetParam().is_over_v6 ? 1430 : 1450;
  ASSERT_TRUE(
      pair_.a->send(kPod1, from_pod(1).ipv6("fd00:10:244::1", "fd00:10:245::2").udp(1, 2).payload(1440u).bytes()));
  EXPECT_TRUE(pair_.carry().empty());
  const auto errors = pair_.a->receive(kPod1);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0][54], net::icmpv6_type::kPacketTooBig);
  EXPECT_EQ(errors[0][60] << 8 | errors[0][61], static_cast<int>(mtu_bytes));

  // The outside asks a node port with more than fits on to the other node: it hears of its own packet, not of what the
  // node would have made of it, and no flow is left behind.
  add_service(pair_.a, service_to(kNodePort, 17, 30053, {"10.245.0.2"}, 53, true));
  const auto question = [](std::size_t bytes) {
    return from_outside().ipv4("198.51.100.7", kNodePort).dont_fragment().udp(5000, 30053).payload(bytes).bytes();
  };
  ASSERT_TRUE(pair_.a->send(kFirstQueue, question(1440)));
  EXPECT_TRUE(pair_.carry().empty());
  const auto told = pair_.a->receive(kHostPort);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(tuple_text(told[0]), "icmp 192.0.2.1:0 > 198.51.100.7:0");
  EXPECT_EQ(told[0][40] << 8 | told[0][41], static_cast<int>(mtu_bytes));
  const Bytes quoted(told[0].begin() + 42, told[0].end());
  const Bytes sent = question(1440);
  EXPECT_TRUE(std::equal(quoted.begin(), quoted.begin() + 28, sent.begin() + 14)) << "headers as they were sent";
  for (WorkerId id = 0; id < GetParam().workers; ++id) {
    const FlowCounters& flows = pair_.a->counters(id).flows;
    EXPECT_EQ(flows.created.get(), flows.ended.get());
  }
  // What fits goes on; of its answers the same is true at the other node.
  ASSERT_TRUE(pair_.a->send(kFirstQueue, question(100)));
  pair_.carry();
  const auto arrived = pair_.b->receive(kPod2);
  ASSERT_EQ(arrived.size(), 1u);
  TestPacket packet(arrived[0]);
  ASSERT_EQ(packet.parse(), Drop::kNone);
  const std::uint16_t masked = packet->headers.source_port;
  ASSERT_TRUE(pair_.b->send(
      kPod2, from_pod(2).ipv4("10.245.0.2", kNodePort).dont_fragment().udp(53, masked).payload(1440u).bytes()));
  EXPECT_TRUE(pair_.carry().empty());
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: icmp 192.0.2.1:0 > 10.245.0.2:0", kPod2));
}

TEST_P(Tunnels, WhatMayBeFragmentedIsCutBeforeItEnters) {
  ASSERT_TRUE(pair_.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.245.0.2").udp(1, 2).payload(1472).bytes()));
  const std::size_t count = GetParam().is_encapsulated ? 2 : 1;
  const auto carried = pair_.carry();
  ASSERT_EQ(carried.size(), count);
  if (count == 2) {
    const std::size_t port = GetParam().is_over_v6 ? 54 : 34;
    EXPECT_EQ(Bytes(carried[0].begin() + port, carried[0].begin() + port + 2),
              Bytes(carried[1].begin() + port, carried[1].begin() + port + 2))
        << "both take one path";
    EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{0}: udp 10.244.0.1:1 > 10.245.0.2:2 first fragment, "
                                                     "{0}: udp 10.244.0.1:0 > 10.245.0.2:0 later fragment",
                                                     kPod2));
  }
  EXPECT_EQ(pair_.a->drop_text() + pair_.b->drop_text(), "");
}

/// Fragments to the node's own address are not taken for those of VXLAN, and come by the tunnel as all else does.
TEST_P(Tunnels, FragmentsReachTheOtherNodeItself) {
  const auto part = [](std::uint32_t offset) {
    return from_pod(1).ipv4("10.244.0.1", "192.0.2.2").fragment(offset, offset == 0, 5);
  };
  ASSERT_TRUE(pair_.a->send(kPod1, part(0).udp(1, 53).payload(64u).bytes()));
  ASSERT_TRUE(pair_.a->send(kPod1, part(72).protocol(17).payload(64u).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{0}: udp 10.244.0.1:1 > 192.0.2.2:53 first fragment, "
                                                   "{0}: udp 10.244.0.1:0 > 192.0.2.2:0 later fragment",
                                                   kHostPort))
      << pair_.b->drop_text();
}

TEST_P(Tunnels, NothingLeavesWhileTheWayIsNotKnown) {
  pair_.a->tunnels[0].hop.reset();
  pair_.a->publish();
  ASSERT_TRUE(pair_.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.245.0.2").udp(1, 2).bytes()));
  EXPECT_TRUE(pair_.carry().empty());
  EXPECT_EQ(pair_.a->drop_text(), "tunnel_unresolved=1");
  EXPECT_EQ(arrivals(pair_.a.world()), fmt::format("{}: icmp 192.0.2.1:0 > 10.244.0.1:0", kPod1)) << "host unreachable";
  pair_.a->tunnels[0].hop = TunnelHop{0, TunnelNode::device_mac(2), 1500};
  pair_.a->publish();
  ASSERT_TRUE(pair_.a->send(kPod1, from_pod(1).ipv4("10.244.0.1", "10.245.0.2").udp(1, 2).bytes()));
  pair_.carry();
  EXPECT_EQ(arrivals(pair_.b.world()), fmt::format("{}: udp 10.244.0.1:1 > 10.245.0.2:2", kPod2));
}

}  // namespace
}  // namespace millrace::datapath
