// Ten thousand rules, five thousand identities in one group and fifty thousand endpoints over the socket, and one
// change among them.
#include <fmt/core.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "tests/switch/switch_server.h"
#include "tests/switch/test_policy.h"

namespace millrace::control::switchd {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr std::uint32_t kRules = 10'000;
constexpr std::uint32_t kPoliciesOfC = 100;  // these have the rules, in equal parts
constexpr std::uint32_t kIdentities = 5'000;
constexpr std::uint32_t kEndpoints = 50'000;
/// Of this process: other work on the machine is not counted, the client's part is.
constexpr double kLoadSeconds = 5;
constexpr double kChangeSeconds = 0.05;

double process_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string endpoint_text(std::uint32_t i) {
  return fmt::format("10.{}.{}.{}", 64 + (i >> 16), (i >> 8) & 0xff, i & 0xff);
}

api::PeerGroup everybody(std::uint32_t identities) {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t i = 1; i <= identities; ++i) numbers.push_back(i);
  return group("everybody", numbers);
}

/// Rule 0 names everybody, each other rule a group of its own with one identity.
api::ApplyRequest large() {
  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"}), pod("c", {"10.0.0.3"})});
  request.set_replace_all(true);
  *request.add_upsert_groups() = everybody(kIdentities);
  api::PortPolicy of_c = port_policy("c", {});
  for (std::uint32_t i = 0; i < kPoliciesOfC; ++i) {
    api::Policy policy = policy_of(fmt::format("policy {}", i), {});
    for (std::uint32_t j = 0; j < kRules / kPoliciesOfC; ++j) {
      const std::uint32_t number = i * (kRules / kPoliciesOfC) + j;
      const std::string name = number == 0 ? "everybody" : fmt::format("group {}", number);
      if (number != 0) *request.add_upsert_groups() = group(name, {number % kIdentities + 1});
      *policy.add_ingress() = rule(j, {name}, {1000 + number % 1000});
    }
    of_c.add_ingress(policy.name());
    *request.add_upsert_policies() = policy;
  }
  *request.add_upsert_port_policies() = of_c;
  for (std::uint32_t i = 0; i < kEndpoints; ++i) {
    *request.add_upsert_endpoints() = endpoint(endpoint_text(i), i % kIdentities + 1);
  }
  *request.add_upsert_endpoints() = endpoint("10.0.0.1", kIdentities + 1);
  return request;
}

class PolicyScale : public ServiceTest {
 protected:
  /// The library stays initialised: its end waits for the poller that a large write leaves behind, up to 10 s.
  static void SetUpTestSuite() { grpc_init(); }
  PolicyScale() : ServiceTest({.ack_timeout = std::chrono::milliseconds(5000), .rule_limit = kRules}) {}

  /// Sends it; prints and returns what it cost.
  double cost(const char* what, const api::ApplyRequest& request) {
    api::ApplyReply reply;
    const double cpu_begin = process_seconds();
    const auto begin = steady_clock::now();
    const grpc::Status status = apply(request, &reply);
    const double seconds = duration<double>(steady_clock::now() - begin).count();
    const double cpu_seconds = process_seconds() - cpu_begin;
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::printf("%-24s %8.1f ms, of it on a CPU %8.1f ms\n", what, seconds * 1e3, cpu_seconds * 1e3);
    return cpu_seconds;
  }
};

TEST_F(PolicyScale, AllInFiveSecondsAndOneChangeInFiftyMilliseconds) {
  api::ApplyRequest all = large();
  std::printf("%-24s %8zu bytes\n", "request", all.ByteSizeLong());
  EXPECT_LT(cost("all of it", all), kLoadSeconds);
  EXPECT_EQ(sw_.state->policy()->rule_count, kRules);
  EXPECT_EQ(verdict(sw_, "a", "c", 1000), "policy_ingress") << "its identity is in no group";

  api::ApplyRequest one;
  *one.add_upsert_groups() = everybody(kIdentities + 1);
  EXPECT_LT(cost("a group of 5000", one), kChangeSeconds);
  EXPECT_EQ(verdict(sw_, "a", "c", 1000), "");

  api::ApplyRequest address;
  *address.add_upsert_endpoints() = endpoint("10.0.0.1", kIdentities + 2);
  EXPECT_LT(cost("an endpoint", address), kChangeSeconds);
  EXPECT_EQ(verdict(sw_, "a", "c", 1000), "policy_ingress");

  api::ApplyRequest policy;
  *policy.add_upsert_policies() = policy_of("policy 7", {rule(0, {}, {7})});
  EXPECT_LT(cost("a policy", policy), kChangeSeconds);
  EXPECT_EQ(verdict(sw_, "a", "c", 7), "");

  EXPECT_LT(cost("a port", upsert({pod("d", {"10.0.0.4"})})), kChangeSeconds);
  EXPECT_LT(cost("all of it again", all), kLoadSeconds);
  const std::uint64_t generation = sw_.state->generation();
  EXPECT_LT(cost("and the same", all), kLoadSeconds);
  EXPECT_EQ(sw_.state->generation(), generation) << "nothing changed";
}

TEST_F(PolicyScale, WhatIsInForceIsToldOverTheSocket) {
  api::ApplyRequest request = upsert({pod("c", {"10.0.0.3"})});
  *request.add_upsert_groups() = group("two and three", {2, 3});
  *request.add_upsert_policies() =
      policy_of("p", {rule(4, {"two and three"}, {80}), block_rule(5, "10.0.0.0/8", {"10.1.0.0/16"})});
  *request.add_upsert_port_policies() = port_policy("c", {"p"});
  api::ApplyReply reply;
  ASSERT_TRUE(apply(request, &reply).ok());
  sw_.access.counters[1]->rule(rules_in_force(sw_, "c")->counter_of(1)).add(6);

  api::GetPolicyRequest asked;
  asked.set_port("c");
  api::PortPolicyStatus status;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->GetPolicy(&context, asked, &status).ok());
  }
  EXPECT_EQ(status.generation(), 2u);
  EXPECT_FALSE(status.awaits_policy());
  EXPECT_FALSE(status.egress().isolated());
  EXPECT_EQ(status.egress().policies_size(), 0);
  EXPECT_TRUE(status.ingress().isolated());
  EXPECT_EQ(status.ingress().since_generation(), 2u);
  ASSERT_EQ(status.ingress().policies_size(), 1);
  const api::PolicyStatus& policy = status.ingress().policies(0);
  EXPECT_EQ(policy.object(), "ns/p");
  ASSERT_EQ(policy.rules_size(), 2);
  EXPECT_EQ(policy.rules(0).groups(0).name(), "two and three");
  EXPECT_EQ(policy.rules(0).groups(0).identity_count(), 2u);
  EXPECT_EQ(policy.rules(0).ports(0).first(), 80u);
  EXPECT_EQ(policy.rules(0).flows(), 0u);
  EXPECT_EQ(policy.rules(1).index(), 5u);
  EXPECT_EQ(policy.rules(1).blocks(0).SerializeAsString(),
            request.upsert_policies(0).ingress(1).blocks(0).SerializeAsString());
  EXPECT_EQ(policy.rules(1).flows(), 6u);

  api::ListRuleCountersReply counters;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->ListRuleCounters(&context, {}, &counters).ok());
  }
  ASSERT_EQ(counters.rules_size(), 2);
  EXPECT_EQ(counters.rules(1).index(), 5u);
  EXPECT_EQ(counters.rules(1).flows(), 6u);

  asked.set_port("never");
  grpc::ClientContext context;
  const grpc::Status missing = stub_->GetPolicy(&context, asked, &status);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(missing.error_message(), "port: there is no port \"never\"");
}

TEST_F(PolicyScale, TablesSayHowFullTheyAre) {
  api::ApplyRequest request = upsert({pod("c", {"10.0.0.3"})});
  *request.add_upsert_groups() = group("one", {1});
  *request.add_upsert_groups() = group("two", {2});
  *request.add_upsert_policies() = policy_of("p", {rule(0, {"one"}), rule(1, {"two"})}, {rule(0, {})});
  *request.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
  api::ApplyReply reply;
  ASSERT_TRUE(apply(request, &reply).ok());
  grpc::ClientContext context;
  api::SwitchStatus status;
  ASSERT_TRUE(stub_->GetStatus(&context, {}, &status).ok());
  std::map<std::string, std::string> rows;
  for (const api::TableStatus& table : status.tables()) {
    if (table.name().starts_with("polic")) rows[table.name()] = fmt::format("{}/{}", table.used(), table.limit());
  }
  const std::map<std::string, std::string> expected = {{"policies", "1/65536"},
                                                       {"policy_endpoints", "1/1000000"},
                                                       {"policy_groups", "2/262144"},
                                                       {"policy_rules", "3/10000"}};
  EXPECT_EQ(rows, expected);
}

}  // namespace
}  // namespace millrace::control::switchd
