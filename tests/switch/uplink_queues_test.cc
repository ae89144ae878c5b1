// An uplink of several queues: one port to people, one for each queue to the workers.
#include <gtest/gtest.h>

#include <algorithm>

#include "control/switch/switch_state.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

constexpr unsigned kQueues = 5;

api::PortSpec uplink() {
  api::PortSpec port = pod("eth", {});
  port.set_kind(api::PORT_KIND_UPLINK);
  return port;
}

struct Queues : testing::Test {
  Queues() { sw.opener.queues["veth-eth"] = kQueues; }

  api::PortStatus status() const {
    const auto list = sw.state->list_ports();
    const auto found = std::find_if(list.ports().begin(), list.ports().end(),
                                    [](const api::PortStatus& port) { return port.spec().name() == "eth"; });
    return found == list.ports().end() ? api::PortStatus() : *found;
  }
  std::size_t polled(unsigned worker) const { return sw.publisher.current()->polled[worker].size(); }
  /// A frame shorter than its header, which is counted and dropped.
  void offer(std::size_t queue) {
    net::Packet* packet = sw.pool.allocate();
    ASSERT_NE(packet, nullptr);
    packet->head_bytes = packet->length_bytes = 5;
    ASSERT_EQ(sw.opener.device("veth-eth", queue)->offer({&packet, 1}), 1u);
  }

  TestSwitch sw;
};

TEST_F(Queues, QueueQBelongsToWorkerQModuloTheirNumber) {
  ASSERT_TRUE(sw.apply(upsert({pod("a", {"10.0.0.1"}), uplink()})).ok());
  const api::PortStatus port = status();
  EXPECT_EQ(std::vector<std::uint32_t>(port.workers().begin(), port.workers().end()),
            (std::vector<std::uint32_t>{0, 1, 0, 1, 0}));
  EXPECT_EQ(port.worker(), 0u);
  EXPECT_EQ(polled(0) + polled(1), kQueues + 1u);
  EXPECT_EQ(sw.state->port_count(), 2u) << "to people it is one";
  EXPECT_EQ(sw.opener.opened(), 2u);
  const auto names = sw.state->port_names();
  EXPECT_EQ(std::count(names.begin(), names.end(), "eth"), kQueues);
}

TEST_F(Queues, ItsCountersAreTheSumOfItsQueues) {
  ASSERT_TRUE(sw.apply(upsert({uplink()})).ok());
  for (std::size_t queue = 0; queue < kQueues; ++queue) offer(queue);
  sw.step();
  EXPECT_EQ(status().totals().rx_packets(), kQueues);
  std::uint64_t by_worker[2] = {};
  const api::GetCountersReply counters = sw.state->counters();
  for (const api::WorkerCounters& worker : counters.workers()) {
    ASSERT_EQ(worker.ports_size(), 1);
    by_worker[worker.worker()] = worker.ports(0).totals().rx_packets();
  }
  EXPECT_EQ(by_worker[0], 3u);
  EXPECT_EQ(by_worker[1], 2u);
  ASSERT_TRUE(sw.apply(remove({"eth"})).ok());
  EXPECT_EQ(sw.state->counters().removed_ports().rx_packets(), kQueues) << "nothing is lost when it goes";
  EXPECT_EQ(sw.opener.open_count(), 0u);
}

TEST_F(Queues, AnotherMtuKeepsEveryQueueAsItIs) {
  ASSERT_TRUE(sw.apply(upsert({uplink()})).ok());
  offer(4);
  sw.step();
  api::PortSpec smaller = uplink();
  smaller.set_mtu(1400);
  ASSERT_TRUE(sw.apply(upsert({smaller})).ok());
  EXPECT_EQ(sw.opener.opened(), 1u);
  EXPECT_EQ(status().totals().rx_packets(), 1u);
}

TEST_F(Queues, EachCountsTowardsThePortLimitAndItsIdComesBack) {
  std::vector<api::PortSpec> pods;
  for (const char* name : {"a", "b", "c", "d"}) pods.push_back(pod(name, {}));
  ASSERT_TRUE(sw.apply(upsert(pods)).ok());
  const auto refused = sw.apply(upsert({uplink()}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().message, "upsert_ports: 9 queues of 5 ports; portLimit of the switch is 8");
  EXPECT_EQ(sw.state->port_count(), 4u);
  EXPECT_EQ(sw.opener.open_count(), 4u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(sw.apply(remove({"a"})).ok());
    ASSERT_TRUE(sw.apply(upsert({uplink()})).ok());
    ASSERT_TRUE(sw.apply(remove({"eth"})).ok());
    ASSERT_TRUE(sw.apply(upsert({pod("a", {})})).ok());
  }
}

TEST_F(Queues, AnotherInterfaceMayHaveFewer) {
  ASSERT_TRUE(sw.apply(upsert({uplink()})).ok());
  api::PortSpec other = uplink();
  other.set_interface("eth1");
  ASSERT_TRUE(sw.apply(upsert({other})).ok());
  EXPECT_EQ(status().workers_size(), 1);
  EXPECT_EQ(polled(0) + polled(1), 1u);
  EXPECT_EQ(sw.opener.open_count(), 1u);
  ASSERT_TRUE(sw.apply(upsert({uplink()})).ok());
  EXPECT_EQ(polled(0) + polled(1), kQueues);
}

}  // namespace
}  // namespace millrace::control::switchd
