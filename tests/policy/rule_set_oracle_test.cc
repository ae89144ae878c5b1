// Compiled rules against the rules read one by one: random rule sets out of so few identities, prefixes and ports that
// they meet, nest and overlap, and every question about them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/policy/naive_rules.h"

namespace millrace::policy {
namespace {

constexpr std::uint64_t kSeed = 20'261'121;
constexpr unsigned kRounds = 400;
constexpr std::uint8_t kProtocols[] = {net::ip_protocol::kTcp, net::ip_protocol::kUdp, net::ip_protocol::kSctp,
                                       net::ip_protocol::kIcmp};
constexpr std::uint16_t kPorts[] = {0, 1, 79, 80, 81, 89, 90, 91, 443, 32'768, 65'534, 65'535};
constexpr Identity kIdentities = 6;

class Random {
 public:
  explicit Random(std::uint64_t seed) : random_(seed) {}

  unsigned below(unsigned count) { return static_cast<unsigned>(random_() % count); }

  /// Of both families; the bits that differ are few, so that prefixes nest.
  net::IpAddress address() {
    const std::uint32_t bits = (below(4) << 30) | (below(4) << 14) | below(4);
    if (below(3) != 0) return net::IpAddress::from(net::Ipv4::from_host(bits));
    net::Ipv6 v6;
    for (unsigned i = 0; i < 4; ++i) v6.bytes[i] = static_cast<std::uint8_t>(bits >> (24 - 8 * i));
    v6.bytes[15] = static_cast<std::uint8_t>(below(2));
    return net::IpAddress::from(v6);
  }

  net::Prefix prefix_of(const net::IpAddress& address, unsigned least_bits) {
    const unsigned most = address.bits();
    constexpr unsigned kLengths[] = {0, 1, 2, 17, 18, 31, 32, 64, 127, 128};
    unsigned length = kLengths[below(10)];
    length = std::clamp(length, least_bits, most);
    return net::Prefix::of(address, static_cast<std::uint8_t>(length));
  }

  IpBlock block() {
    IpBlock made{prefix_of(address(), 0), {}};
    for (unsigned left = below(3); left > 0; --left) {
      net::IpAddress inside = address();
      if (inside.family != made.cidr.address.family || !made.cidr.contains(inside)) continue;
      made.except.push_back(prefix_of(inside, made.cidr.length_bits));
    }
    return made;
  }

  Rule rule() {
    Rule made{.counter = below(1000), .any_peer = below(8) == 0, .groups = {}, .blocks = {}, .ports = {}};
    for (unsigned left = below(3); left > 0; --left) {
      std::vector<Identity> identities;
      for (Identity identity = 1; identity <= kIdentities; ++identity) {
        if (below(3) == 0) identities.push_back(identity);
      }
      made.groups.push_back(group(std::move(identities)));
    }
    for (unsigned left = below(3); left > 0; --left) made.blocks.push_back(block());
    for (unsigned left = below(4); left > 0; --left) {
      const std::uint16_t a = kPorts[below(std::size(kPorts))], b = kPorts[below(std::size(kPorts))];
      made.ports.push_back({kProtocols[below(3)], std::min(a, b), std::max(a, b)});
    }
    return made;
  }

 private:
  std::mt19937_64 random_;
};

TEST(RuleSetOracle, EveryAnswerIsThatOfTheRulesReadOneByOne) {
  unsigned allowed = 0, denied = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    Random random(kSeed + round);
    std::vector<Rule> rules(random.below(12));
    for (Rule& rule : rules) rule = random.rule();
    const auto set = RuleSet::build(rules);
    ASSERT_TRUE(set) << set.error().message;
    for (unsigned i = 0; i < 12; ++i) {
      Asked asked{random.below(kIdentities + 1), random.address(), 0, 0};
      for (const std::uint8_t protocol : kProtocols) {
        for (const std::uint16_t port : kPorts) {
          asked.protocol = protocol;
          asked.port = port;
          const RuleIndex naive = first_that_allows(rules, asked);
          ASSERT_EQ(decide(**set, asked), naive)
              << fmt::format("round {}: identity {} at {}, protocol {} port {}", round, asked.peer,
                             asked.address.to_string(), protocol, port);
          ASSERT_EQ(allows(**set, asked), naive != kNoRule);
          ++(naive == kNoRule ? denied : allowed);
          ASSERT_EQ(naive == kNoRule ? 0 : (*set)->counter_of(naive), naive == kNoRule ? 0 : rules[naive].counter);
        }
      }
    }
  }
  EXPECT_GT(allowed, 50'000u);  // the questions are worth asking
  EXPECT_GT(denied, 50'000u);
}

}  // namespace
}  // namespace millrace::policy
