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

const std::string kP = "p";

struct Refused {
  const char* name;
  void (*edit)(api::ApplyRequest&);
  const char* error;
  ErrorCode code = ErrorCode::kInvalidArgument;
};

const Refused kRefused[] = {
    {"a group that is not there",
     [](auto& r) {
       *r.add_upsert_policies() = policy_of("q", {rule(0, {}), rule(1, {"only-a", "gone"})});
     },
     "upsert_policies[0].ingress[1].groups[1]: policy \"q\" names group \"gone\", which is not there"},
    {"a group in the other direction",
     [](auto& r) { *r.add_upsert_policies() = policy_of("q", {}, {rule(0, {"gone"})}); },
     "upsert_policies[0].egress[0].groups[0]: policy \"q\" names group \"gone\""},
    {"a group that is named",
     [](auto& r) {
       r.add_remove_groups("a-and-b");
       r.add_remove_groups("only-a");
     },
     "remove_groups[1]: \"only-a\" is named by policy \"p\" (ingress[0].groups[0])"},
    {"a policy that is not there", [](auto& r) { *r.add_upsert_port_policies() = port_policy("a", {"p"}, {"gone"}); },
     "upsert_port_policies[0].egress[0]: port \"a\" names policy \"gone\", which is not there"},
    {"a policy that is named", [](auto& r) { r.add_remove_policies(kP); },
     "remove_policies[0]: \"p\" is named by the policies of port \"c\""},
    {"a policy that the request names",
     [](auto& r) {
       *r.add_upsert_port_policies() = port_policy("c", {"p"});
       r.add_remove_policies(kP);
     },
     "upsert_port_policies[0].ingress[0]: port \"c\" names policy \"p\", which is not there"},
    {"policies of the host port",
     [](auto& r) {
       *r.add_upsert_ports() = host("node", {"0.0.0.0/0"});
       *r.add_upsert_port_policies() = port_policy("node", {"p"});
     },
     "upsert_port_policies[0].port: \"node\" is not a pod's; allowed: PORT_KIND_POD alone"},
    {"a host port that awaits policy",
     [](auto& r) {
       *r.add_upsert_ports() = host("node", {"0.0.0.0/0"});
       r.mutable_upsert_ports(0)->set_await_policy(true);
     },
     "upsert_ports[0].await_policy: true; allowed: for PORT_KIND_POD alone"},
    {"more rules than there are counters",
     [](auto& r) {
       api::Policy& policy = *r.add_upsert_policies();
       policy = policy_of("q", {});
       for (unsigned i = 0; i < 64; ++i) *policy.add_ingress() = rule(i, {});
     },
     "upsert_policies: policy \"q\": with its rules there are more than policy.ruleLimit of the switch, 64",
     ErrorCode::kResourceExhausted},
    {"a port that cannot be opened",
     [](auto& r) {
       *r.add_upsert_policies() = policy_of("q", {rule(0, {})});
       *r.add_upsert_ports() = pod("gone", {"10.0.0.9"});
     },
     "upsert_ports[0].interface: no interface veth-gone", ErrorCode::kNotFound},
};

TEST(PolicyApply, WhatDoesNotFitIsRefusedAndChangesNothing) {
  TestSwitch sw;
  sw.opener.missing = {"veth-gone"};
  expect_ok(sw.apply(isolated_c()), 2);
  const auto snapshot = sw.publisher.current();
  const auto policy = sw.state->policy();
  for (const Refused& row : kRefused) {
    SCOPED_TRACE(row.name);
    api::ApplyRequest request;
    *request.add_upsert_endpoints() = endpoint("10.0.0.2", 1);  // would open c to b
    row.edit(request);
    for (const bool dry_run : {true, false}) {
      request.set_dry_run(dry_run);
      const bool opens = row.code == ErrorCode::kNotFound;  // a dry run opens nothing
      const auto reply = sw.apply(request);
      EXPECT_EQ(reply.ok(), dry_run && opens);
      if (reply) continue;
      EXPECT_TRUE(reply.error().message.starts_with(row.error)) << reply.error().message;
      EXPECT_EQ(reply.error().code, row.code);
    }
    EXPECT_EQ(sw.publisher.current(), snapshot);
    EXPECT_EQ(sw.state->policy(), policy);
    EXPECT_EQ(sw.opener.open_count(), 3u);
  }
}

TEST(PolicyApply, RemovalOfWhatIsNotThereIsNoError) {
  TestSwitch sw;
  expect_ok(sw.apply(isolated_c()), 2);
  api::ApplyRequest request;
  request.add_remove_groups("never");
  request.add_remove_policies("never");
  request.add_remove_endpoints(bytes_of("192.0.2.1"));
  request.add_remove_port_policies("never");
  *request.add_upsert_port_policies() = port_policy("no-port", {"p"});
  expect_ok(sw.apply(request), 2);
}

TEST(PolicyApply, APortTakesItsPoliciesAlong) {
  TestSwitch sw;
  expect_ok(sw.apply(isolated_c()), 2);
  EXPECT_EQ(verdict(sw, "b", "c", 80), "policy_ingress");
  api::ApplyRequest request = remove({"c"});
  request.add_remove_policies(kP);
  expect_ok(sw.apply(request), 3);
  expect_ok(sw.apply(upsert({pod("c", {"10.0.0.3"})})), 4);
  EXPECT_EQ(verdict(sw, "b", "c", 80), "") << "another port of the name";
}

TEST(PolicyApply, ReplaceAllForgetsWhatItDoesNotName) {
  TestSwitch sw;
  expect_ok(sw.apply(isolated_c()), 2);
  api::ApplyRequest whole = isolated_c();
  whole.set_replace_all(true);
  expect_ok(sw.apply(whole), 2);
  whole.clear_upsert_port_policies();
  whole.clear_upsert_policies();
  whole.clear_upsert_groups();
  whole.clear_upsert_endpoints();
  expect_ok(sw.apply(whole), 3);
  EXPECT_EQ(verdict(sw, "b", "c", 80), "");
  EXPECT_TRUE(sw.state->policy()->groups->empty() && sw.state->policy()->policies->empty());
  EXPECT_TRUE(sw.state->policy()->endpoints->sorted.empty() && sw.state->policy()->rule_sets->empty());
}

TEST(PolicyApply, ADryRunBuildsAllAndChangesNothing) {
  TestSwitch sw;
  api::ApplyRequest request = isolated_c();
  request.set_dry_run(true);
  expect_ok(sw.apply(request), 1);
  EXPECT_EQ(sw.state->port_count(), 0u);
  EXPECT_EQ(sw.opener.opened(), 0u);
  EXPECT_EQ(sw.state->policy()->rule_count, 0u);
  request.set_dry_run(false);
  expect_ok(sw.apply(request), 2);
  EXPECT_EQ(sw.state->policy()->rule_count, 1u);
}

}  // namespace
}  // namespace millrace::control::switchd
