// The compiler and the switch's rule sets, against a naive evaluator written from the text of what Kubernetes expects.
#include <gtest/gtest.h>

#include <set>

#include "tests/agent/policies/random_policies.h"

namespace millrace::control::agent::policies {
namespace {

const std::vector<std::uint8_t> kProtocols = {6, 17, 132, 1};
const std::vector<std::uint16_t> kAskedPorts = {80, 81, 82, 8080, 53};

std::string text_of(const Question& asked) {
  return fmt::format("{} -> {} protocol {} port {}", asked.source.to_string(), asked.destination.to_string(),
                     asked.protocol, asked.port);
}

/// One change to the world: an object put, in the place of another of its name or not, or taken away.
void edit(Chance& chance, World& world) {
  if (chance.one_in(4) && !world.objects().empty()) {
    const auto count = static_cast<std::uint32_t>(world.objects().size());
    world.remove(std::next(world.objects().begin(), chance.below(count))->first);
    return;
  }
  world.put(random_object(chance));
}

/// Every pair of addresses of a family, with addresses of nobody, at every port.
void expect_as_the_text_says(World& world, const std::string& where, std::map<bool, std::size_t>& seen) {
  for (const char* format : {"10.0.0.{}", "fd00::{:x}"}) {
    std::vector<net::IpAddress> addresses;
    for (std::uint32_t i = 0; i < kAddresses; ++i) addresses.push_back(ip(fmt::format(fmt::runtime(format), i)));
    addresses.push_back(ip(addresses[0].is_v4() ? "192.0.2.1" : "2001:db8::1"));
    for (const net::IpAddress& source : addresses) {
      for (const net::IpAddress& destination : addresses) {
        if (source == destination) continue;
        for (const std::uint8_t protocol : kProtocols) {
          for (const std::uint16_t port : kAskedPorts) {
            const Question asked{source, destination, protocol, port};
            const bool want = world.naive_allows(asked);
            ++seen[want];
            ASSERT_EQ(world.allows(asked), want) << where << ": " << text_of(asked);
          }
        }
      }
    }
  }
}

TEST(PolicyOracle, compiled_policies_do_what_the_text_says_after_every_change) {
  constexpr std::uint32_t kHistories = 40, kSteps = 50;
  std::map<bool, std::size_t> seen;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    Chance chance(seed);
    World world;
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      edit(chance, world);
      if (chance.one_in(3)) continue;  // several changes at once
      world.step();
      if (step % 5 != 0) continue;
      expect_as_the_text_says(world, fmt::format("seed {} step {}", seed, step), seen);
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(seen[true], 10'000u);
  EXPECT_GT(seen[false], 10'000u);
}

TEST(PolicyOracle, a_history_of_changes_compiles_to_what_the_end_alone_does) {
  constexpr std::uint32_t kHistories = 60, kSteps = 60;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    Chance chance(1000 + seed);
    World world;
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      edit(chance, world);
      if (chance.one_in(2)) continue;
      world.step();
      World anew;
      for (const auto& [key, object] : world.objects()) anew.put(*object);
      anew.step();
      ASSERT_EQ(lines_of(world.tables().state()), lines_of(anew.tables().state()))
          << "seed " << seed << " step " << step;
    }
  }
}

TEST(PolicyOracle, a_preview_is_what_the_change_then_is_and_changes_nothing) {
  constexpr std::uint32_t kHistories = 40, kSteps = 50;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    Chance chance(2000 + seed);
    World world;
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      ObjectChanges changes;
      std::set<kube::ObjectKey> keys;
      for (std::uint32_t i = 1 + chance.below(3); i > 0; --i) {
        const auto after = std::make_shared<const kube::Object>(random_object(chance));
        const kube::ObjectKey key = kube::key_of(*after);
        if (key.kind == kube::Kind::kPod || !keys.insert(key).second) continue;  // ports change with pods
        const auto before = world.objects().find(key);
        changes.push_back({key, before == world.objects().end() ? nullptr : before->second, after});
      }
      const api::ApplyRequest foreseen = world.preview(changes);
      if (chance.one_in(2)) {
        const api::ApplyRequest nothing = world.step();
        ASSERT_TRUE(is_without_policy(nothing)) << "seed " << seed << " step " << step << nothing.ShortDebugString();
        continue;
      }
      for (const ObjectChange& change : changes) world.put(*change.after);
      ASSERT_EQ(world.step().DebugString(), foreseen.DebugString()) << "seed " << seed << " step " << step;
      world.put(random_pod(chance));
      world.step();
    }
  }
}

}  // namespace
}  // namespace millrace::control::agent::policies
