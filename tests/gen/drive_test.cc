// Commands that drive a device: what they say when they fail, what changes cost, which connections were there.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "perf/gen/drive/connections_runner.h"
#include "perf/gen/drive/reconfigure.h"
#include "perf/gen/method/method.h"
#include "perf/gen/stream/flow_order.h"
#include "perf/gen/stream/profile.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

TEST(Shell, KeepsWhatACommandPrints) {
  const auto done = run_shell("echo out; echo err >&2", {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->output, "out\nerr\n");
  EXPECT_GT(done->seconds, 0);
}

struct Failing {
  const char* name;
  std::string command;
  net::ErrorCode code;
  std::string message;
};

TEST(Shell, AFailureNamesTheCommandItsCodeAndWhatItPrinted) {
  const Failing table[] = {
      {"a code", "echo no such rule >&2; exit 7", net::ErrorCode::kFailedPrecondition,
       "'echo no such rule >&2; exit 7': exit code 7; it printed:\nno such rule"},
      {"silence", "false", net::ErrorCode::kFailedPrecondition, "'false': exit code 1; it printed nothing"},
      {"no program", "/nowhere/at-all 2>/dev/null", net::ErrorCode::kFailedPrecondition,
       "'/nowhere/at-all 2>/dev/null': exit code 127; it printed nothing"},
      {"a signal", "kill -9 $$", net::ErrorCode::kFailedPrecondition,
       "'kill -9 $$': ended by signal 9; it printed nothing"},
      {"too slow", "echo begun; exec sleep 600", net::ErrorCode::kDeadlineExceeded,
       "'echo begun; exec sleep 600': not done after 0.2 s, and killed; it printed:\nbegun"},
  };
  for (const Failing& row : table) {
    const auto done = run_shell(row.command, {.timeout_seconds = 0.2, .stopped = {}});
    ASSERT_FALSE(done.ok()) << row.name;
    EXPECT_EQ(done.error().code, row.code) << row.name;
    EXPECT_EQ(done.error().message, row.message) << row.name;
  }
}

TEST(Shell, WhatIsKilledTakesItsChildrenWithIt) {
  const auto done = run_shell("sleep 600 & echo $!; wait", {.timeout_seconds = 0.2, .stopped = {}});
  ASSERT_FALSE(done.ok());
  const std::string& text = done.error().message;
  const pid_t child = std::stoi(text.substr(text.rfind('\n') + 1));
  pollfd ends{.fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0)), .events = POLLIN, .revents = 0};
  if (ends.fd < 0) return;  // gone
  EXPECT_EQ(::poll(&ends, 1, 10'000), 1) << "it goes on";
  ::close(ends.fd);
}

TEST(Shell, EndsWhenTheRunIsStopped) {
  const auto before = std::chrono::steady_clock::now();
  const auto done = run_shell("exec sleep 600", {.timeout_seconds = 600, .stopped = [] { return true; }});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, net::ErrorCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
}

TEST(Shell, APageAfterPageDoesNotFillMemoryNorBlock) {
  const auto done = run_shell("yes line | head -c 1000000", {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->output.size(), kMostOutputBytes);
}

TEST(Shell, ValuesGoWhereverTheyAreNamed) {
  EXPECT_EQ(with_value("set {n} rules; check {n} {i}", "n", 1000), "set 1000 rules; check 1000 {i}");
}

/// 10 s at a packet a millisecond, with what `comes` says of each.
Timeline timeline_of(const std::function<bool(std::uint64_t)>& comes, std::uint64_t latency_ns = 1000) {
  Timeline timeline(0, 10'000 * kMs, kMs);
  for (std::uint64_t packet = 0; packet < 10'000; ++packet) {
    if (comes(packet)) timeline.take(latency_ns, packet * kMs + latency_ns);
  }
  timeline.end_gap(10'000 * kMs);
  count_due(timeline, Schedule(1000, 1, 0, 0), 0, 10'000 * kMs);
  return timeline;
}

TEST(Effect, LossAndGapBelongToTheChangeInWhoseTimeTheyFell) {
  const Timeline timeline = timeline_of([](std::uint64_t packet) { return packet < 3100 || packet >= 3150; });
  const Effect before = effect_of(timeline, 1, 3), during = effect_of(timeline, 3, 5),
               after = effect_of(timeline, 5, 10);
  EXPECT_EQ(before.lost + after.lost, 0u);
  EXPECT_EQ(before.gap_ns, kMs);
  EXPECT_EQ(during.due, 2000u);
  EXPECT_EQ(during.lost, 50u);
  EXPECT_EQ(during.gap_ns, 51 * kMs);
  EXPECT_EQ(during.kind, Effect::Kind::kNone);
  EXPECT_EQ(after.gap_ns, kMs);
}

TEST(Effect, APacketCountsWhenItWasDueHoweverLongItWasOnTheWay) {
  const Timeline timeline = timeline_of([](std::uint64_t packet) { return packet != 2999; }, 700 * kMs);
  EXPECT_EQ(effect_of(timeline, 1, 3).lost, 1u);
  EXPECT_EQ(effect_of(timeline, 3, 5).lost, 0u);
}

TEST(Effect, AStreamThatStopsOrBeginsTellsWhenTheChangeTookEffect) {
  const Timeline stops = timeline_of([](std::uint64_t packet) { return packet < 3200; });
  EXPECT_EQ(effect_of(stops, 3, 5).kind, Effect::Kind::kStopped);
  EXPECT_NEAR(effect_of(stops, 3, 5).after_seconds, 0.2, 0.0011);
  EXPECT_EQ(effect_of(stops, 5, 10).kind, Effect::Kind::kNone) << "it had stopped before";
  const Timeline begins = timeline_of([](std::uint64_t packet) { return packet >= 3045; });
  EXPECT_EQ(effect_of(begins, 3, 5).kind, Effect::Kind::kBegan);
  EXPECT_NEAR(effect_of(begins, 3, 5).after_seconds, 0.045, 0.0011);
}

TEST(Effect, WhatAnotherThreadReceivedIsTheSameStream) {
  Timeline one(0, 100 * kMs, kMs), other(0, 100 * kMs, kMs);
  one.end_gap(100 * kMs);  // nothing came here
  for (std::uint64_t at = 0; at < 100; ++at) other.take(0, at * kMs);
  other.end_gap(100 * kMs);
  one.merge(other);
  EXPECT_EQ(one.received(), 100u);
  EXPECT_EQ(effect_of(one, 0, 0.1).gap_ns, kMs);
}

TEST(Reconfigurer, RunsItsCommandAtItsTimesAndKeepsWhatWentWrong) {
  Reconfigurer changes({.command = "test {i} != 2",
                        .first_seconds = 0.05,
                        .every_seconds = 0.1,
                        .shell = {.timeout_seconds = 10, .stopped = {}}});
  const auto start = std::chrono::steady_clock::now();
  const auto since = [start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  changes.begin(since, 60);
  while (since() < 0.3) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  changes.end();
  ASSERT_GE(changes.changes().size(), 2u);
  EXPECT_GE(changes.changes()[0].began_seconds, 0.05);
  EXPECT_GE(changes.changes()[1].began_seconds, 0.15);
  EXPECT_EQ(changes.changes()[0].command, "test 1 != 2");
  EXPECT_EQ(changes.changes()[0].error, "");
  EXPECT_EQ(changes.changes()[1].error, "'test 2 != 2': exit code 1; it printed nothing");
}

TEST(Reconfigurer, ChangesNothingOnceTheTrialIsOver) {
  Reconfigurer changes({.command = "true", .first_seconds = 1, .every_seconds = 1, .shell = {}});
  std::atomic<int> asked{0};
  changes.begin([&] { return 0.5 * ++asked; }, 3);
  while (asked.load() < 6) std::this_thread::yield();
  changes.end();
  EXPECT_GE(changes.changes().size(), 1u);
  for (const Change& change : changes.changes()) EXPECT_LT(change.began_seconds, 3);
}

TEST(Reconfigurer, ItsResultHasEveryStreamOfEveryChange) {
  TrialResult result;
  result.seconds = 10;
  StreamResult stream;
  stream.name = "clients";
  stream.timeline = timeline_of([](std::uint64_t packet) { return packet < 3100 || packet >= 3150; });
  result.streams.push_back(stream);
  const std::vector<Change> changes = {
      {.command = "a", .began_seconds = 3, .took_seconds = 0.01, .error = {}},
      {.command = "b", .began_seconds = 6, .took_seconds = 0.01, .error = "'b': exit code 1"}};
  const auto json = changes_json(changes, result);
  EXPECT_EQ(json["changes"][0]["lost"], 50);
  EXPECT_EQ(json["changes"][0]["streams"][0]["longest_gap_ns"], 51 * kMs);
  EXPECT_EQ(json["changes"][1]["lost"], 0);
  EXPECT_EQ(json["changes"][1]["error"], "'b': exit code 1");
  EXPECT_EQ(json["losses"][0]["lost"].size(), 50u);
  EXPECT_EQ(json["losses"][0]["lost"][0], (nlohmann::ordered_json{3100, 1}));
  const std::string text = changes_text(changes, result);
  EXPECT_NE(text.find("lost 50 of 3000  longest gap 51.00 ms"), std::string::npos) << text;
  EXPECT_NE(text.find("'b': exit code 1"), std::string::npos) << text;
}

TEST(FlowOrder, ShuffledGivesEveryFlowOnceInEveryRound) {
  for (const std::uint32_t flows : {1u, 2u, 3u, 1000u, 65'536u, 100'000u}) {
    FlowPicker picker(FlowOrder::kShuffled, flows, 1, 1);
    for (int round = 0; round < 2; ++round) {
      std::vector<bool> seen(flows, false);
      std::uint64_t next_to_last = 0;
      std::uint32_t last = flows;
      for (std::uint32_t i = 0; i < flows; ++i) {
        const std::uint32_t flow = picker.next();
        ASSERT_LT(flow, flows);
        EXPECT_FALSE(seen[flow]) << flow << " of " << flows;
        seen[flow] = true;
        next_to_last += flow == last + 1;
        last = flow;
      }
      EXPECT_TRUE(flows < 1000 || next_to_last < flows / 20) << "a pattern";
    }
  }
}

}  // namespace
}  // namespace millrace::perf::gen
