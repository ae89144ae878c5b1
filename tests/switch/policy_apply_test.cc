// Policy in an Apply: what ports let through after it, what is refused with which words, and what stays as it was.
#include <gtest/gtest.h>

#include <utility>

#include "tests/switch/test_policy.h"

namespace millrace::control::switchd {
namespace {

using net::ErrorCode;

void expect_ok(const net::Result<api::ApplyReply>& reply, std::uint64_t generation) {
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->generation(), generation);
  EXPECT_EQ(reply->policy_failures_size(), 0) << reply->DebugString();
}

/// Pods a, b and c with the identities 1, 2 and 3; groups "only-a" and "a-and-b".
api::ApplyRequest three_pods() {
  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"}), pod("c", {"10.0.0.3"})});
  *request.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
  *request.add_upsert_endpoints() = endpoint("10.0.0.2", 2);
  *request.add_upsert_endpoints() = endpoint("10.0.0.3", 3);
  *request.add_upsert_groups() = group("only-a", {1});
  *request.add_upsert_groups() = group("a-and-b", {1, 2});
  return request;
}

struct Case {
  const char* name;
  std::vector<api::Policy> policies;
  api::PortPolicy of_c;
  const char* a_to_c_80;
  const char* b_to_c_80;
  const char* a_to_c_81;
  const char* c_to_a_80;
};

const std::vector<Case> kCases = {
    {"no policy names the port", {policy_of("p", {})}, port_policy("c", {}), "", "", "", ""},
    {"a policy without rules",
     {policy_of("p", {})},
     port_policy("c", {"p"}),
     "policy_ingress",
     "policy_ingress",
     "policy_ingress",
     ""},
    {"a group", {policy_of("p", {rule(0, {"only-a"})})}, port_policy("c", {"p"}), "", "policy_ingress", "", ""},
    {"a group at a port",
     {policy_of("p", {rule(0, {"a-and-b"}, {80})})},
     port_policy("c", {"p"}),
     "",
     "",
     "policy_ingress",
     ""},
    {"two policies are one or the other",
     {policy_of("p", {rule(0, {"only-a"}, {80})}), policy_of("q", {rule(0, {"a-and-b"}, {81})})},
     port_policy("c", {"p", "q"}),
     "",
     "policy_ingress",
     "",
     ""},
    {"a block with a hole",
     {policy_of("p", {block_rule(0, "10.0.0.0/30", {"10.0.0.2/32"})})},
     port_policy("c", {"p"}),
     "",
     "policy_ingress",
     "",
     ""},
    {"egress",
     {policy_of("p", {}, {rule(0, {"only-a"}, {81})})},
     port_policy("c", {}, {"p"}),
     "",
     "",
     "",
     "policy_egress"},
    {"both directions of one policy",
     {policy_of("p", {rule(0, {"only-a"})}, {rule(0, {"only-a"}, {80})})},
     port_policy("c", {"p"}, {"p"}),
     "",
     "policy_ingress",
     "",
     ""},
};

TEST(PolicyApply, PortsLetThroughWhatTheirPoliciesAllow) {
  for (const Case& row : kCases) {
    SCOPED_TRACE(row.name);
    TestSwitch sw;
    api::ApplyRequest request = three_pods();
    for (const api::Policy& policy : row.policies) *request.add_upsert_policies() = policy;
    *request.add_upsert_port_policies() = row.of_c;
    expect_ok(sw.apply(request), 2);
    EXPECT_EQ(verdict(sw, "a", "c", 80), row.a_to_c_80);
    EXPECT_EQ(verdict(sw, "b", "c", 80), row.b_to_c_80);
    EXPECT_EQ(verdict(sw, "a", "c", 81), row.a_to_c_81);
    EXPECT_EQ(verdict(sw, "c", "a", 80), row.c_to_a_80);
    EXPECT_EQ(verdict(sw, "a", "b", 80), "") << "b has no policy";
    expect_ok(sw.apply(request), 2);
  }
}

/// c takes from "only-a" by policy "p".
api::ApplyRequest isolated_c() {
  api::ApplyRequest request = three_pods();
  *request.add_upsert_policies() = policy_of("p", {rule(0, {"only-a"})});
  *request.add_upsert_port_policies() = port_policy("c", {"p"});
  return request;
}

TEST(PolicyApply, APortThatAwaitsItsPoliciesIsClosedUntilTheyNameIt) {
  TestSwitch sw;
  expect_ok(sw.apply(isolated_c()), 2);
  api::PortSpec late = pod("d", {"10.0.0.4"});
  late.set_await_policy(true);
  expect_ok(sw.apply(upsert({late})), 3);
  EXPECT_EQ(verdict(sw, "d", "a", 80), "policy_pending");
  EXPECT_EQ(verdict(sw, "a", "d", 80), "policy_pending");
  api::ApplyRequest named;
  *named.add_upsert_port_policies() = port_policy("d", {});
  expect_ok(sw.apply(named), 4);
  EXPECT_EQ(verdict(sw, "d", "a", 80), "");
  EXPECT_EQ(verdict(sw, "a", "d", 80), "");
  api::ApplyRequest forgotten;
  forgotten.add_remove_port_policies(late.name());
  expect_ok(sw.apply(forgotten), 5);
  EXPECT_EQ(verdict(sw, "a", "d", 80), "policy_pending");
  *named.add_upsert_ports() = late;
  expect_ok(sw.apply(named), 6);
  EXPECT_EQ(verdict(sw, "a", "d", 80), "");
}

}  // namespace
}  // namespace millrace::control::switchd
