// What of policy is built again when something changes, and what stays the same object; counters of rules; what is
// closed because it cannot be built.
#include <gtest/gtest.h>

#include <utility>

#include "tests/switch/test_policy.h"

namespace millrace::control::switchd {
namespace {

using Rules = const policy::RuleSet*;

std::uint64_t generation_of(const net::Result<api::ApplyReply>& reply) {
  EXPECT_TRUE(reply.ok()) << reply.error().message;
  return reply ? reply->generation() : 0;
}

/// a and b take by "p", c by "q" (both directions); groups "one" (of p and q's egress) and "two" (of q).
api::ApplyRequest base() {
  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"}), pod("c", {"10.0.0.3"})});
  *request.add_upsert_groups() = group("one", {1});
  *request.add_upsert_groups() = group("two", {2});
  *request.add_upsert_policies() = policy_of("p", {rule(0, {"one"})});
  *request.add_upsert_policies() = policy_of("q", {rule(0, {"two"})}, {rule(0, {"one"})});
  *request.add_upsert_port_policies() = port_policy("a", {"p"});
  *request.add_upsert_port_policies() = port_policy("b", {"p"});
  *request.add_upsert_port_policies() = port_policy("c", {"q"}, {"q"});
  return request;
}

struct Sets {
  Rules a, b, c, c_out;
};
Sets sets_of(const TestSwitch& sw) {
  return {rules_in_force(sw, "a"), rules_in_force(sw, "b"), rules_in_force(sw, "c"), rules_in_force(sw, "c", false)};
}

struct Change {
  const char* name;
  void (*edit)(api::ApplyRequest&);
  bool a, c, c_out;  // is built again
};

const Change kChanges[] = {
    {"a port", [](auto& r) { *r.add_upsert_ports() = pod("d", {"10.0.0.4"}); }, false, false, false},
    {"an endpoint", [](auto& r) { *r.add_upsert_endpoints() = endpoint("10.0.0.9", 7); }, false, false, false},
    {"a group that nobody names", [](auto& r) { *r.add_upsert_groups() = group("three", {3}); }, false, false, false},
    {"a group of one direction",
     [](auto& r) {
       *r.add_upsert_groups() = group("two", {2, 3});
     },
     false, true, false},
    {"a group of two policies", [](auto& r) { *r.add_upsert_groups() = group("one", {9}); }, true, false, true},
    {"the same group again", [](auto& r) { *r.add_upsert_groups() = group("one", {1}); }, false, false, false},
    {"one direction of a policy",
     [](auto& r) { *r.add_upsert_policies() = policy_of("q", {rule(0, {"two"})}, {rule(0, {"one"}, {80})}); }, false,
     false, true},
    {"the object of a policy",
     [](auto& r) {
       *r.add_upsert_policies() = policy_of("p", {rule(0, {"one"})});
       r.mutable_upsert_policies(0)->set_object("ns/renamed");
     },
     true, false, false},
    {"a policy that no port has", [](auto& r) { *r.add_upsert_policies() = policy_of("z", {}); }, false, false, false},
};

TEST(PolicyCache, ARuleSetIsBuiltAgainWhenSomethingOfItChanged) {
  for (const Change& row : kChanges) {
    SCOPED_TRACE(row.name);
    TestSwitch sw;
    ASSERT_EQ(generation_of(sw.apply(base())), 2u);
    const Sets before = sets_of(sw);
    EXPECT_EQ(before.a, before.b) << "one list of policies, one rule set";
    EXPECT_NE(before.a, before.c);
    api::ApplyRequest change;
    row.edit(change);
    generation_of(sw.apply(change));
    const Sets after = sets_of(sw);
    EXPECT_EQ(after.a != before.a, row.a);
    EXPECT_EQ(after.a, after.b);
    EXPECT_EQ(after.c != before.c, row.c);
    EXPECT_EQ(after.c_out != before.c_out, row.c_out);
    const std::uint64_t generation = sw.state->generation();
    const auto status = sw.state->port_policy("c");
    ASSERT_TRUE(status.ok());
    EXPECT_EQ(status->ingress().since_generation(), row.c ? generation : 2);
    EXPECT_EQ(status->egress().since_generation(), row.c_out ? generation : 2);
  }
}

TEST(PolicyCache, AChangeThatIsNotAboutPolicyCopiesNothingOfIt) {
  TestSwitch sw;
  generation_of(sw.apply(base()));
  const auto policy = sw.state->policy();
  generation_of(sw.apply(upsert({pod("d", {"10.0.0.4"})})));
  EXPECT_EQ(sw.state->policy(), policy);
  generation_of(sw.apply(remove({"d"})));
  EXPECT_EQ(sw.state->policy(), policy);
  api::ApplyRequest change;
  *change.add_upsert_endpoints() = endpoint("10.0.0.9", 7);
  generation_of(sw.apply(change));
  EXPECT_EQ(sw.state->policy()->groups, policy->groups);
  EXPECT_EQ(sw.state->policy()->policies, policy->policies);
  EXPECT_EQ(sw.state->policy()->rule_sets, policy->rule_sets);
}

/// "OBJECT DIRECTION INDEX FLOWS" of each rule that is counted.
std::vector<std::string> counted(const TestSwitch& sw) {
  std::vector<std::string> rows;
  const api::ListRuleCountersReply reply = sw.state->rule_counters();
  for (const api::RuleCounter& rule : reply.rules()) {
    const char* direction = rule.direction() == api::POLICY_DIRECTION_INGRESS ? " in " : " out ";
    rows.push_back(std::string(rule.object())
                       .append(direction)
                       .append(std::to_string(rule.index()))
                       .append(" ")
                       .append(std::to_string(rule.flows())));
  }
  return rows;
}

/// Slot of the first rule of the port's policies.
std::uint32_t slot_of(const TestSwitch& sw, const std::string& port) { return rules_in_force(sw, port)->counter_of(0); }

using Rows = std::vector<std::string>;

TEST(RuleCounters, AreSummedOverWorkersAndGoOnThroughChanges) {
  TestSwitch sw;
  generation_of(sw.apply(base()));
  sw.access.counters[0]->rule(slot_of(sw, "a")).add(3);
  sw.access.counters[1]->rule(slot_of(sw, "a")).add(4);
  EXPECT_EQ(counted(sw), (Rows{"ns/p in 0 7", "ns/q in 0 0", "ns/q out 0 0"}));
  api::ApplyRequest change;
  *change.add_upsert_groups() = group("one", {5});
  *change.add_upsert_policies() = policy_of("p", {rule(0, {"one"}, {80}), rule(2, {})});
  generation_of(sw.apply(change));
  EXPECT_EQ(counted(sw), (Rows{"ns/p in 0 7", "ns/p in 2 0", "ns/q in 0 0", "ns/q out 0 0"}));
  const auto status = sw.state->port_policy("a");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->ingress().policies(0).rules(0).flows(), 7u);
}

TEST(RuleCounters, RulesOfOneObjectDirectionAndIndexAreOne) {
  TestSwitch sw;
  generation_of(sw.apply(base()));
  api::ApplyRequest change;
  *change.add_upsert_policies() = policy_of("p/v6", {rule(0, {"one"}), rule(0, {"two"})});
  change.mutable_upsert_policies(0)->set_object("ns/p");
  generation_of(sw.apply(change));
  EXPECT_EQ(counted(sw).size(), 3u);
  EXPECT_EQ(sw.state->policy()->rule_count, 3u);
  change.Clear();
  *change.add_upsert_port_policies() = port_policy("a", {"p/v6"});
  *change.add_upsert_port_policies() = port_policy("b", {});
  change.add_remove_policies(std::string("p"));
  sw.access.counters[0]->rule(slot_of(sw, "a")).add(3);
  generation_of(sw.apply(change));
  EXPECT_EQ(counted(sw).front(), "ns/p in 0 3") << "the other policy of the object has the slot still";
}

TEST(RuleCounters, ASlotIsFreeAgainWhenEveryWorkerHasPassedAndStartsFromZero) {
  TestSwitch sw({.rule_limit = 3});
  generation_of(sw.apply(base()));
  const std::uint32_t slot = slot_of(sw, "a");
  sw.access.counters[1]->rule(slot).add(9);
  api::ApplyRequest change;
  *change.add_upsert_policies() = policy_of("p", {});
  sw.away = {1};
  EXPECT_FALSE(sw.apply(change)) << "worker 1 counts by the generation before";
  EXPECT_EQ(counted(sw), (Rows{"ns/q in 0 0", "ns/q out 0 0"}));
  EXPECT_EQ(sw.access.counters[1]->rule(slot).get(), 9u);
  sw.away.clear();
  EXPECT_EQ(generation_of(sw.apply(change)), 3u);
  EXPECT_EQ(sw.access.counters[1]->rule(slot).get(), 0u);

  // Again and again other rules: none is ever without a counter, none begins with another's.
  for (std::uint32_t i = 1; i <= 20; ++i) {
    change.Clear();
    *change.add_upsert_policies() = policy_of("p", {rule(i, {"one"})});
    generation_of(sw.apply(change));
    const std::string name = std::string("ns/p in ").append(std::to_string(i));
    EXPECT_EQ(counted(sw).front(), std::string(name).append(" 0"));
    sw.access.counters[i % 2]->rule(slot_of(sw, "a")).add(i);
    EXPECT_EQ(counted(sw).front(), std::string(name).append(" ").append(std::to_string(i)));
  }
}

TEST(RuleCounters, AllRulesCanBeExchangedAtTheLimit) {
  TestSwitch sw({.rule_limit = 3});
  generation_of(sw.apply(base()));
  api::ApplyRequest change;
  *change.add_upsert_policies() = policy_of("p", {rule(7, {"one"})});
  *change.add_upsert_policies() = policy_of("q", {rule(7, {"two"})}, {rule(7, {"one"})});
  generation_of(sw.apply(change));
  EXPECT_EQ(counted(sw), (Rows{"ns/p in 7 0", "ns/q in 7 0", "ns/q out 7 0"}));
}

TEST(RuleCounters, WhatHasNoCounterAfterARestartIsClosedUntilThereIsOne) {
  TestSwitch sw({.rule_limit = 2});
  api::ApplyRequest whole = base();
  *whole.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
  EXPECT_FALSE(sw.apply(whole)) << "one by one it is refused";
  whole.set_replace_all(true);
  const auto reply = sw.apply(whole);
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  ASSERT_EQ(reply->policy_failures_size(), 1);
  const api::PolicyFailure& failure = reply->policy_failures(0);
  EXPECT_EQ(failure.message(), "policy \"q\": with its rules there are more than policy.ruleLimit of the switch, 2");
  EXPECT_EQ(failure.direction(), api::POLICY_DIRECTION_EGRESS);
  EXPECT_EQ(failure.ports(0), "c");
  EXPECT_EQ(verdict(sw, "c", "a", 80), "policy_egress") << "closed, not open";
  EXPECT_EQ(verdict(sw, "a", "b", 80), "") << "the others are in force";
  EXPECT_EQ(sw.state->port_policy("c")->egress().failure(), failure.message());

  api::ApplyRequest other;
  *other.add_upsert_endpoints() = endpoint("10.0.0.9", 7);
  const auto again = sw.apply(other);
  ASSERT_TRUE(again.ok()) << "what was closed before does not hold up others";
  EXPECT_EQ(again->policy_failures_size(), 1);
  *other.add_upsert_policies() = policy_of("p", {});
  const auto repaired = sw.apply(other);
  ASSERT_TRUE(repaired.ok()) << repaired.error().message;
  EXPECT_EQ(repaired->policy_failures_size(), 0);
  EXPECT_EQ(verdict(sw, "c", "a", 80), "policy_ingress") << "c has a counter now, and it is a that takes nothing";
  EXPECT_EQ(sw.state->port_policy("c")->egress().failure(), "");
}

/// A rule with `count` groups' worth of pairs: past policy::kMaxPeerRules together.
TEST(PolicyClosed, AListThatIsTooLargeIsRefusedAndClosedAfterARestart) {
  TestSwitch sw({.rule_limit = 64});
  api::ApplyRequest request = upsert({pod("a", {"10.0.0.1"}), pod("b", {"10.0.0.2"})});
  std::vector<std::uint32_t> many;
  for (std::uint32_t i = 1; i <= policy::kMaxPeerRules / 32; ++i) many.push_back(i);
  *request.add_upsert_groups() = group("many", many);
  std::vector<api::PolicyRule> rules;
  for (std::uint32_t i = 0; i < 33; ++i) rules.push_back(rule(i, {"many"}));
  *request.add_upsert_policies() = policy_of("small", {rule(0, {"many"})});
  *request.add_upsert_policies() = policy_of("large", rules);
  *request.add_upsert_port_policies() = port_policy("a", {"small"});
  *request.add_upsert_port_policies() = port_policy("b", {"small", "large"});
  *request.add_upsert_endpoints() = endpoint("10.0.0.1", 1);
  *request.add_upsert_endpoints() = endpoint("10.0.0.2", 2);
  const auto refused = sw.apply(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "ingress of port \"b\": policy \"large\": ingress[31].groups: pairs of an identity and a rule are over "
            "4194304");
  EXPECT_EQ(refused.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_EQ(sw.state->generation(), 1u);

  request.set_replace_all(true);
  for (const bool dry_run : {true, false}) {
    request.set_dry_run(dry_run);
    const auto closed = sw.apply(request);
    ASSERT_TRUE(closed.ok()) << closed.error().message;
    ASSERT_EQ(closed->policy_failures_size(), 1);
    EXPECT_EQ(closed->policy_failures(0).policies_size(), 2);
  }
  EXPECT_EQ(verdict(sw, "a", "b", 80), "policy_ingress") << "closed, not open";
  EXPECT_EQ(verdict(sw, "b", "a", 80), "");
}

}  // namespace
}  // namespace millrace::control::switchd
