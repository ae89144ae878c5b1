// Apply from several threads while workers forward: changes are serialised, answers are acknowledged, and the ports
// that nobody changes lose nothing.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

constexpr unsigned kClients = 3;
constexpr unsigned kRounds = 40;

/// Adds and removes a port of its own, and checks each answer as it comes.
void churn(TestSwitch& sw, unsigned client, std::atomic<unsigned>& applied) {
  const std::string name = fmt::format("churn{}", client);
  std::uint64_t last = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    const auto added = sw.apply(upsert({pod(name, {fmt::format("10.1.{}.1", client)})}));
    ASSERT_TRUE(added.ok()) << added.error().message;
    EXPECT_GT(added->generation(), last);
    EXPECT_TRUE(sw.publisher.seen_by_all(added->generation()));
    const auto removed = sw.apply(remove({name}));
    ASSERT_TRUE(removed.ok()) << removed.error().message;
    EXPECT_GT(removed->generation(), added->generation());
    last = removed->generation();
    applied += 2;
  }
}

TEST(ApplyThreads, PortsThatStayLoseNothing) {
  TestSwitch sw({.worker_count = 2, .ack_timeout = std::chrono::seconds(20), .threads = true});
  ASSERT_TRUE(sw.apply(upsert({pod("stay", {"10.0.0.1"})})).ok());
  std::atomic<unsigned> applied{0};
  std::uint64_t offered = 0;
  {
    std::vector<std::jthread> clients;
    for (unsigned i = 0; i < kClients; ++i) clients.emplace_back([&, i] { churn(sw, i, applied); });
    datapath::MemoryPort* far_end = sw.opener.device("veth-stay");
    while (applied < 2 * kClients * kRounds && !testing::Test::HasFailure()) {
      net::Packet* packet = sw.pool.allocate();
      if (packet == nullptr) {
        std::this_thread::yield();
        continue;
      }
      packet->head_bytes = packet->length_bytes = 5;  // dropped by name: the count of drops is the count of packets
      if (far_end->offer({&packet, 1}) == 1) {
        ++offered;
      } else {
        sw.pool.release({&packet, 1});
      }
      static_cast<void>(sw.state->list_ports());
    }
  }
  // What still waits in the device when its port is removed goes with it: so wait until every packet is back.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (sw.pool.free_count() < sw.pool.size() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(sw.pool.free_count(), sw.pool.size());
  ASSERT_TRUE(sw.state->close().ok());
  const api::GetCountersReply counters = sw.state->counters();
  EXPECT_GT(offered, 0u);
  EXPECT_EQ(counters.removed_ports().rx_packets(), offered);
  EXPECT_EQ(counters.removed_ports().drops().at("frame_too_short"), offered);
  EXPECT_EQ(sw.opener.open_count(), 0u);
}

TEST(ApplyThreads, TwoRequestsThatExcludeEachOtherDoNotBothSucceed) {
  TestSwitch sw({.port_limit = 1, .ack_timeout = std::chrono::seconds(20), .threads = true});
  for (unsigned round = 0; round < kRounds; ++round) {
    std::atomic<unsigned> succeeded{0};
    {
      std::vector<std::jthread> clients;
      for (unsigned i = 0; i < kClients; ++i) {
        clients.emplace_back([&, i] { succeeded += sw.apply(upsert({pod(fmt::format("p{}", i), {})})).ok() ? 1 : 0; });
      }
    }
    EXPECT_EQ(succeeded, 1u);
    EXPECT_EQ(sw.state->port_count(), 1u);
    ASSERT_TRUE(sw.apply(replace({})).ok());
  }
}

}  // namespace
}  // namespace millrace::control::switchd
