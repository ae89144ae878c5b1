#include "perf/gen/report/method_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

std::vector<std::string> columns(const MethodResult& result) {
  std::vector<std::string> names;
  for (const Row& row : result.rows) {
    for (const auto& [name, value] : row.figures) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace

/// A table: columns are as wide as what stands in them.
std::string method_text(const MethodResult& result) {
  const std::vector<std::string> names = columns(result);
  std::vector<std::vector<std::string>> lines(1, std::vector<std::string>(1));
  for (const std::string& name : names) lines[0].push_back(figure_name(name));
  for (const Row& row : result.rows) {
    std::vector<std::string>& line = lines.emplace_back(names.size() + 1);
    line[0] = row.name;
    for (const auto& [name, value] : row.figures) {
      line[static_cast<std::size_t>(std::ranges::find(names, name) - names.begin()) + 1] = figure_text(name, value);
    }
  }
  std::vector<std::size_t> widths(names.size() + 1);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : lines) {
    text += fmt::format("{:<{}}", line[0], widths[0]);
    for (std::size_t i = 1; i < line.size(); ++i) text += fmt::format("  {:>{}}", line[i], widths[i]);
    text += "\n";
  }
  if (!result.error.empty()) text += fmt::format("ended at {}\n", result.error);
  return text;
}

std::string point_text(const Point& point) {
  const StreamResult total = point.result.total();
  const std::string offered =
      point.offered_pps > 0 ? fmt::format("{:.4f} Mpps", point.offered_pps / 1e6) : "its own rate";
  const std::string connections =
      point.result.not_established == 0 ? "" : fmt::format("  not established {}", point.result.not_established);
  return fmt::format("{:<14} offered {}  lost {} of {} ({:.4f} %, unsent {})  p99 {}  idle {:.1f} %{}  {}\n", point.row,
                     offered, total.lost(), total.due, loss_ratio(total) * 100, total.unsent(),
                     time_text(static_cast<double>(total.latency.percentile(99))), point.result.idle * 100, connections,
                     point.passed ? "passed" : "failed");
}

nlohmann::ordered_json method_json(const MethodResult& result) {
  nlohmann::ordered_json json = {{"method", result.method}};
  if (!result.error.empty()) json["error"] = result.error;
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : result.rows) {
    nlohmann::ordered_json entry = {{"name", row.name}};
    for (const auto& [name, value] : row.figures) entry[name] = value;
    if (row.latency) entry["latency_ns"] = latency_json(*row.latency);
    json["rows"].push_back(std::move(entry));
  }
  json["points"] = nlohmann::ordered_json::array();
  for (const Point& point : result.points) {
    auto trial = trial_json(point.result);
    trial.erase("samples");
    trial["total"]["latency_ns"].erase("histogram");
    for (auto& stream : trial["streams"]) stream["latency_ns"].erase("histogram");
    json["points"].push_back({{"row", point.row},
                              {"offered_pps", point.offered_pps},
                              {"passed", point.passed},
                              {"not_established", point.result.not_established},
                              {"result", std::move(trial)}});
  }
  return json;
}

std::string method_csv(const MethodResult& result) {
  const std::vector<std::string> names = columns(result);
  std::string text = "row";
  for (const std::string& name : names) text += "," + name;
  text += "\n";
  for (const Row& row : result.rows) {
    text += row.name;
    for (const std::string& name : names) {
      text += ",";
      for (const auto& [key, value] : row.figures) {
        if (key == name) text += fmt::format("{}", value);
      }
    }
    text += "\n";
  }
  return text;
}

}  // namespace millrace::perf::gen
