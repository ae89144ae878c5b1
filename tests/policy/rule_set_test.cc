// One row a sentence of what a rule means.
#include "policy/rule_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/identity_table.h"
#include "tests/net/count_allocations.h"
#include "tests/policy/naive_rules.h"

namespace millrace::policy {
namespace {

constexpr std::uint8_t kTcp = net::ip_protocol::kTcp, kUdp = net::ip_protocol::kUdp, kSctp = net::ip_protocol::kSctp,
                       kIcmp = net::ip_protocol::kIcmp;

struct Row {
  const char* name;
  std::vector<Rule> rules;
  Identity peer;
  const char* address;
  std::uint8_t protocol;
  std::uint16_t port;
  RuleIndex answer;
};

const Rule kAnybody{.counter = 0, .any_peer = true, .groups = {}, .blocks = {}, .ports = {}};
const Rule kWeb{.counter = 0, .any_peer = true, .groups = {}, .blocks = {}, .ports = {{kTcp, 80, 80}}};

Rule to_groups(std::vector<IdentityGroup> groups, std::vector<PortRange> ports = {}) {
  return {.counter = 0, .any_peer = false, .groups = std::move(groups), .blocks = {}, .ports = std::move(ports)};
}
Rule to_blocks(std::vector<IpBlock> blocks, std::vector<PortRange> ports = {}) {
  return {.counter = 0, .any_peer = false, .groups = {}, .blocks = std::move(blocks), .ports = std::move(ports)};
}

TEST(RuleSet, Rows) {
  const Row rows[] = {
      {"no rules: nothing", {}, 7, "10.0.0.7", kTcp, 80, kNoRule},
      {"anybody, every protocol", {kAnybody}, kNoIdentity, "10.0.0.7", kIcmp, 0, 0},
      {"anybody at one port", {kWeb}, kNoIdentity, "10.0.0.7", kTcp, 80, 0},
      {"another port", {kWeb}, 7, "10.0.0.7", kTcp, 81, kNoRule},
      {"another protocol", {kWeb}, 7, "10.0.0.7", kUdp, 80, kNoRule},
      {"ports leave no room for ICMP", {kWeb}, 7, "10.0.0.7", kIcmp, 80, kNoRule},
      {"an identity of a group", {to_groups({group({3, 7})})}, 7, "10.0.0.7", kTcp, 1, 0},
      {"an identity of none", {to_groups({group({3, 7})})}, 5, "10.0.0.7", kTcp, 1, kNoRule},
      {"nobody's address is in no group", {to_groups({group({3, 7})})}, kNoIdentity, "10.0.0.7", kTcp, 1, kNoRule},
      {"a group without identities", {to_groups({group({})})}, 7, "10.0.0.7", kTcp, 1, kNoRule},
      {"groups of one rule are a union", {to_groups({group({3}), group({7})})}, 7, "10.0.0.7", kTcp, 1, 0},
      {"the first that allows", {kWeb, to_groups({group({7})}), kAnybody}, 7, "10.0.0.7", kTcp, 81, 1},
      {"the first, also of a peer's several", {to_groups({group({7})}), kWeb}, 7, "10.0.0.7", kTcp, 80, 0},
      {"SCTP", {to_groups({group({7})}, {{kSctp, 132, 132}})}, 7, "10.0.0.7", kSctp, 132, 0},
      {"a range, its first", {to_groups({group({7})}, {{kTcp, 80, 90}})}, 7, "10.0.0.7", kTcp, 80, 0},
      {"a range, its last", {to_groups({group({7})}, {{kTcp, 80, 90}})}, 7, "10.0.0.7", kTcp, 90, 0},
      {"a range, behind it", {to_groups({group({7})}, {{kTcp, 80, 90}})}, 7, "10.0.0.7", kTcp, 91, kNoRule},
      {"every port", {to_groups({group({7})}, {{kUdp, 0, 65535}})}, 7, "10.0.0.7", kUdp, 65535, 0},
      {"inside of a block", {to_blocks({block("10.0.0.0/8")})}, kNoIdentity, "10.1.2.3", kTcp, 1, 0},
      {"a block holds endpoints too", {to_blocks({block("10.0.0.0/8")})}, 7, "10.1.2.3", kTcp, 1, 0},
      {"outside of it", {to_blocks({block("10.0.0.0/8")})}, kNoIdentity, "11.1.2.3", kTcp, 1, kNoRule},
      {"excepted", {to_blocks({block("10.0.0.0/8", {"10.1.0.0/16"})})}, kNoIdentity, "10.1.2.3", kTcp, 1, kNoRule},
      {"beside the exception", {to_blocks({block("10.0.0.0/8", {"10.1.0.0/16"})})}, 0, "10.2.2.3", kTcp, 1, 0},
      {"excepted here and allowed there",
       {to_blocks({block("10.0.0.0/8", {"10.1.0.0/16"})}), to_blocks({block("10.1.2.0/24")})},
       kNoIdentity,
       "10.1.2.3",
       kTcp,
       1,
       1},
      {"an exception is its own block's only",
       {to_blocks({block("10.0.0.0/8", {"10.1.0.0/16"}), block("10.1.2.3/32")})},
       kNoIdentity,
       "10.1.2.3",
       kTcp,
       1,
       0},
      {"all of IPv4", {to_blocks({block("0.0.0.0/0")})}, kNoIdentity, "203.0.113.9", kTcp, 1, 0},
      {"all of IPv4 is not IPv6", {to_blocks({block("0.0.0.0/0")})}, kNoIdentity, "2001:db8::1", kTcp, 1, kNoRule},
      {"IPv6", {to_blocks({block("2001:db8::/32", {"2001:db8:1::/48"})})}, kNoIdentity, "2001:db8:2::1", kTcp, 1, 0},
      {"IPv6, excepted",
       {to_blocks({block("2001:db8::/32", {"2001:db8:1::/48"})})},
       0,
       "2001:db8:1::1",
       kTcp,
       1,
       kNoRule},
      {"excepted by address, named by identity",
       {to_blocks({block("10.0.0.0/8", {"10.1.0.0/16"})}), to_groups({group({7})})},
       7,
       "10.1.2.3",
       kTcp,
       1,
       1},
  };
  for (const Row& row : rows) {
    const auto set = RuleSet::build(row.rules);
    ASSERT_TRUE(set) << row.name << ": " << set.error().message;
    const Asked asked{row.peer, net::IpAddress::parse(row.address).value(), row.protocol, row.port};
    EXPECT_EQ(decide(**set, asked), row.answer) << row.name;
    EXPECT_EQ(first_that_allows(row.rules, asked), row.answer) << row.name << ", read one by one";
  }
}

TEST(RuleSet, SaysWhatIsWrong) {
  Rule hole = to_blocks({block("10.0.0.0/8", {"11.0.0.0/16"})});
  Rule host_bits = kAnybody;
  host_bits.blocks.push_back({{net::IpAddress::parse("10.0.0.1").value(), 8}, {}});
  Rule wide = kAnybody;
  wide.blocks.push_back({{net::IpAddress::parse("10.0.0.0").value(), 33}, {}});
  const std::pair<std::vector<Rule>, const char*> rows[] = {
      {{kAnybody, hole}, "rules[1].blocks[0].except[0]: 11.0.0.0/16 is not inside of 10.0.0.0/8"},
      {{host_bits}, "rules[0].blocks[0].cidr: 10.0.0.1/8 has host bits or a length that its family has not"},
      {{wide}, "rules[0].blocks[0].cidr: 10.0.0.0/33 has host bits or a length that its family has not"},
      {{to_groups({}, {{kTcp, 90, 80}})}, "rules[0].ports[0].last: 80 is below first 90"},
      {{to_groups({}, {{kIcmp, 0, 0}})}, "rules[0].ports[0].protocol: 1; allowed: 6, 17, 132"},
      {{to_groups({group({0, 1})})}, "rules[0].groups[0] has the identity 0"},
      {{to_groups({group({2, 1})})}, "rules[0].groups[0] is not sorted, or has an identity twice"},
      {{to_groups({group({1, 1})})}, "rules[0].groups[0] is not sorted, or has an identity twice"},
      {{to_groups({nullptr})}, "rules[0].groups[0] is not there"},
      {std::vector<Rule>(kMaxRules + 1, kAnybody), "rules: 65536 of one endpoint and direction; limit 65535"},
  };
  for (const auto& [rules, message] : rows) {
    const auto set = RuleSet::build(rules);
    ASSERT_FALSE(set) << message;
    EXPECT_EQ(set.error().message, message);
  }
}

TEST(RuleSet, RefusesMorePeersThanItsLimit) {
  std::vector<Identity> many(kMaxPeers + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<Identity>(i + 1);
  const auto set = RuleSet::build(std::vector{to_groups({group(std::move(many))})});
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_EQ(set.error().message, "rules: they name 262145 identities and prefixes; limit 262144");
}

TEST(RuleSet, RefusesMorePairsThanItsLimit) {
  std::vector<Identity> many(1000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<Identity>(i + 1);
  const auto set = RuleSet::build(std::vector<Rule>(4195, to_groups({group(std::move(many))})));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().message, "rules[4194].groups: pairs of an identity and a rule are over 4194304");
}

TEST(RuleSet, PeersOfTheSameRulesShareTheirPorts) {
  std::vector<Identity> many(10'000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<Identity>(i + 1);
  const auto set = RuleSet::build(std::vector{to_groups({group(std::move(many))}, {{kTcp, 80, 80}})});
  ASSERT_TRUE(set);
  EXPECT_EQ((*set)->peer_count(), 10'000u);
  EXPECT_LT((*set)->memory_bytes(), 400'000u);  // a hash slot of about 18 bytes each, at half load or a quarter
}

TEST(RuleSet, ADecisionDoesNotAllocate) {
  const auto set =
      RuleSet::build(std::vector{to_groups({group({7})}, {{kTcp, 1, 9}}), to_blocks({block("10.0.0.0/8")})});
  ASSERT_TRUE(set);
  const std::uint64_t before = allocations.load();
  RuleIndex sum = 0;
  for (unsigned port = 0; port < 100; ++port) {
    sum += (*set)->decide(7, net::Ipv4::from_host(0x0b000001), kTcp, static_cast<std::uint16_t>(port)) == kNoRule;
  }
  EXPECT_EQ(allocations.load(), before);
  EXPECT_EQ(sum, 91u);
}

TEST(IdentityTable, FindsWhatItWasGiven) {
  const auto at = [](const char* text) { return net::IpAddress::parse(text).value(); };
  const auto table =
      IdentityTable::build(std::vector<Endpoint>{{at("10.0.0.1"), 1}, {at("10.0.0.2"), 9}, {at("fd00::2"), 9}});
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->find(at("10.0.0.1").v4()), 1u);
  EXPECT_EQ((*table)->find(at("10.0.0.2").v4()), 9u);
  EXPECT_EQ((*table)->find(at("fd00::2").v6()), 9u);
  EXPECT_EQ((*table)->find(at("10.0.0.3").v4()), kNoIdentity);
  EXPECT_EQ((*table)->find(at("::").v6()), kNoIdentity);
  EXPECT_EQ((*table)->find(at("0.0.0.0").v4()), kNoIdentity);
  EXPECT_EQ(IdentityTable::build(std::vector<Endpoint>{{at("10.0.0.1"), 1}, {at("10.0.0.1"), 2}}).error().message,
            "endpoint 10.0.0.1 is given twice");
  EXPECT_EQ(IdentityTable::build(std::vector<Endpoint>{{at("10.0.0.1"), 0}}).error().message,
            "endpoint 10.0.0.1: identity 0 is nobody's");
}

}  // namespace
}  // namespace millrace::policy
