// Apply from several threads while workers forward: changes are serialised, answers are acknowledged, and the ports
// that nobody changes lose nothing.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/switch/test_policy.h"
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

/// A port of its own that awaits its policies, named with a policy of its own in a second request, and all of it gone.
void churn_policy(TestSwitch& sw, unsigned client, std::atomic<unsigned>& applied) {
  const std::string name = fmt::format("churn{}", client);
  api::PortSpec port = pod(name, {fmt::format("10.1.{}.1", client)});
  port.set_await_policy(true);
  for (unsigned round = 0; round < kRounds; ++round) {
    const auto added = sw.apply(upsert({port}));
    ASSERT_TRUE(added.ok()) << added.error().message;
    const auto pending = sw.state->port_policy(name);
    EXPECT_TRUE(pending.ok() && pending->awaits_policy());
    api::ApplyRequest named;
    *named.add_upsert_groups() = group(name, {client + 1, round + 100});
    *named.add_upsert_policies() = policy_of(name, {rule(round, {name}, {80})});
    *named.add_upsert_port_policies() = port_policy(name, {name});
    *named.add_upsert_endpoints() = endpoint("10.0.0.1", round + 100);  // others say so, too
    const auto in_force = sw.apply(named);
    ASSERT_TRUE(in_force.ok()) << in_force.error().message;
    const auto status = sw.state->port_policy(name);
    ASSERT_TRUE(status.ok() && !status->awaits_policy() && status->ingress().isolated());
    EXPECT_EQ(status->ingress().since_generation(), in_force->generation());
    EXPECT_EQ(status->ingress().policies(0).rules(0).index(), round);
    api::ApplyRequest gone = remove({name});
    gone.add_remove_policies(name);
    gone.add_remove_groups(name);
    const auto removed = sw.apply(gone);
    ASSERT_TRUE(removed.ok()) << removed.error().message;
    applied += 1;
  }
}

TEST(ApplyThreads, PoliciesOfManyPortsComeAndGoAndTheirCountersAreFreeAgain) {
  TestSwitch sw(
      {.worker_count = 2, .ack_timeout = std::chrono::seconds(20), .rule_limit = 4 * kClients, .threads = true});
  ASSERT_TRUE(sw.apply(upsert({pod("stay", {"10.0.0.1"})})).ok());
  std::atomic<unsigned> applied{0};
  {
    std::vector<std::jthread> clients;
    for (unsigned i = 0; i < kClients; ++i) clients.emplace_back([&, i] { churn_policy(sw, i, applied); });
    while (applied < kClients * kRounds && !testing::Test::HasFailure()) {
      static_cast<void>(sw.state->rule_counters());
      static_cast<void>(sw.state->port_policy("stay"));
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(applied, kClients * kRounds);
  EXPECT_EQ(sw.state->policy()->rule_count, 0u);
  EXPECT_TRUE(sw.state->policy()->rule_sets->empty());
  for (std::uint32_t first : {0u, 4 * kClients}) {  // as many rules as there may be, and as many others for them
    api::ApplyRequest all;
    *all.add_upsert_policies() = policy_of("all", {});
    for (std::uint32_t i = 0; i < 4 * kClients; ++i)
      *all.mutable_upsert_policies(0)->add_egress() = rule(first + i, {});
    const auto reply = sw.apply(all);
    EXPECT_TRUE(reply.ok()) << reply.error().message;
  }
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
