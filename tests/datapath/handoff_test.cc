// From worker to worker: packets arrive, are counted when they cannot, and never reach a port that was not meant.
#include "datapath/handoff.h"

#include <gtest/gtest.h>

#include "datapath/steer.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPodA = 1, kPodB = 2;

/// Pod 3 on worker 0, pod 4 on worker 1.
class Handoff2 : public testing::Test {
 protected:
  void SetUp() override {
    world_.add_pod(kPodA, 3, 0);
    world_.add_pod(kPodB, 4, 1);
    world_.publish();
  }
  void TearDown() override {
    world_.check_law();
    world_.reclaim();
    EXPECT_EQ(world_.pool().free_count() + world_.rings().size(), world_.pool().size()) << "packets were lost";
  }
  bool send() {
    return world_.send(kPodA, eth(pod_mac(3), kGatewayMac).ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes());
  }
  TestSwitch world_{{.workers = 2, .packets = 4096, .ring_size = 2048}};
};

TEST_F(Handoff2, CrossesToTheOwnerOfTheOutPort) {
  ASSERT_TRUE(send());
  EXPECT_EQ(world_.step(0).received, 1u);
  EXPECT_EQ(world_.rings().size(), 1u);
  EXPECT_EQ(world_.wakes[1], 1u);
  EXPECT_EQ(world_.wakes[0], 0u);
  world_.check_law();
  EXPECT_EQ(world_.step(1).received, 1u);
  const auto frames = world_.receive(kPodB);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(describe(frames[0]),
            describe(eth(kGatewayMac, pod_mac(4)).ipv4("10.244.0.3", "10.244.0.4").ttl(63).udp(1, 2).bytes()));
  EXPECT_EQ(world_.counters(0).port(kPodA).rx_packets.get(), 1u);
  EXPECT_EQ(world_.counters(1).port(kPodB).tx_packets.get(), 1u);
}

TEST_F(Handoff2, WakesTheConsumerOnceATurn) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(send());
  EXPECT_TRUE(world_.step(0).pending) << "a full burst: more may wait";
  EXPECT_EQ(world_.wakes[1], 1u);
  world_.run();
  EXPECT_EQ(world_.receive(kPodB).size(), 300u);
}

TEST_F(Handoff2, FullRingIsACountedDrop) {
  for (unsigned i = 0; i < kHandoffRingSize + 100; ++i) ASSERT_TRUE(send());
  for (unsigned i = 0; i < kHandoffRingSize + 100; i += kBurst) world_.step(0);
  EXPECT_EQ(world_.drop_text(), "handoff_ring_full=100");
  EXPECT_EQ(world_.counters(0).port(kPodA).drops[static_cast<std::size_t>(Drop::kHandoffRingFull)].get(), 100u);
  world_.check_law();
  const WorkerStep step = world_.step(1);
  EXPECT_TRUE(step.pending) << "a turn takes a bounded number from a ring";
  world_.run();
  EXPECT_EQ(world_.receive(kPodB).size(), kHandoffRingSize);
}

TEST_F(Handoff2, PacketForAPortThatIsGoneIsCounted) {
  ASSERT_TRUE(send());
  world_.step(0);
  world_.remove(kPodB);
  world_.publish();
  world_.step(1);
  EXPECT_EQ(world_.drop_text(), "port_gone=1");
  EXPECT_EQ(world_.counters(1).port(kPodA).drops[static_cast<std::size_t>(Drop::kPortGone)].get(), 1u);
}

TEST_F(Handoff2, PacketNeverReachesALaterPortOfTheSameId) {
  ASSERT_TRUE(send());
  world_.step(0);
  world_.remove(kPodB);
  world_.add_pod(kPodB, 9, 1);
  world_.publish();
  world_.step(1);
  EXPECT_EQ(world_.drop_text(), "port_gone=1");
  EXPECT_TRUE(world_.receive(kPodB).empty());
}

TEST_F(Handoff2, PacketOfAPortThatStayedPassesAChangeOfGeneration) {
  ASSERT_TRUE(send());
  world_.step(0);
  world_.add_pod(5, 9, 0);
  world_.publish();
  world_.step(1);
  EXPECT_EQ(world_.receive(kPodB).size(), 1u);
}

// The row of a removed in port may have been read and reset by then: its drops go to the row of ports that are gone.
TEST_F(Handoff2, DropOfAPacketWhoseInPortIsGoneIsCountedApart) {
  ASSERT_TRUE(send());
  world_.step(0);
  world_.remove(kPodA);
  world_.add_pod(kPodA, 8, 0);
  world_.remove(kPodB);
  world_.publish();
  world_.step(1);
  EXPECT_EQ(world_.counters(1).gone_ports().drops[static_cast<std::size_t>(Drop::kPortGone)].get(), 1u);
  EXPECT_EQ(world_.counters(1).port(kPodA).drops[static_cast<std::size_t>(Drop::kPortGone)].get(), 0u);
}

// A producer that is a generation ahead names ports its consumer does not know yet: they wait until it does. The
// consumer here has a publisher of its own, so that it stays behind for as long as the test wants.
TEST_F(Handoff2, ConsumerLeavesPacketsOfALaterGenerationInTheRing) {
  Publisher behind(2);
  behind.publish(world_.build(1));
  Worker consumer(1, FlowSettings{.limit = 1024}, behind, world_.pool(), world_.rings(), world_.counters(1));
  consumer.step(0);

  world_.add_pod(6, 7, 1);
  world_.publish();
  ASSERT_TRUE(send());
  ASSERT_TRUE(world_.send(kPodA, eth(pod_mac(3), kGatewayMac).ipv4("10.244.0.3", "10.244.0.7").udp(1, 2).bytes()));
  world_.step(0);
  const WorkerStep waits = consumer.step(0);
  EXPECT_EQ(waits.received, 0u);
  EXPECT_TRUE(waits.pending);
  EXPECT_EQ(world_.rings().size(), 2u);
  EXPECT_EQ(world_.drop_text(), "");

  behind.publish(world_.build(2));
  EXPECT_EQ(consumer.step(0).received, 2u);
  EXPECT_EQ(world_.receive(6).size(), 1u);
  EXPECT_EQ(world_.receive(kPodB).size(), 1u);
}

TEST_F(Handoff2, OwnerIsTheWorkerOfTheOutPort) {
  EXPECT_EQ(owner(*world_.publisher().current(), kPodA), 0);
  EXPECT_EQ(owner(*world_.publisher().current(), kPodB), 1);
}

TEST(Worker, DoesNothingBeforeTheFirstSnapshot) {
  TestSwitch world;
  EXPECT_EQ(world.step(0).received, 0u);
  EXPECT_EQ(world.worker(0).snapshot(), nullptr);
  world.add_pod(1, 3);
  world.publish();
  EXPECT_FALSE(world.publisher().seen_by_all(1));
  world.step(0);
  EXPECT_TRUE(world.publisher().seen_by_all(1));
  EXPECT_EQ(world.worker(0).snapshot()->generation, 1u);
  EXPECT_EQ(world.worker(0).id(), 0);
  EXPECT_EQ(world.counters(0).loops.get(), 1u);
  EXPECT_EQ(world.counters(0).busy_loops.get(), 0u);
}

}  // namespace
}  // namespace millrace::datapath
