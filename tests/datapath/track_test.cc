// Flows of several workers, step by step: what crosses between them, and what is left behind when a pod moves.
#include "datapath/track.h"

#include <gtest/gtest.h>

#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

class Track : public testing::Test {
 protected:
  /// The client on worker 0, the server on worker 1, the host on worker 2.
  void SetUp() override {
    describe_nat(world_);
    world_.add_pod(kClient, 3, 0).masquerade = true;
    world_.add_pod(kServer, 4, 1).masquerade = true;
    world_.add_host(kHost, 2);
    world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353)};
    world_.publish();
  }
  void TearDown() override { world_.check_law(); }

  void move_client() {
    world_.remove(kClient);
    world_.add_pod(kMoved, 3, 2).masquerade = true;
    world_.publish();
  }

  static constexpr net::PortId kClient = 1, kServer = 2, kHost = 3, kMoved = 4;
  TestSwitch world_{SwitchShape{.workers = 3, .masquerade_ports = {40'000, 3}}};
  const Bytes question_ = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "10.96.0.10").udp(40000, 53).bytes();
  const Bytes answer_ = eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), pod_v4(3)).udp(5353, 40000).bytes();
};

// A reply that its worker has translated back arrives where the pod is now; a flow of it would let the pod's next
// question follow it the other way, past the service.
TEST_F(Track, AReplyToAPodThatMovedMakesNoFlow) {
  EXPECT_EQ(pass(world_, kClient, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  ASSERT_TRUE(world_.send(kServer, answer_));
  world_.step(1);  // on its way to worker 0
  move_client();
  world_.step(0);  // translated, on its way to worker 2
  world_.step(2);
  ASSERT_EQ(world_.receive(kMoved).size(), 1u);
  EXPECT_EQ(world_.counters(2).flows.created.get(), 0u);
  EXPECT_EQ(pass(world_, kMoved, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  EXPECT_EQ(pass(world_, kServer, answer_), "4: udp 10.96.0.10:53 > 10.244.0.3:40000");
}

// The answer goes straight to where the pod is now, untranslated: it must not stand in the next question's way.
TEST_F(Track, AReplyWithoutItsFlowDoesNotChangeTheNextQuestion) {
  EXPECT_EQ(pass(world_, kClient, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
  move_client();
  EXPECT_EQ(pass(world_, kServer, answer_), "4: udp 10.244.0.4:5353 > 10.244.0.3:40000");
  EXPECT_EQ(pass(world_, kMoved, question_), "2: udp 10.244.0.3:40000 > 10.244.0.4:5353");
}

// A reply to a masquerade port whose flow is over reaches nobody, whoever has the port by then.
TEST_F(Track, AReplyToAPortThatWasGivenBackIsDropped) {
  world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353, true)};
  world_.publish();
  std::uint16_t port = 0;
  const std::string there = pass(world_, kClient, question_, &port);
  EXPECT_EQ(there, fmt::format("2: udp 192.0.2.1:{} > 10.244.0.4:5353", port));
  world_.now_ns += 60'000'000'000;  // longer than a question to port 53 lives, not so long as one to port 5353
  for (int turn = 0; turn < 4; ++turn, world_.now_ns += 4'000'000'000) world_.step(0);
  ASSERT_FALSE(world_.step(0).has_flows);
  const Bytes other = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "198.51.100.1").udp(40001, 53).bytes();
  ASSERT_EQ(pass(world_, kClient, other), fmt::format("3: udp 192.0.2.1:{} > 198.51.100.1:53", port));
  const Bytes late = eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), kNodeV4).udp(5353, port).bytes();
  EXPECT_EQ(pass(world_, kServer, late), "dropped");
  EXPECT_EQ(world_.drop_text(), "no_flow=1");
}

}  // namespace
}  // namespace millrace::datapath
