// Who owns a packet that comes from outside, packet -> worker, and that both ends of a flow have one owner.
#include "datapath/steer.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/datapath/flow_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;

constexpr unsigned kWorkers = 4;
constexpr net::PortId kHost = 0;

/// Pods 1..8, pod n on worker n % 4; the host on worker 3; 100 masquerade ports a worker from 40000.
class Steer : public testing::Test {
 protected:
  void SetUp() override {
    describe_nat(world_);
    world_.add_host(kHost, 3);
    for (unsigned pod = 1; pod <= 8; ++pod) {
      world_.add_pod(static_cast<net::PortId>(pod), pod, static_cast<WorkerId>(pod % kWorkers));
    }
    snapshot_ = world_.build(1);
  }
  WorkerId steered(const Bytes& frame, net::PortId in, WorkerId self) {
    TestPacket packet(frame);
    EXPECT_EQ(packet.parse(), net::Drop::kNone);
    return steer(*packet, snapshot_->ports[in], *snapshot_, self);
  }
  TestSwitch world_{SwitchShape{.workers = kWorkers, .masquerade_ports = {40'000, 400}}};
  std::unique_ptr<Snapshot> snapshot_;
};

TEST_F(Steer, SaysTheOwnerOfWhatComesFromOutside) {
  const auto from = [](std::string_view source, std::string_view destination) {
    return source.find(':') == std::string_view::npos ? eth().ipv4(source, destination)
                                                      : eth().ipv6(source, destination);
  };
  const auto error = [&](std::string_view to, const Bytes& quoted) {
    return from("198.51.100.9", to).icmp(3, 3).payload(Bytes(quoted.begin() + 14, quoted.end())).bytes();
  };
  const std::string world = "198.51.100.1", node(kNodeV4), node6(kNodeV6);
  const struct {
    const char* name;
    Bytes frame;
    WorkerId owner;
  } rows[] = {
      {"to a pod", from(world, pod_v4(5)).udp(1, 2).bytes(), 1},
      {"to a pod, IPv6", from("2001:db8:1::1", pod_v6(6)).udp(1, 2).bytes(), 2},
      {"to the first masquerade port", from(world, node).udp(53, 40'000).bytes(), 0},
      {"to the last of a block", from(world, node).udp(53, 40'199).bytes(), 1},
      {"to the last of all", from("2001:db8:1::1", node6).tcp(53, 40'399).bytes(), 3},
      {"to an echo's identifier", from(world, node).icmp(0, 0, 40'250, 1).bytes(), 2},
      {"to a port of the node's own: who answers leaves by the host port", from(world, node).tcp(1, 30'500).bytes(), 3},
      {"to a ClusterIP", from(world, "10.96.0.10").udp(1, 53).bytes(), 3},
      {"an error about a masqueraded packet", error(node, from(node, world).udp(40'150, 53).bytes()), 1},
      {"an error about a pod's own packet", error(pod_v4(6), from(pod_v4(6), world).udp(1, 53).bytes()), 2},
      {"an error about an answer of the node's", error(node, from(node, world).udp(30'500, 9).bytes()), 3},
  };
  for (const auto& row : rows) {
    for (WorkerId self = 0; self < kWorkers; ++self) {
      EXPECT_EQ(steered(row.frame, kHost, self), row.owner) << row.name;
    }
  }
}

TEST_F(Steer, WhatAPodSendsIsItsWorkers) {
  for (WorkerId self = 0; self < kWorkers; ++self) {
    EXPECT_EQ(steered(eth().ipv4(pod_v4(1), pod_v4(2)).udp(1, 2).bytes(), 1, self), self);
  }
}

// Seen from either end: who the host's packet is steered to is who the pod's answer comes from, and who a masqueraded
// packet leaves through is who its answer is steered to.
TEST_F(Steer, ARequestAndItsReplyHaveOneOwner) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const auto pod = static_cast<unsigned>(1 + random() % 8);
    const auto pod_worker = static_cast<WorkerId>(pod % kWorkers);
    const auto client = net::Ipv4::from_host(0xc6336400 + static_cast<std::uint32_t>(random() % 250)).to_string();
    const auto port = static_cast<std::uint16_t>(random());
    EXPECT_EQ(steered(eth().ipv4(client, pod_v4(pod)).udp(port, 80).bytes(), kHost, 0), pod_worker);
    const auto outside = static_cast<std::uint16_t>(40'000 + random() % 400);
    const WorkerId owner_of_port = snapshot_->nat.worker_of(outside);
    EXPECT_TRUE(ports_of_worker({40'000, 400}, kWorkers, owner_of_port).holds(outside));
    EXPECT_EQ(steered(eth().ipv4(client, kNodeV4).udp(53, outside).bytes(), kHost, 0), owner_of_port);
    EXPECT_EQ(owner_of_destination(*snapshot_, v4(kNodeV4), outside, kHost), owner_of_port);
    // A frontend's client: its question and what is forwarded back to it meet at one worker.
    const WorkerId asked = steered(eth().ipv4(client, kNodeV4).udp(port % 30'000, 30'500).bytes(), kHost, 0);
    EXPECT_EQ(owner_of_destination(*snapshot_, v4(client), port, snapshot_->routes.lookup(v4(client))), asked);
  }
}

}  // namespace
}  // namespace millrace::datapath
