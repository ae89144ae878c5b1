// What a person who watches is told: drops with their reason and whose policies said no, and packets of one port before
// and after translation, on every worker they pass.
#include "datapath/event_tap.h"

#include <gtest/gtest.h>

#include "policy/rule_set.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kClient = 1, kServer = 2, kHost = 3;

class Tap : public testing::Test {
 protected:
  void SetUp() override {
    describe_nat(world_);
    world_.add_pod(kClient, 3, 0);
    world_.add_pod(kServer, 4, 1);
    world_.add_host(kHost, 0);
    world_.services = {service_to("10.96.0.10", net::ip_protocol::kUdp, 53, {pod_v4(4)}, 5353)};
    world_.publish();
  }

  /// "worker: drop or out port, arrived > left".
  std::vector<std::string> read() {
    std::vector<std::string> lines;
    for (WorkerId worker = 0; worker < 2; ++worker) {
      std::array<PacketEvent, 64> events;
      const std::size_t count = world_.worker(worker).tap().read(events);
      for (std::size_t i = 0; i < count; ++i) lines.push_back(text(events[i]));
    }
    return lines;
  }
  static std::string text(const PacketEvent& event) {
    std::string line = fmt::format("{}: {} in {}", event.worker, net::drop_name(event.drop), event.in_port);
    if (event.out_port != net::kNoPort) line += fmt::format(" out {}", event.out_port);
    if (event.l3 != net::L3::kNone) line += fmt::format(" {}", ends_text(event.arrived));
    if (event.drop == Drop::kNone) line += fmt::format(" as {}", ends_text(event.left));
    return line;
  }
  static std::string ends_text(const PacketEnds& ends) {
    return fmt::format("{}:{}>{}:{}", ends.source.to_string(), ends.source_port, ends.destination.to_string(),
                       ends.destination_port);
  }
  void watch_drops(bool is_wanted) {
    for (WorkerId worker = 0; worker < 2; ++worker) world_.worker(worker).tap().watch_drops(is_wanted);
  }
  void watch_port(net::PortId port, bool is_wanted) {
    for (WorkerId worker = 0; worker < 2; ++worker) world_.worker(worker).tap().watch_port(port, is_wanted);
  }

  TestSwitch world_{SwitchShape{.workers = 2}};
  const Bytes question_ = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "10.96.0.10").udp(20000, 53).bytes();
  const Bytes stray_ = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "10.96.0.99").udp(20000, 53).bytes();
};

TEST_F(Tap, SaysNothingToNobody) {
  pass(world_, kClient, question_);
  pass(world_, kClient, stray_);
  EXPECT_TRUE(read().empty());
}

TEST_F(Tap, TellsDropsWhileSomebodyWatches) {
  watch_drops(true);
  pass(world_, kClient, question_);
  pass(world_, kClient, stray_);
  pass(world_, kClient, Bytes(10, 0));
  EXPECT_EQ(read(), (std::vector<std::string>{
                        "0: service_no_frontend in 1 10.244.0.3:20000>10.96.0.99:53",
                        "0: frame_too_short in 1",
                    }));
  watch_drops(false);
  pass(world_, kClient, stray_);
  EXPECT_TRUE(read().empty());
}

TEST_F(Tap, TellsWhosePoliciesSaidNo) {
  watch_drops(true);
  world_.spec(kServer).ingress = policy::RuleSet::build({}).value();
  world_.publish();
  pass(world_, kClient, question_);
  EXPECT_EQ(read(), std::vector<std::string>{"0: policy_ingress in 1 out 2 10.244.0.3:20000>10.96.0.10:53"});
  world_.spec(kServer).ingress = nullptr;
  world_.publish();
  pass(world_, kClient, question_);
  world_.spec(kClient).egress = policy::RuleSet::build({}).value();
  world_.publish();
  pass(world_, kClient, question_);  // of a flow that is there
  EXPECT_EQ(read(), std::vector<std::string>{"0: policy_egress in 1 out 1 10.244.0.3:20000>10.96.0.10:53"});
}

TEST_F(Tap, FollowsThePacketsOfAPortFromWorkerToWorker) {
  watch_port(kClient, true);
  pass(world_, kClient, question_);
  pass(world_, kHost, eth("02:00:00:00:00:ff", kGatewayMac).ipv4(kNodeV4, pod_v4(4)).udp(1, 2).bytes());
  EXPECT_EQ(read(), (std::vector<std::string>{
                        "0: none in 1 out 2 10.244.0.3:20000>10.96.0.10:53 as 10.244.0.3:20000>10.244.0.4:5353",
                        "1: none in 1 out 2 10.244.0.3:20000>10.244.0.4:5353 as 10.244.0.3:20000>10.244.0.4:5353",
                    }));
  watch_port(kClient, false);
  pass(world_, kClient, question_);
  EXPECT_TRUE(read().empty());
}

TEST_F(Tap, CountsWhatItLoses) {
  watch_drops(true);
  for (std::size_t i = 0; i < EventTap::kRingSize + 100; ++i) pass(world_, kClient, stray_);
  EXPECT_EQ(world_.worker(0).tap().lost(), 100u);
}

}  // namespace
}  // namespace millrace::datapath
