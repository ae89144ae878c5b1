// Flows, services and masquerade under everything at once: the laws of flow_sim.h, for many seeds.
// A failure prints the seed and the last actions: --gtest_filter='*/SEED' plays it again. MILLRACE_SIM_SEEDS=400 in the
// environment plays so many seeds; half a minute in a release build.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/flow_sim.h"

namespace millrace::tests {
namespace {

/// How many seeds: MILLRACE_SIM_SEEDS, for a wide run; few of them for a run of every day.
std::uint64_t seed_count() {
  const char* const text = std::getenv("MILLRACE_SIM_SEEDS");
  return text == nullptr ? 24 : std::strtoull(text, nullptr, 10);
}

class FlowSimulation : public testing::TestWithParam<std::uint64_t> {
 protected:
  /// Of all seeds: one worker hands nothing over, and pods may all have the same.
  inline static std::uint64_t handoff_ring_full = 0, squeezes = 0;
  static void TearDownTestSuite() { EXPECT_EQ(handoff_ring_full > 0, squeezes > 0); }

  FlowSimTotals play(Weather weather, unsigned actions) {
    FlowSim sim(GetParam(), weather);
    sim.run(actions);
    if (HasFailure()) ADD_FAILURE() << "seed " << GetParam() << ", the last actions:\n" << sim.log();
    return sim.totals();
  }
};

TEST_P(FlowSimulation, InCalmWeatherEveryQuestionIsAnswered) {
  const FlowSimTotals totals = play(Weather::kCalm, 2000);
  EXPECT_EQ(totals.answered + totals.let_go, totals.asked);
  EXPECT_EQ(totals.refused, 0u);
  EXPECT_GT(totals.mapped, totals.let_go);
  EXPECT_GT(totals.tcp_done, 50u);
  EXPECT_GT(totals.sctp_done, 10u);
  EXPECT_GT(totals.masqueraded, 20u);
  EXPECT_GT(totals.fragmented, 5u);
  EXPECT_GT(totals.errors, 2u);
}

TEST_P(FlowSimulation, WhenRingsAreFullWhoAsksAgainIsAnswered) {
  const FlowSimTotals totals = play(Weather::kSqueeze, 2000);
  EXPECT_EQ(totals.answered + totals.let_go, totals.asked);
  EXPECT_EQ(totals.refused, 0u);
  EXPECT_GT(totals.tx_ring_full, 0u);
  squeezes += (GetParam() % 4 != 0);
  handoff_ring_full += totals.handoff_ring_full;
}

TEST_P(FlowSimulation, InAStormNothingReachesAnybodyElse) {
  const FlowSimTotals totals = play(Weather::kStorm, 4000);
  EXPECT_GT(totals.answered, 10u);
  EXPECT_GT(totals.masqueraded, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FlowSimulation, testing::Range<std::uint64_t>(0, seed_count()));

}  // namespace
}  // namespace millrace::tests
