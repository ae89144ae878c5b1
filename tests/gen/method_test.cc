// The methods over a model of a switch whose throughput is known: they must find it, whatever the generator does.
#include "perf/gen/method/method.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "perf/gen/method/rates.h"
#include "perf/gen/stream/profile.h"
#include "perf/gen/stream/random.h"

namespace millrace::perf::gen {
namespace {

/// Forwards up to a rate and drops the rest; a queue takes a burst first; latency grows with load.
class Switch final : public TrialRunner {
 public:
  double capacity_pps = 1e6, generator_pps = 5e6;
  double bytes_matter = 0;  // bits a second it forwards; 0: any
  std::uint64_t queue_packets = 0;
  double stray_loss = 0;  // share lost at any rate
  std::function<double(std::uint32_t)> capacity_by_flows;
  std::vector<double> asked;
  std::vector<TrialOptions> options_seen;

  net::Result<TrialResult> run(const std::vector<StreamDescription>& streams, const TrialOptions& options) override {
    TrialResult result;
    result.seconds = options.seconds;
    double offered = 0;
    for (const StreamDescription& stream : streams) offered += packets_per_second(stream, options.link_bps);
    asked.push_back(offered);
    options_seen.push_back(options);
    const bool flood = offered == 0;
    const double sent_pps = flood ? generator_pps : std::min(offered, generator_pps);
    double capacity =
        bytes_matter > 0 ? std::min(capacity_pps, bytes_matter / 8 / streams[0].sizes[0].bytes) : capacity_pps;
    if (capacity_by_flows) capacity = capacity_by_flows(streams[0].flows);
    for (const StreamDescription& stream : streams) {
      StreamResult one;
      const double share =
          flood ? 1.0 / static_cast<double>(streams.size()) : packets_per_second(stream, options.link_bps) / offered;
      double seconds = options.seconds;
      if (options.packets != 0) seconds = std::min(seconds, static_cast<double>(options.packets) / (sent_pps * share));
      one.sent = static_cast<std::uint64_t>(std::llround(sent_pps * share * seconds));
      one.due = flood ? one.sent : static_cast<std::uint64_t>(std::llround(offered * share * seconds));
      const auto room = static_cast<std::uint64_t>(capacity * share * seconds) + queue_packets;
      one.received.received =
          std::min(one.sent, room) - static_cast<std::uint64_t>(std::ceil(stray_loss * static_cast<double>(one.sent)));
      one.latency.add(static_cast<std::uint64_t>(1000 + 10000 * sent_pps / capacity), one.received.received);
      result.streams.push_back(one);
    }
    result.ports.resize(1);
    return result;
  }
};

std::vector<StreamDescription> streams(const std::string& list = "{rate: max}") {
  return profile_from_text("streams: [" + list + "]")->streams;
}

double figure(const Row& row, const std::string& name) {
  for (const auto& [key, value] : row.figures) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no figure " << name << " in " << row.name;
  return 0;
}

MethodOptions short_trials() {
  MethodOptions options;
  options.trial.seconds = 1;
  return options;
}

TEST(Method, ThroughputIsFoundWithinItsPrecision) {
  for (const double capacity : {3e3, 123'456.0, 1e6, 4.99e6}) {
    Switch dut;
    dut.capacity_pps = capacity;
    Method method(dut, streams(), short_trials(), {});
    const auto result = method.throughput();
    ASSERT_TRUE(result.ok());
    const double found = figure(result->rows[0], "throughput_pps");
    EXPECT_LE(found, capacity + 1);
    EXPECT_GE(found, capacity * 0.994) << "trials: " << dut.asked.size();
    EXPECT_EQ(figure(result->rows[0], "loss"), 0);
    EXPECT_LT(dut.asked.size(), 25u);
  }
}

TEST(Method, ASwitchThatLosesNothingHasWhatItWasSent) {
  Switch dut;
  dut.capacity_pps = 1e9;
  Method method(dut, streams(), short_trials(), {});
  const auto result = method.throughput();
  EXPECT_NEAR(figure(result->rows[0], "throughput_pps"), 5e6, 1);
  EXPECT_EQ(dut.asked.size(), 2u) << "one flood, one trial at that rate";
}

TEST(Method, TheGeneratorsOwnLimitIsNoThroughputOfTheSwitch) {
  Switch dut;
  dut.capacity_pps = 1e9;
  MethodOptions options = short_trials();
  options.most_pps = 20e6;  // four times what the generator can
  Method method(dut, streams(), options, {});
  const auto result = method.throughput();
  EXPECT_NEAR(figure(result->rows[0], "throughput_pps"), 5e6, 5e6 * 0.006) << "unsent packets are lost ones";
}

TEST(Method, ASwitchThatAlwaysLosesHasNoThroughputButAPdr) {
  Switch dut;
  dut.stray_loss = 0.001;
  Method throughput(dut, streams(), short_trials(), {});
  EXPECT_EQ(figure(throughput.throughput()->rows[0], "throughput_pps"), 0);
  Method both(dut, streams(), short_trials(), {});
  const auto result = both.ndr_pdr();
  EXPECT_EQ(figure(result->rows[0], "ndr_pps"), 0);
  EXPECT_NEAR(figure(result->rows[0], "pdr_pps"), 1e6 * 1.004, 8e3);
}

TEST(Method, EachSizeHasItsOwnRow) {
  Switch dut;
  dut.bytes_matter = 1e9;
  MethodOptions options = short_trials();
  options.sizes = {64, 512, 1514};
  Method method(dut, streams(), options, {});
  const auto result = method.throughput();
  ASSERT_EQ(result->rows.size(), 3u);
  EXPECT_EQ(result->rows[1].name, "512 B");
  EXPECT_NEAR(figure(result->rows[0], "throughput_pps"), 1e6, 6e3);
  EXPECT_NEAR(figure(result->rows[1], "throughput_pps"), 1e9 / 8 / 512, 1300);
  EXPECT_NEAR(figure(result->rows[2], "throughput_pps"), 1e9 / 8 / 1514, 450);
}

TEST(Method, StreamsKeepTheirShares) {
  const auto scaled = with_rate(streams("{rate: 3Mpps}, {rate: 1Mpps}"), 100'000, 10e9);
  EXPECT_DOUBLE_EQ(scaled[0].rate.value, 75'000);
  EXPECT_DOUBLE_EQ(scaled[1].rate.value, 25'000);
  for (const auto& stream : with_rate(streams("{rate: max}, {rate: 1Mpps}"), 100'000, 10e9)) {
    EXPECT_DOUBLE_EQ(stream.rate.value, 50'000);
  }
}

TEST(Method, LatencyIsMeasuredBelowTheThroughput) {
  Switch dut;
  Method method(dut, streams(), short_trials(), {});
  const auto result = method.latency();
  ASSERT_EQ(result->rows.size(), 4u);
  const double most = figure(result->rows[0], "offered_pps");
  EXPECT_NEAR(figure(result->rows[2], "offered_pps"), most / 2, 1);
  EXPECT_LT(figure(result->rows[1], "p50_ns"), figure(result->rows[3], "p50_ns"));
  EXPECT_TRUE(result->rows[3].latency.has_value());
}

TEST(Method, BackToBackFindsTheQueue) {
  Switch dut;  // forwards 1M of 5M a second, so a burst of n leaves n * 4 / 5 in the queue
  dut.queue_packets = 10'000;
  MethodOptions options = short_trials();
  options.repeats = 3;
  Method method(dut, streams(), options, {});
  const auto result = method.back_to_back();
  EXPECT_NEAR(figure(result->rows[0], "mean_frames"), 12'500, 70);
  EXPECT_EQ(figure(result->rows[0], "least_frames"), figure(result->rows[0], "most_frames"));
}

TEST(Method, FrameLossStopsBehindTwoCleanTrials) {
  Switch dut;
  dut.generator_pps = 1.25e6;
  Method method(dut, streams(), short_trials(), {});
  const auto result = method.frame_loss();
  ASSERT_EQ(result->rows.size(), 4u) << "100, 90, 80, 70 %";
  EXPECT_NEAR(figure(result->rows[0], "loss"), 0.2, 1e-3);
  EXPECT_GT(figure(result->rows[1], "loss"), 0);
  EXPECT_EQ(figure(result->rows[2], "loss"), 0);
}

TEST(Method, FlowSweepHasARowForEachNumber) {
  Switch dut;
  dut.capacity_by_flows = [](std::uint32_t flows) { return flows > 100'000 ? 1e6 : 2e6; };
  MethodOptions options = short_trials();
  options.flows = {1, 10'000, 1'000'000};
  Method method(dut, streams(), options, {});
  const auto result = method.flow_sweep();
  ASSERT_EQ(result->rows.size(), 3u);
  EXPECT_NEAR(figure(result->rows[1], "throughput_pps"), 2e6, 12e3);
  EXPECT_NEAR(figure(result->rows[2], "throughput_pps"), 1e6, 6e3);
}

TEST(Method, SoakAddsUpWhatItsTrialsLost) {
  Switch dut;
  MethodOptions options = short_trials();
  options.soak_seconds = 5;
  Method method(dut, streams("{rate: 1.25Mpps}"), options, {});
  const auto result = method.soak();
  ASSERT_EQ(result->rows.size(), 6u);
  EXPECT_EQ(figure(result->rows[5], "due"), 5 * 1.25e6);
  EXPECT_EQ(figure(result->rows[5], "lost"), 5 * 0.25e6);
  EXPECT_EQ(result->rows[5].latency->count(), 5'000'000u);
}

TEST(Method, TrialsOfASoakAreNamedByWhenTheyBeganHoweverShort) {
  Switch dut;
  MethodOptions options = short_trials();
  options.trial.seconds = 0.25;
  options.soak_seconds = 1;
  Method method(dut, streams(), options, {});
  const auto result = method.soak();
  std::vector<std::string> names;
  for (const Row& row : result->rows) names.push_back(row.name);
  EXPECT_EQ(names, (std::vector<std::string>{"0 s", "0.25 s", "0.5 s", "0.75 s", "all"}));
}

TEST(Method, EveryTrialIsShown) {
  Switch dut;
  std::size_t seen = 0;
  Method method(dut, streams(), short_trials(), [&](const Point&) { ++seen; });
  const auto result = method.throughput();
  EXPECT_EQ(seen, dut.asked.size());
  EXPECT_EQ(result->points.size(), seen);
}

}  // namespace
}  // namespace millrace::perf::gen
