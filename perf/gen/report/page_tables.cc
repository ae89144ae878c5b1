#include "perf/gen/report/page_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "perf/gen/report/figure_text.h"
#include "perf/gen/report/plot.h"

namespace millrace::perf::gen {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kShortOfTime = 0.02;
constexpr std::array kSilentWhenZero = {"unsent",  "duplicates",      "reordered", "late",  "most_extent",
                                        "turned",  "echo_lost",       "damaged",   "stale", "bad_headers",
                                        "foreign", "not_established", "error"};

std::string value_text(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return value.dump();
  return figure_text(name, value.get<double>());
}

bool is_nothing(const Json& value) {
  return value.is_number() ? value.get<double>() == 0 : value.is_string() && value.get<std::string>().empty();
}

bool left_out(const Json& rows, const std::string& column) {
  if (std::ranges::find(kSilentWhenZero, column) == kSilentWhenZero.end()) return false;
  return std::ranges::all_of(rows, [&](const Json& row) { return !row.contains(column) || is_nothing(row[column]); });
}

std::string warnings(const Json& result) {
  const double idle = result.value("headroom", 1.0), taken = result.value("taken", 0.0);
  std::string html;
  if (idle < kShortOfTime)
    html += "<p class='warn'>The generator had less than 2 % of its time to spare: it may be what was measured.</p>\n";
  if (taken > kShortOfTime) {
    html += fmt::format("<p class='warn'>Other work kept the generator off its CPU for {:.1f} % of the time.</p>\n",
                        taken * 100);
  }
  if (result.contains("error")) {
    html += "<p class='warn'>It ended before its end: <code>" + escape(result["error"].get<std::string>()) +
            "</code></p>\n";
  }
  return html;
}

/// Percentiles beside a row's own figures.
Json with_latency(Json row, const char* from, const char* prefix) {
  if (!row.contains(from) || !row[from].is_object()) return row;
  const Json latency = row[from];
  for (const char* key : {"p50", "p99", "p99_9", "max"}) row[fmt::format("{}{}_ns", prefix, key)] = latency.at(key);
  return row;
}

std::string changes_table(const Json& reconfiguration) {
  Json rows = Json::array();
  std::size_t number = 0;
  for (const Json& change : reconfiguration.at("changes")) {
    ++number;
    for (const Json& stream : change.at("streams")) {
      Json row = {{"change", fmt::format("{}", number)},
                  {"began_seconds", change.at("began_seconds")},
                  {"took_seconds", change.at("took_seconds")}};
      for (const char* key : {"name", "due", "lost", "longest_gap_ns", "effect", "effect_ns"}) {
        if (stream.contains(key)) row[std::string(key) == "name" ? "stream" : key] = stream[key];
      }
      row["error"] = change.at("error");
      rows.push_back(std::move(row));
    }
  }
  return rows.empty() ? std::string() : "<h3>Changes of the device</h3>\n" + table(rows);
}

/// Rows that two results may share: their names, with the figures worth comparing.
Json comparable(const Json& result) {
  if (result.contains("rows")) return result["rows"];
  Json row = result.contains("total") ? with_latency(result["total"], "latency_ns", "")
                                      : with_latency(result, "response_ns", "response_");
  row["name"] = "";
  return Json::array({row});
}

}  // namespace

std::string table(const Json& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      if (!value.is_structured() && std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
    }
  }
  std::erase_if(columns, [&](const std::string& column) { return left_out(rows, column); });
  std::string html = "<div class='wide'><table><tr>";
  for (const std::string& column : columns) html += "<th>" + escape(figure_name(column)) + "</th>";
  html += "</tr>\n";
  for (const Json& row : rows) {
    html += "<tr>";
    for (const std::string& column : columns) {
      html += "<td>" + (row.contains(column) ? escape(value_text(column, row[column])) : std::string()) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string result_tables(const Json& result) {
  std::string html = warnings(result);
  if (result.contains("rows")) {
    html += table(result["rows"]);
  } else if (result.contains("streams")) {
    Json rows = Json::array();
    for (const Json& stream : result["streams"]) rows.push_back(with_latency(stream, "latency_ns", ""));
    if (rows.size() > 1) rows.push_back(with_latency(result.at("total"), "latency_ns", ""));
    Json ports = Json::array();
    for (std::size_t i = 0; i < result.at("ports").size(); ++i) {
      Json port = {{"port", fmt::format("{}", i)}};
      port.update(result["ports"][i]);
      ports.push_back(std::move(port));
    }
    html += table(rows) + table(ports);
  } else {
    html +=
        table(Json::array({with_latency(with_latency(result, "connect_ns", "connect_"), "response_ns", "response_")}));
  }
  if (result.contains("reconfiguration")) html += changes_table(result["reconfiguration"]);
  return html;
}

std::string machine_line(const Json& machine) {
  const auto text = [&](const char* key) {
    return machine.contains(key) ? escape(value_text(key, machine[key])) : std::string("unknown");
  };
  const bool is_virtual = machine.value("virtual_machine", false);
  return fmt::format("<p class='machine'>{}, {} CPUs{}, Linux {}, packets in {}; millrace-gen {}, {}</p>\n",
                     text("cpu"), text("cpus"), is_virtual ? " of a virtual machine" : "", text("kernel"),
                     text("packets_in"), text("version"), text("time"));
}

std::string machine_table(const std::vector<std::pair<std::string, Json>>& machines) {
  std::vector<std::string> keys;
  for (const auto& [label, machine] : machines) {
    for (const auto& [key, value] : machine.items()) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  std::string html = "<h2>Machine</h2>\n<div class='wide'><table><tr><th></th>";
  for (const auto& [label, machine] : machines) html += "<th>" + escape(label) + "</th>";
  html += "</tr>\n";
  for (const std::string& key : keys) {
    const auto cell = [&key](const Json& machine) {
      return machine.contains(key) ? value_text(key, machine[key]) : "";
    };
    const std::string first = cell(machines[0].second);
    const bool differs =
        key != "time" && std::ranges::any_of(machines, [&](const auto& each) { return cell(each.second) != first; });
    html += fmt::format("<tr{}><th>{}</th>", differs ? " class='differs'" : "", escape(figure_name(key)));
    for (const auto& [label, machine] : machines) html += "<td>" + escape(cell(machine)) + "</td>";
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string comparison(const std::vector<std::pair<std::string, Json>>& results) {
  if (results.size() < 2) return {};
  constexpr std::array kCompared = {"throughput_pps",
                                    "ndr_pps",
                                    "pdr_pps",
                                    "received_pps",
                                    "established_per_second",
                                    "connections",
                                    "completed_per_second",
                                    "loss",
                                    "p50_ns",
                                    "p99_ns",
                                    "half_p99_ns",
                                    "response_p99_ns"};
  const Json first = comparable(results[0].second);
  std::string html;
  for (const Json& row : first) {
    for (const char* figure : kCompared) {
      if (!row.contains(figure)) continue;
      std::string line =
          fmt::format("<tr><td>{}</td><td>{}</td>", escape(row.at("name").get<std::string>()), figure_name(figure));
      std::size_t found = 0;
      for (const auto& [label, result] : results) {
        const Json rows = comparable(result);
        const auto same = std::ranges::find_if(
            rows, [&](const Json& other) { return other.at("name") == row.at("name") && other.contains(figure); });
        if (same == rows.end()) {
          line += "<td></td>";
          continue;
        }
        const double base = row[figure].get<double>(), value = (*same)[figure].get<double>();
        const bool shows_ratio = ++found > 1 && base != 0;
        line += fmt::format("<td>{}{}</td>", escape(figure_text(figure, value)),
                            shows_ratio ? fmt::format(" <b>{:.2f}x</b>", value / base) : std::string());
      }
      if (found > 1) html += line + "</tr>\n";
    }
  }
  if (html.empty()) return {};
  std::string head = "<h2>Side by side</h2>\n<div class='wide'><table><tr><th></th><th>figure</th>";
  for (const auto& [label, result] : results) head += "<th>" + escape(label) + "</th>";
  return head + "</tr>\n" + html + "</table></div>\n";
}

}  // namespace millrace::perf::gen
