// What the terminal shows of a run: what was measured, no wider and no longer than the terminal.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "perf/gen/report/live_text.h"
#include "perf/gen/run/snapshot_box.h"

namespace millrace::perf::gen {
namespace {

std::size_t characters(const std::string& text) {
  std::size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  return count;
}

std::string all(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

LiveCounts counts(std::uint64_t sent, std::uint64_t received, std::uint64_t latency_ns) {
  LiveCounts counts;
  counts.streams.resize(1);
  counts.streams[0].sent = sent;
  counts.streams[0].received = received;
  counts.streams[0].latency.add(latency_ns, received);
  counts.ports = {{.sent = sent, .received = received}};
  counts.idle_ns = 25;
  counts.busy_ns = 75;
  return counts;
}

TEST(Live, RatesAreOfTheIntervalAndLossOfWhatWasSentBefore) {
  const LiveCounts before = counts(1000, 900, 1000);
  LiveCounts now = counts(4000, 900, 1000);
  now.streams[0].received = 950;
  now.streams[0].latency.add(5000, 50);
  const LiveSample sample = live_sample(before, now, 0.5);
  EXPECT_EQ(sample.streams[0].sent_pps, 6000);
  EXPECT_EQ(sample.streams[0].received_pps, 100);
  EXPECT_DOUBLE_EQ(sample.streams[0].loss, 0.05) << "what was sent since may be on the way";
  EXPECT_NEAR(static_cast<double>(sample.streams[0].p50_ns), 5000, 40) << "of the interval alone";
  EXPECT_EQ(sample.total.sent_pps, 6000);
}

TEST(Live, OfARecordingNoLossIsShown) {
  LiveCounts before = counts(1000, 1000, 1000), now = counts(4000, 1000, 1000);
  for (LiveCounts* const each : {&before, &now}) {
    each->streams.push_back({.sent = 300, .received = 0, .untagged = 300, .latency = {}});
  }
  const LiveSample sample = live_sample(before, now, 1);
  EXPECT_FALSE(sample.streams[0].is_recording);
  EXPECT_TRUE(sample.streams[1].is_recording);
  EXPECT_FALSE(sample.total.is_recording);
  EXPECT_EQ(sample.total.loss, 0);
  LiveHistory history;
  const LiveFrame frame = history.add(sample, {"made", "recorded"});
  EXPECT_EQ(frame.rows.back()[0], "> recorded");
  EXPECT_EQ(frame.rows.back()[3], "-");
  EXPECT_EQ(frame.rows[frame.rows.size() - 2][3], "0.0000 %");
  LiveSample alone;
  alone.total = sample.streams[1];
  EXPECT_NE(live_line(alone).find("lost -"), std::string::npos);
}

TEST(Live, AHistogramsGrowthIsWhatWasAdded) {
  Histogram earlier;
  for (std::uint64_t value = 1; value < 100'000; value += 7) earlier.add(value);
  Histogram later = earlier;
  later.add(300, 5);
  later.add(1'000'000, 3);
  const Histogram grown = later.since(earlier);
  EXPECT_EQ(grown.count(), 8u);
  EXPECT_NEAR(static_cast<double>(grown.percentile(50)), 300, 2);
  EXPECT_NEAR(static_cast<double>(grown.most()), 1e6, 4000);
  EXPECT_EQ(later.since(later).count(), 0u);
}

TEST(Live, SparklinesShowTheNewestByTheirLargest) {
  EXPECT_EQ(sparkline({0, 1, 4, 8}, 10), " ▁▄█");
  EXPECT_EQ(sparkline({100, 1, 4, 8}, 3), "▁▄█") << "what is not shown does not count";
  EXPECT_EQ(sparkline({0, 0}, 5), "  ");
  EXPECT_EQ(bar(0.5, 4), "██░░");
  EXPECT_EQ(bar(7, 2), "██");
}

TEST(Live, TheFrameSaysWhatWasMeasured) {
  LiveHistory history;
  LiveSample sample = live_sample(counts(0, 0, 0), counts(2'000'000, 1'999'000, 2500), 1);
  sample.seconds = 3;
  sample.of_seconds = 60;
  sample.idle = 0.01;
  const std::string text = all(draw(history.add(sample, {"clients"}), 120, 30));
  for (const char* part : {"3.0 of 60 s", "> clients", "2.000", "1.999", "2.50 us", "port 0", "at its limit"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(Live, ConnectionsShowTheirFailures) {
  LiveHistory history;
  ConnectSample sample;
  sample.counts.no_response = 17;
  sample.counts.open = 1234;
  sample.completed_per_second = 250'000;
  const std::string text = all(draw(history.add(sample), 120, 30));
  for (const char* part : {"250.0 k/s", "1234", "no response 17"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Live, NoLineIsWiderAndNoFrameLongerThanTheTerminal) {
  LiveHistory history;
  LiveSample sample;
  sample.streams.resize(100);
  sample.ports.resize(4);
  for (int i = 0; i < 300; ++i) history.add(sample, {});
  for (const std::size_t columns : {20u, 40u, 80u, 200u}) {
    for (const std::size_t lines : {3u, 10u, 24u, 200u}) {
      const auto text = draw(history.add(sample, {}), columns, lines);
      EXPECT_LE(text.size(), lines);
      for (const std::string& line : text) EXPECT_LE(characters(line), columns) << line;
    }
  }
  EXPECT_NE(all(draw(history.add(sample, {}), 80, 24)).find("... and 88 more"), std::string::npos);
}

TEST(SnapshotBox, ACopyIsWholeWhileItsOwnerGoesOn) {
  struct Pair {
    std::uint64_t one = 0, other = 0;
  };
  SnapshotBox<Pair> box;
  std::atomic<bool> stop{false};
  std::thread owner([&] {
    for (std::uint64_t number = 1; !stop.load(); ++number) {
      box.fill_if_wanted([&](Pair& pair) { pair = {number, number}; });
    }
  });
  std::uint64_t last = 0;
  for (int i = 0; i < 200; ++i) {
    const Pair* const pair = box.ask(std::chrono::seconds(10));
    ASSERT_NE(pair, nullptr);
    EXPECT_EQ(pair->one, pair->other);
    EXPECT_GT(pair->one, last);
    last = pair->one;
  }
  stop.store(true);
  owner.join();
  EXPECT_EQ(box.ask(std::chrono::milliseconds(5)), nullptr) << "nobody is there to answer";
}

}  // namespace
}  // namespace millrace::perf::gen
