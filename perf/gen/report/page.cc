#include "perf/gen/report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/report/plot.h"
#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>millrace-gen</title><style>
body{font:15px/1.45 system-ui,sans-serif;max-width:920px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;margin:.6em 0 1.6em;font-size:13px}td,th{border:1px solid #ccc;padding:3px 8px;text-align:right}
td:first-child,th:first-child{text-align:left}th{background:#f3f3f3}svg{width:100%;height:auto;margin:1em 0}
svg text{font:12px system-ui,sans-serif;fill:#333}svg .title{font-weight:600;font-size:14px}.grid{stroke:#e2e2e2}
summary{cursor:pointer}h2{margin-top:1.6em}.warn{background:#fff4d6;border-left:4px solid #e69f00;padding:.4em .8em}
</style></head><body><h1>millrace-gen</h1>
)";

std::string mpps(double pps) { return fmt::format("{:g}", pps / 1e6); }

std::string value_text(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return value.dump();
  const auto number = value.get<double>();
  if (name.ends_with("_pps")) return fmt::format("{:.4f} Mpps", number / 1e6);
  if (name.ends_with("_ns")) return time_text(number);
  if (name == "loss" || name == "headroom" || name == "taken") return fmt::format("{:.4f} %", number * 100);
  return value.is_number_float() ? fmt::format("{:.4g}", number) : value.dump();
}

/// The scalars of each object as a row; the columns are all keys, in the order in which they come.
std::string table(const Json& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      if (!value.is_structured() && std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
    }
  }
  std::string html = "<table><tr>";
  for (const std::string& column : columns) html += "<th>" + escape(column) + "</th>";
  html += "</tr>\n";
  for (const Json& row : rows) {
    html += "<tr>";
    for (const std::string& column : columns) {
      html += "<td>" + (row.contains(column) ? escape(value_text(column, row[column])) : std::string()) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

std::string machine_table(const Json& machine) {
  std::string html = "<details><summary>Machine</summary><table>\n";
  for (const auto& [key, value] : machine.items()) {
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape(key),
                        escape(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return html + "</table></details>\n";
}

std::string warnings(const Json& result) {
  const double idle = result.value("headroom", 1.0), taken = result.value("taken", 0.0);
  std::string html;
  if (idle < 0.02)
    html += "<p class='warn'>The generator had less than 2 % of its time to spare: it may be what was measured.</p>\n";
  if (taken > 0.02) {
    html += fmt::format("<p class='warn'>Other work kept the generator off its CPU for {:.1f} % of the time.</p>\n",
                        taken * 100);
  }
  return html;
}

/// Latency by percentile: x is 1 / (1 - p), so that each nine takes as much room as the last.
Series percentiles(const std::string& name, const Json& latency) {
  Series series{.name = name, .points = {}};
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

Plot percentile_plot() {
  return {.title = "Latency by percentile, from the time a packet was due",
          .x = {.label = "packets that are faster",
                .logarithmic = true,
                .text = [](double x) { return fmt::format("{:.6g} %", 100 - 100 / x); }},
          .y = {.label = "latency", .logarithmic = true, .text = time_text},
          .series = {}};
}

void add_run(const std::string& label, const Json& result, std::vector<Plot>& plots) {
  Series sent{.name = label + ": sent", .points = {}}, received{.name = label + ": received", .points = {}};
  Series mean{.name = label + ": mean", .points = {}}, most{.name = label + ": highest", .points = {}};
  for (const Json& sample : result.at("samples")) {
    const auto at = sample.at("seconds").get<double>();
    sent.points.emplace_back(at, sample.at("sent_pps").get<double>());
    received.points.emplace_back(at, sample.at("received_pps").get<double>());
    mean.points.emplace_back(at, sample.at("mean_latency_ns").get<double>());
    most.points.emplace_back(at, sample.at("max_latency_ns").get<double>());
  }
  plots[0].series.insert(plots[0].series.end(), {sent, received});
  plots[1].series.insert(plots[1].series.end(), {mean, most});
  plots[2].series.push_back(percentiles(label, result.at("total").at("latency_ns")));
}

void add_test(const std::string& label, const Json& result, std::vector<Plot>& plots) {
  for (const Json& row : result.at("rows")) {
    const std::string name = label + ": " + row.at("name").get<std::string>();
    if (row.contains("latency_ns")) plots[2].series.push_back(percentiles(name, row["latency_ns"]));
    Series loss{.name = name, .points = {}, .line = false};
    for (const Json& point : result.at("points")) {
      const auto offered = point.at("offered_pps").get<double>();
      if (point.at("row") != row.at("name") || offered == 0) continue;
      loss.points.emplace_back(offered, point.at("result").at("total").at("loss").get<double>() * 100);
    }
    if (!loss.points.empty()) plots[3].series.push_back(std::move(loss));
  }
}

std::vector<Plot> empty_plots() {
  const auto seconds = Axis{.label = "seconds", .logarithmic = false, .text = {}};
  const auto rate = [](const char* label) { return Axis{.label = label, .logarithmic = false, .text = mpps}; };
  return {{.title = "Rate", .x = seconds, .y = rate("Mpps"), .series = {}},
          {.title = "Latency in each interval",
           .x = seconds,
           .y = {.label = "latency", .logarithmic = true, .text = time_text},
           .series = {}},
          percentile_plot(),
          {.title = "Loss by rate, every trial",
           .x = rate("offered, Mpps"),
           .y = {.label = "lost, %", .logarithmic = false, .text = {}},
           .series = {}}};
}

}  // namespace

net::Result<std::string> make_page(const std::vector<LabelledResult>& results) {
  std::string blocks;
  std::vector<Plot> plots = empty_plots();
  for (const auto& [label, json] : results) {
    try {
      const Json& result = json.at("result");
      const bool is_run = json.at("kind") == "run", is_connect = json.at("kind") == "connect";
      blocks +=
          fmt::format("<h2>{}</h2>\n",
                      escape(is_run || is_connect ? label : label + ": " + result.at("method").get<std::string>()));
      if (is_run) {
        Json rows = result.at("streams");
        rows.push_back(result.at("total"));
        for (Json& row : rows) {
          const Json latency = row.at("latency_ns");
          for (const char* key : {"p50", "p99", "p99_9", "max"}) row[std::string(key) + "_ns"] = latency.at(key);
        }
        blocks += warnings(result) + table(rows) + table(result.at("ports"));
        add_run(label, result, plots);
      } else if (is_connect) {
        blocks += warnings(result) + table(Json::array({result}));
        plots[2].series.push_back(percentiles(label + ": connect", result.at("connect_ns")));
        plots[2].series.push_back(percentiles(label + ": response", result.at("response_ns")));
      } else {
        blocks += table(result.at("rows"));
        add_test(label, result, plots);
      }
      blocks += machine_table(json.at("machine"));
    } catch (const nlohmann::json::exception& error) {
      return net::invalid_argument(fmt::format("{}: no result of millrace-gen: {}", label, error.what()));
    }
  }
  std::string html = kHead;
  for (const Plot& plot : plots) html += draw(plot);
  return html + blocks + "</body></html>\n";
}

}  // namespace millrace::perf::gen
