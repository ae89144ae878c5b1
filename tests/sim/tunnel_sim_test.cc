// Three nodes and the network between them: the laws of tunnel_sim.h, for many seeds.
// A failure prints the seed and the last actions: --gtest_filter='*/SEED' plays it again. MILLRACE_SIM_SEEDS=400 in the
// environment plays so many seeds.
#include "tests/sim/tunnel_sim.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace millrace::tests {
namespace {

std::uint64_t seed_count() {
  const char* const text = std::getenv("MILLRACE_SIM_SEEDS");
  return text == nullptr ? 20 : std::strtoull(text, nullptr, 10);
}

class TunnelSimulation : public testing::TestWithParam<std::uint64_t> {
 protected:
  TunnelSimTotals play(bool is_storm, unsigned actions) {
    TunnelSim sim(GetParam(), is_storm);
    sim.run(actions);
    if (HasFailure()) ADD_FAILURE() << "seed " << GetParam() << ", the last actions:\n" << sim.log();
    return sim.totals();
  }
};

TEST_P(TunnelSimulation, InCalmWeatherEveryQuestionIsAnswered) {
  const TunnelSimTotals totals = play(false, 2000);
  EXPECT_EQ(totals.answered, totals.asked);
  EXPECT_GT(totals.between_nodes, 30u);
  EXPECT_GT(totals.masqueraded, 50u);
  EXPECT_GT(totals.carried, 500u);
  EXPECT_EQ(totals.errors, 0u);
}

TEST_P(TunnelSimulation, InAStormNothingReachesAnybodyElse) {
  const TunnelSimTotals totals = play(true, 4000);
  EXPECT_GT(totals.answered, 10u);
  EXPECT_GT(totals.carried, 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TunnelSimulation, testing::Range<std::uint64_t>(0, seed_count()));

}  // namespace
}  // namespace millrace::tests
