#include "perf/gen/report/page_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "perf/gen/report/figure_text.h"
#include "perf/gen/stream/key_reader.h"

namespace millrace::perf::gen {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLossBins = 400;  // of a reconfiguration's time
constexpr double kLogRatio = 20;   // numbers of a sweep that span more are drawn on a logarithmic axis

std::string mpps(double pps) { return fmt::format("{:g}", pps / 1e6); }

Axis seconds_axis() { return {.label = "seconds", .logarithmic = false, .text = {}}; }
Axis time_axis(const char* label) { return {.label = label, .logarithmic = true, .text = time_text}; }
Axis rate_axis(const char* label) { return {.label = label, .logarithmic = false, .text = mpps}; }

Series line(const std::string& name) { return {.name = name, .points = {}}; }

/// Latency by percentile: x is 1 / (1 - p), so that each nine takes as much room as the last.
Series percentiles(const std::string& name, const Json& latency) {
  Series series = line(name);
  const auto total = latency.value("count", std::uint64_t{0});
  std::uint64_t seen = 0;
  for (const Json& bucket : latency.value("histogram", Json::array())) {
    const auto middle = (bucket[0].get<double>() + bucket[1].get<double>()) / 2;
    const double before = static_cast<double>(seen) / static_cast<double>(total);
    series.points.emplace_back(1 / (1 - before), middle);
    seen += bucket[2].get<std::uint64_t>();
  }
  return series;
}

/// The number that a row's name begins with: "64 B", "1000 flows", "10".
std::optional<double> leading_number(const std::string& name) {
  std::string_view digits(name);
  digits = digits.substr(0, digits.find(' '));
  const auto number = whole_number(digits);
  return number ? std::optional<double>(static_cast<double>(*number)) : std::nullopt;
}

}  // namespace

PagePlots::PagePlots()
    : rate_{.title = "Rate", .x = seconds_axis(), .y = rate_axis("Mpps"), .series = {}},
      latency_{.title = "Latency in each interval", .x = seconds_axis(), .y = time_axis("latency"), .series = {}},
      losses_{.title = "Packets lost while the device was changed, by when they were due",
              .x = seconds_axis(),
              .y = {.label = "packets lost", .logarithmic = false, .text = {}},
              .series = {}},
      connections_{.title = "Connections",
                   .x = seconds_axis(),
                   .y = {.label = "thousands a second",
                         .logarithmic = false,
                         .text = [](double value) { return fmt::format("{:g}", value / 1e3); }},
                   .series = {}},
      throughput_{.title = "Throughput by what was varied",
                  .x = {.label = "", .logarithmic = false, .text = {}},
                  .y = rate_axis("Mpps"),
                  .series = {}},
      half_{.title = "Latency by what was varied", .x = {}, .y = time_axis("latency"), .series = {}},
      percentiles_{.title = "Latency by percentile, from the time a packet was due",
                   .x = {.label = "packets that are faster",
                         .logarithmic = true,
                         .text = [](double x) { return fmt::format("{:.6g} %", 100 - 100 / x); }},
                   .y = time_axis("latency"),
                   .series = {}},
      trials_{.title = "Loss by rate, every trial",
              .x = rate_axis("offered, Mpps"),
              .y = {.label = "lost, %", .logarithmic = false, .text = {}},
              .series = {}} {}

void PagePlots::add_run(const std::string& label, const Json& result) {
  Series sent = line(label + ": sent"), received = line(label + ": received");
  Series mean = line(label + ": mean"), most = line(label + ": highest");
  sent.dashed = most.dashed = true;
  for (const Json& sample : result.at("samples")) {
    const auto at = sample.at("seconds").get<double>();
    sent.points.emplace_back(at, sample.at("sent_pps").get<double>());
    received.points.emplace_back(at, sample.at("received_pps").get<double>());
    if (sample.at("received_pps").get<double>() == 0) continue;  // none came, so none has a latency
    mean.points.emplace_back(at, sample.at("mean_latency_ns").get<double>());
    most.points.emplace_back(at, sample.at("max_latency_ns").get<double>());
  }
  rate_.series.insert(rate_.series.end(), {sent, received});
  latency_.series.insert(latency_.series.end(), {mean, most});
  percentiles_.series.push_back(percentiles(label, result.at("total").at("latency_ns")));
  if (result.contains("reconfiguration")) add_changes(label, result["reconfiguration"]);
}

void PagePlots::add_connect(const std::string& label, const Json& result) {
  Series completed = line(label + ": completed"), failed = line(label + ": failed");
  failed.dashed = true;
  for (const Json& sample : result.value("samples", Json::array())) {
    const auto at = sample.at("seconds").get<double>();
    completed.points.emplace_back(at, sample.at("completed_per_second").get<double>());
    failed.points.emplace_back(at, sample.at("failed_per_second").get<double>());
  }
  connections_.series.insert(connections_.series.end(), {completed, failed});
  percentiles_.series.push_back(percentiles(label + ": connect", result.at("connect_ns")));
  percentiles_.series.push_back(percentiles(label + ": response", result.at("response_ns")));
}

void PagePlots::add_test(const std::string& label, const Json& result) {
  add_rows(label, result.at("rows"));
  for (const Json& row : result.at("rows")) {
    const std::string name = label + ": " + row.at("name").get<std::string>();
    if (row.contains("latency_ns")) percentiles_.series.push_back(percentiles(name, row["latency_ns"]));
    Series loss{.name = name, .points = {}, .line = false};
    for (const Json& point : result.at("points")) {
      const auto offered = point.at("offered_pps").get<double>();
      if (point.at("row") != row.at("name") || offered == 0) continue;
      loss.points.emplace_back(offered, point.at("result").at("total").at("loss").get<double>() * 100);
    }
    if (!loss.points.empty()) trials_.series.push_back(std::move(loss));
  }
  if (result.contains("reconfiguration")) add_changes(label, result["reconfiguration"]);
}

void PagePlots::add_rows(const std::string& label, const Json& rows) {
  const std::map<std::string, Plot*> drawn = {{"throughput_pps", &throughput_},
                                              {"ndr_pps", &throughput_},
                                              {"pdr_pps", &throughput_},
                                              {"half_p50_ns", &half_},
                                              {"half_p99_ns", &half_}};
  if (rows.size() < 2) return;
  for (const auto& [figure, plot] : drawn) {
    Series series = line(label + ": " + figure_name(figure));
    series.dots = true;
    series.dashed = figure == "half_p50_ns" || figure == "pdr_pps";
    double least = 0, most = 0;
    for (const Json& row : rows) {
      const auto number = leading_number(row.at("name").get<std::string>());
      if (!number || !row.contains(figure)) continue;
      series.points.emplace_back(*number, row[figure].get<double>());
      least = least == 0 ? *number : std::min(least, *number);
      most = std::max(most, *number);
    }
    if (series.points.size() < 2) continue;
    plot->x.label = rows[0].contains("value") ? "number that the device was given" : "bytes, or flows";
    plot->x.logarithmic |= least > 0 && most / least > kLogRatio;
    plot->series.push_back(std::move(series));
  }
  half_.title = "Latency at half of the throughput, by what was varied";
}

void PagePlots::add_changes(const std::string& label, const Json& changes) {
  std::size_t number = 0;
  for (const Json& change : changes.at("changes")) {
    const auto at = change.at("began_seconds").get<double>();
    losses_.marks.push_back({.x = at, .text = fmt::format("{}", ++number)});
    rate_.marks.push_back({.x = at, .text = fmt::format("{}", number)});
  }
  for (const Json& stream : changes.at("losses")) {
    const auto step_seconds = stream.at("step_seconds").get<double>();
    double last = 0;
    for (const Json& lost : stream.at("lost")) last = std::max(last, lost[0].get<double>());
    for (const Plot::Mark& mark : losses_.marks) last = std::max(last, mark.x / step_seconds);
    const double width = std::max(1.0, std::ceil((last + 1) / kLossBins));
    std::map<double, double> bins;
    for (double bin = 0; bin <= last / width + 1; ++bin) bins[bin] = 0;
    for (const Json& lost : stream.at("lost")) bins[std::floor(lost[0].get<double>() / width)] += lost[1].get<double>();
    Series series = line(label + ": " + stream.at("stream").get<std::string>());
    for (const auto& [bin, packets] : bins) series.points.emplace_back(bin * width * step_seconds, packets);
    losses_.series.push_back(std::move(series));
  }
}

std::string PagePlots::draw_all() const {
  std::string html;
  for (const Plot* plot : {&throughput_, &half_, &rate_, &losses_, &latency_, &connections_, &percentiles_, &trials_}) {
    const std::string drawn = draw(*plot);
    if (!drawn.empty()) html += "<figure>" + drawn + "</figure>\n";
  }
  return html;
}

}  // namespace millrace::perf::gen
