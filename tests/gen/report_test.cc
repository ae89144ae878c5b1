// Reports: what a person reads must be what was measured.
#include <gtest/gtest.h>

#include <cmath>

#include "perf/gen/report/connect_text.h"
#include "perf/gen/report/fingerprint.h"
#include "perf/gen/report/method_text.h"
#include "perf/gen/report/page.h"
#include "perf/gen/report/plot.h"
#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

TrialResult trial() {
  TrialResult result;
  result.seconds = 2;
  StreamResult stream;
  stream.name = "<web & more>";
  stream.due = 2'000'000;
  stream.sent = 1'990'000;
  stream.received.received = 1'900'000;
  stream.received.bytes = stream.received.received * 64;
  stream.received.reordered = 12;
  stream.latency.add(1500, 1'890'000);
  stream.latency.add(90'000, 10'000);
  result.streams.push_back(stream);
  result.ports.resize(2);
  result.idle = 0.004;
  result.taken = 0.25;
  for (int i = 1; i <= 4; ++i) result.samples.push_back({i * 0.5, 1e6, 9.5e5, 1800, 90'000, 0.004});
  return result;
}

LabelledResult run_result(const std::string& label) {
  return {label, {{"kind", "run"}, {"machine", fingerprint("4K pages")}, {"result", trial_json(trial())}}};
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// Every tag that is opened is closed, in order: what browsers forgive is still wrong.
bool is_nested(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n/", 1));
    if (tag[0] == '!' || tag.back() == '/' || name == "meta") continue;
    if (tag[0] != '/') {
      open.push_back(name);
    } else {
      if (open.empty() || "/" + open.back() != tag) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(Report, TextNamesWhatIsNotZero) {
  const std::string text = trial_text(trial());
  for (const char* part : {"sent 1990000 (0.995 Mpps)", "received 1900000 (0.950 Mpps, 0.486 Gbit/s)",
                           "lost 100000 (5.0000 %)", "of them unsent 10000", "reordered 12", "p50 1.50 us",
                           "max 90.00 us", "idle 0.4 %", "kept off its CPU 25.0 %"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(text.find("twice"), std::string::npos);
}

TEST(Report, OfARecordingNoLossIsTold) {
  TrialResult result = trial();
  StreamResult recording;
  recording.name = "recorded";
  recording.due = 510;
  recording.sent = recording.untagged = 500;
  result.streams.push_back(recording);
  const std::string text = trial_text(result);
  for (const char* part : {"recorded     sent 500 (0.000 Mpps)  unsent 10  as recorded, without tags: what comes of it",
                           "total        sent 1990500 (0.995 Mpps)  of them 500 without tags  received 1900000",
                           "lost 100010 (4.9992 %)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  const auto json = trial_json(result);
  EXPECT_EQ(json["streams"][1]["lost"], 10u);
  EXPECT_EQ(json["streams"][1]["untagged"], 500u);
}

TEST(Report, PageIsCompleteInItselfAndSaysWhatToDoubt) {
  const auto page = make_page({run_result("before"), run_result("after <1>")});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(is_nested(*page));
  EXPECT_EQ(count(*page, "<svg"), 3u) << "rate, latency, percentiles; no trials to plot";
  EXPECT_EQ(count(*page, "http"), 0u) << "nothing from outside";
  EXPECT_EQ(count(*page, "<script"), 0u);
  EXPECT_NE(page->find("before: sent"), std::string::npos);
  EXPECT_NE(page->find("after &lt;1&gt;: sent"), std::string::npos);
  EXPECT_NE(page->find("&lt;web &amp; more&gt;"), std::string::npos);
  EXPECT_NE(page->find("less than 2 %"), std::string::npos);
  EXPECT_NE(page->find("off its CPU for 25.0 %"), std::string::npos);
}

TEST(Report, MethodsHaveTheirRowsInEveryForm) {
  MethodResult method{.method = "throughput", .rows = {}, .points = {}};
  method.rows.push_back(
      {.name = "64 B", .figures = {{"throughput_pps", 1.25e6}, {"loss", 0}}, .latency = trial().total().latency});
  method.rows.push_back(
      {.name = "512 B", .figures = {{"throughput_pps", 1e6}, {"p99_ns", 2500}}, .latency = std::nullopt});
  method.points.push_back({.row = "64 B", .offered_pps = 2e6, .passed = false, .result = trial()});
  method.points.push_back({.row = "64 B", .offered_pps = 1e6, .passed = true, .result = trial()});
  EXPECT_EQ(method_text(method),
            "        throughput      loss      p99\n"
            "64 B   1.2500 Mpps  0.0000 %         \n"
            "512 B  1.0000 Mpps            2.50 us\n");
  EXPECT_EQ(method_csv(method), "row,throughput_pps,loss,p99_ns\n64 B,1250000,0,\n512 B,1000000,,2500\n");
  const auto json = method_json(method);
  EXPECT_EQ(json["points"].size(), 2u);
  EXPECT_FALSE(json["points"][0]["result"].contains("samples"));
  const auto page = make_page({{"a", {{"kind", "test"}, {"machine", fingerprint("")}, {"result", json}}}});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(is_nested(*page));
  EXPECT_EQ(count(*page, "<circle"), 2u + 1 + 2) << "a dot for each trial, one in the legend, and each throughput";
  EXPECT_NE(page->find("1.2500 Mpps"), std::string::npos);
}

nlohmann::ordered_json changed() {
  return nlohmann::ordered_json::parse(R"({
    "changes": [{"command": "deny", "began_seconds": 1.0, "took_seconds": 0.01, "error": "", "due": 100, "lost": 7,
                 "longest_gap_ns": 51000000,
                 "streams": [{"name": "web", "due": 100, "lost": 7, "longest_gap_ns": 51000000, "effect": "stopped",
                              "effect_ns": 3000000}]},
                {"command": "allow", "began_seconds": 2.0, "took_seconds": 0.01, "error": "'allow': exit code 3", "due": 100,
                 "lost": 0, "longest_gap_ns": 1000, "streams": [{"name": "web", "due": 100, "lost": 0,
                 "longest_gap_ns": 1000, "effect": "none"}]}],
    "losses": [{"stream": "web", "step_seconds": 0.001, "lost": [[1003, 3], [1004, 4]]}]})");
}

TEST(Report, ChangesHaveTheirTableAndStandInThePlots) {
  auto result = run_result("run");
  result.second["result"]["reconfiguration"] = changed();
  const auto page = make_page({result});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(is_nested(*page));
  EXPECT_EQ(count(*page, "<svg"), 4u) << "losses, too";
  EXPECT_EQ(count(*page, "class='mark'"), 4u) << "two changes in two plots";
  for (const char* part : {"51.00 ms", "stopped", "3.00 ms", "&#39;allow&#39;: exit code 3"}) {
    EXPECT_NE(page->find(part), std::string::npos) << part;
  }
}

TEST(Report, ConnectionsHaveTheirPlotAndFailures) {
  ConnectResult result;
  result.seconds = 2;
  result.counts.due = 100;
  result.counts.completed = 90;
  result.counts.no_response = 10;
  result.connect_ns.add(1000, 90);
  result.response_ns.add(2000, 90);
  result.samples.resize(3);
  for (std::size_t i = 0; i < 3; ++i) result.samples[i].seconds = 0.5 * static_cast<double>(i + 1);
  const auto page =
      make_page({{"web", {{"kind", "connect"}, {"machine", fingerprint("")}, {"result", connect_json(result)}}}});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(is_nested(*page));
  EXPECT_EQ(count(*page, "<svg"), 2u) << "connections and percentiles";
  EXPECT_NE(page->find("<th>no response</th>"), std::string::npos);
  EXPECT_NE(page->find("<th>response p99</th>"), std::string::npos);
}

MethodResult sweep(double scale) {
  MethodResult method{.method = "sweep", .rows = {}, .points = {}, .error = "1000: 'set 1000': exit code 1"};
  for (const char* number : {"10", "100"}) {
    method.rows.push_back({.name = number,
                           .figures = {{"value", std::stod(number)},
                                       {"throughput_pps", scale * 1e7 / std::stod(number)},
                                       {"half_p50_ns", 1000},
                                       {"half_p99_ns", 2000}},
                           .latency = std::nullopt});
  }
  return method;
}

TEST(Report, SweepsLieOverEachOtherWithTheirRatios) {
  const auto labelled = [](const char* label, double scale) {
    return LabelledResult(label,
                          {{"kind", "test"}, {"machine", fingerprint("")}, {"result", method_json(sweep(scale))}});
  };
  const auto page = make_page({labelled("before", 1), labelled("after", 1.5)});
  ASSERT_TRUE(page.ok()) << page.error().message;
  EXPECT_TRUE(is_nested(*page));
  EXPECT_EQ(count(*page, "<svg"), 2u) << "throughput and latency by the number";
  EXPECT_EQ(count(*page, "<b>1.50x</b>"), 2u);
  EXPECT_EQ(count(*page, "It ended before its end"), 2u);
  EXPECT_NE(page->find("before: throughput"), std::string::npos);
  EXPECT_NE(page->find("after: half p99"), std::string::npos);
}

TEST(Report, MachinesThatDifferAreMarked) {
  auto one = run_result("one"), other = run_result("other");
  other.second["machine"]["kernel"] = "9.9.9";
  const auto page = make_page({one, other});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(count(*page, "<tr class='differs'><th>kernel</th>"), 1u);
  EXPECT_EQ(count(*page, "class='differs'"), 1u);
}

TEST(Report, OtherJsonIsRefusedByName) {
  const auto page = make_page({{"odd", {{"kind", "run"}}}});
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().message.find("odd: no result of millrace-gen"), 0u) << page.error().message;
}

TEST(Plot, TicksAreRoundAndWithin) {
  EXPECT_EQ(ticks(0, 10, false), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks(1, 1000, true), (std::vector<double>{1, 10, 100, 1000}));
  for (const auto& [least, most] : {std::pair{0.0, 1.3e7}, {0.0, 0.0004}, {-3.0, 17.0}, {99.0, 100.0}}) {
    const auto marks = ticks(least, most, false);
    EXPECT_GE(marks.size(), 3u);
    EXPECT_LE(marks.size(), 8u);
    for (const double mark : marks) EXPECT_TRUE(mark >= least - 1e-9 && mark <= most + 1e-9);
  }
  EXPECT_TRUE(ticks(1, 1, false).empty());
}

TEST(Plot, NothingIsDrawnOfNothing) {
  EXPECT_EQ(draw({.title = "empty", .x = {}, .y = {}, .series = {{.name = "a", .points = {}}}}), "");
  const std::string one = draw({.title = "one",
                                .x = {.label = "x", .logarithmic = true, .text = {}},
                                .y = {},
                                .series = {{.name = "a", .points = {{0, 0}}}}});
  EXPECT_EQ(one.find("nan"), std::string::npos) << one;
  EXPECT_EQ(one.find("inf"), std::string::npos) << one;
}

}  // namespace
}  // namespace millrace::perf::gen
