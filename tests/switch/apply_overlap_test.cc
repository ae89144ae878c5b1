// Apply requests that overlap in time: while the device of one is being opened, another comes.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "control/switch/parallel.h"
#include "tests/switch/test_policy.h"
#include "tests/switch/test_switch.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;
using Reply = net::Result<api::ApplyReply>;

constexpr TestSwitchOptions kThreads = {.port_limit = 64, .ack_timeout = std::chrono::seconds(20), .threads = true};

std::future<Reply> begin(TestSwitch& sw, const api::ApplyRequest& request) {
  return std::async(std::launch::async, [&sw, request] { return sw.apply(request); });
}

/// Until so many requests have come to where they run or wait for another.
void wait_until_running(const TestSwitch& sw, std::size_t count) {
  while (sw.state->running_applies() < count) std::this_thread::yield();
}

/// A switch with an Apply of pod "a" in the middle of opening veth-a.
struct OpeningA {
  OpeningA() {
    sw.opener.hold();
    for (const char* name : {"b", "c"}) sw.opener.let_go(std::string("veth-") + name);
    first = begin(sw, upsert({pod("a", {"10.0.0.1"})}));
    sw.opener.wait_until_held(1);
  }
  Reply finish() {
    sw.opener.let_go("veth-a");
    return first.get();
  }
  TestSwitch sw{kThreads};
  std::future<Reply> first;
};

TEST(ApplyOverlap, AnotherPortIsInForceWhileOneIsBeingOpened) {
  OpeningA opening;
  const Reply other = opening.sw.apply(upsert({pod("b", {"10.0.0.2"})}));
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->generation(), 2u);
  const Reply first = opening.finish();
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->generation(), 3u);
  EXPECT_EQ(opening.sw.state->port_count(), 2u);
}

TEST(ApplyOverlap, TheSameNameTwiceIsDoneInTheOrderItCame) {
  OpeningA opening;
  auto second = begin(opening.sw, upsert({pod("a", {"10.0.0.77"})}));
  wait_until_running(opening.sw, 2);
  const Reply one = opening.finish();
  const Reply two = second.get();
  ASSERT_TRUE(one.ok()) << one.error().message;
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_EQ(one->generation(), 2u);
  EXPECT_EQ(two->generation(), 3u);
  EXPECT_EQ(opening.sw.opener.opened(), 1u) << "the second takes over the device of the first";
  EXPECT_EQ(opening.sw.state->list_ports().ports(0).spec().addresses(0), bytes_of("10.0.0.77"));
}

TEST(ApplyOverlap, PortsOfRequestsAboutPolicyAreOpenedAtOnceAndInForceInTurn) {
  TestSwitch sw(kThreads);
  sw.opener.hold();
  std::vector<std::future<Reply>> all;
  for (unsigned i = 0; i < 4; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    api::ApplyRequest request = upsert({pod(name, {fmt::format("10.0.0.{}", i + 1)})});
    // Each makes the next state of the one before: a policy, and the ports' so far.
    *request.add_upsert_policies() = policy_of(name, {rule(0, {}, {80})});
    *request.add_upsert_port_policies() = port_policy(name, {name});
    all.push_back(begin(sw, request));
    sw.opener.wait_until_held(i + 1);
  }
  for (const char* name : {"d", "c", "b", "a"}) sw.opener.let_go(std::string("veth-").append(name));
  std::uint64_t generation = 1;
  for (std::future<Reply>& one : all) {
    const Reply reply = one.get();
    ASSERT_TRUE(reply.ok()) << reply.error().message;
    EXPECT_EQ(reply->generation(), ++generation) << "in the order in which they came";
  }
  for (const char* from : {"a", "b", "c"}) {
    EXPECT_EQ(verdict(sw, from, "d", 80), "");
    EXPECT_EQ(verdict(sw, from, "d", 81), "policy_ingress");
    EXPECT_EQ(verdict(sw, "d", from, 81), "policy_ingress");
  }
}

TEST(ApplyOverlap, ThePoliciesOfAPortThatIsBeingOpenedComeAfterIt) {
  OpeningA opening;
  api::ApplyRequest later;
  *later.add_upsert_policies() = policy_of("p", {});
  *later.add_upsert_port_policies() = port_policy("a", {"p"});
  auto second = begin(opening.sw, later);
  wait_until_running(opening.sw, 2);
  ASSERT_TRUE(opening.sw.apply(upsert({pod("b", {"10.0.0.2"})})).ok()) << "another port waits for neither";
  ASSERT_TRUE(opening.finish().ok());
  const Reply two = second.get();
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_EQ(verdict(opening.sw, "b", "a", 80), "policy_ingress");
}

TEST(ApplyOverlap, RemovingAPortThatIsBeingOpenedRemovesIt) {
  OpeningA opening;
  auto removal = begin(opening.sw, remove({"a"}));
  wait_until_running(opening.sw, 2);
  const Reply added = opening.finish();
  const Reply removed = removal.get();
  ASSERT_TRUE(added.ok() && removed.ok());
  EXPECT_EQ(removed->generation(), added->generation() + 1);
  EXPECT_EQ(opening.sw.state->port_count(), 0u);
  EXPECT_EQ(opening.sw.opener.open_count(), 0u);
}

TEST(ApplyOverlap, AFailureLeavesTheOthersInForce) {
  OpeningA opening;
  opening.sw.opener.missing = {"veth-a"};
  ASSERT_TRUE(opening.sw.apply(upsert({pod("b", {"10.0.0.2"})})).ok());
  const Reply first = opening.finish();
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(opening.sw.apply(upsert({pod("c", {"10.0.0.1"})})).ok()) << "its address was never taken";
  EXPECT_EQ(opening.sw.state->port_count(), 2u);
  EXPECT_EQ(opening.sw.opener.open_count(), 2u);
}

TEST(ApplyOverlap, WhatAnotherTookMeanwhileIsRefusedAndClosed) {
  OpeningA opening;
  ASSERT_TRUE(opening.sw.apply(upsert({pod("b", {"10.0.0.1"})})).ok());
  const Reply first = opening.finish();
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(first.error().message, "upsert_ports[0].addresses[0]: 10.0.0.1/32 is also that of port \"b\"");
  EXPECT_EQ(opening.sw.opener.opened(), 2u);
  EXPECT_EQ(opening.sw.opener.open_count(), 1u);
  EXPECT_EQ(opening.sw.state->generation(), 2u);
}

TEST(ApplyOverlap, TheSameInterfaceUnderTwoNamesIsOpenedOnce) {
  OpeningA opening;
  api::PortSpec other = pod("b", {"10.0.0.2"});
  other.set_interface("veth-a");
  auto second = begin(opening.sw, upsert({other}));
  wait_until_running(opening.sw, 2);
  ASSERT_TRUE(opening.finish().ok());
  const Reply refused = second.get();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "upsert_ports[0].interface: \"veth-a\" is also that of port \"a\"");
  EXPECT_EQ(opening.sw.opener.opened(), 1u);
}

TEST(ApplyOverlap, AReplaceOfEverythingWaitsAndThenReplacesThatToo) {
  OpeningA opening;
  auto all = begin(opening.sw, replace({pod("b", {"10.0.0.1"})}));
  wait_until_running(opening.sw, 2);
  ASSERT_TRUE(opening.finish().ok());
  const Reply replaced = all.get();
  ASSERT_TRUE(replaced.ok()) << replaced.error().message;
  EXPECT_EQ(opening.sw.state->port_count(), 1u);
  EXPECT_EQ(opening.sw.state->list_ports().ports(0).spec().name(), "b");
}

TEST(ApplyOverlap, ASwitchThatStopsTakesNoPortThatIsBeingOpened) {
  OpeningA opening;
  auto closed = std::async(std::launch::async, [&] { return opening.sw.state->close(); });
  wait_until_running(opening.sw, 2);
  const Reply first = opening.finish();
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().message, "the switch is shutting down");
  EXPECT_TRUE(closed.get().ok());
  EXPECT_EQ(opening.sw.opener.open_count(), 0u);
}

TEST(ApplyOverlap, ARequestWithManyPortsOpensSeveralAtOnceAndBounded) {
  TestSwitch sw(kThreads);
  std::vector<api::PortSpec> ports;
  for (std::size_t i = 0; i < 2 * kMaxDeviceThreads; ++i) {
    ports.push_back(pod(fmt::format("p{}", i), {fmt::format("10.0.1.{}", i)}));
  }
  sw.opener.hold();
  sw.opener.missing = {"veth-p5"};
  auto all = begin(sw, replace(ports));
  sw.opener.wait_until_held(kMaxDeviceThreads);
  EXPECT_EQ(sw.opener.held(), kMaxDeviceThreads);
  for (const api::PortSpec& port : ports) sw.opener.let_go(port.interface());
  const Reply reply = all.get();
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->generation(), 2u) << "one generation for all of them";
  ASSERT_EQ(reply->failures_size(), 1);
  EXPECT_EQ(reply->failures(0).message(), "upsert_ports[5].interface: no interface veth-p5");
  EXPECT_EQ(sw.state->port_count(), ports.size() - 1);
  ASSERT_TRUE(sw.state->close().ok());
  EXPECT_EQ(sw.opener.open_count(), 0u);
}

}  // namespace
}  // namespace millrace::control::switchd
