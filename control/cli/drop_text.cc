#include "control/cli/drop_text.h"

#include <map>

#include "control/cli/table.h"

namespace millrace::control::cli {

namespace {

constexpr const char* kRemoved = "(removed)";

void add_rows(const std::string& pod, const std::string& port, const api::PortTotals& totals,
              const api::GetCountersReply& counters, std::vector<DropRow>& rows) {
  const std::map<std::string, std::uint64_t> sorted(totals.drops().begin(), totals.drops().end());
  for (const auto& [drop, packets] : sorted) {
    const auto text = counters.drop_texts().find(drop);
    rows.push_back({pod, port, drop, packets, text == counters.drop_texts().end() ? "" : text->second});
  }
  if (totals.denied() > 0) {
    rows.push_back({pod, port, kRefused, totals.denied(), "its ingress policies let these not in"});
  }
}

}  // namespace

std::vector<DropRow> drop_rows(const api::ListPortsReply& ports, const api::GetCountersReply& counters,
                               const std::set<std::string>& only) {
  std::vector<DropRow> rows;
  for (const api::PortStatus& port : ports.ports()) {
    if (!only.empty() && !only.contains(port.spec().name())) continue;
    add_rows(port.spec().description(), port.spec().name(), port.totals(), counters, rows);
  }
  if (only.empty()) add_rows(kRemoved, "", counters.removed_ports(), counters, rows);
  return rows;
}

std::string drop_table(const std::vector<DropRow>& rows) {
  if (rows.empty()) return "no packet was dropped\n";
  Table table({{"POD"}, {"PORT"}, {"DROP"}, {"PACKETS", Table::Align::kRight}, {"WHY"}});
  for (const DropRow& row : rows) table.add({row.pod, row.port, row.drop, std::to_string(row.packets), row.why});
  return table.to_string();
}

nlohmann::ordered_json drop_json(const std::vector<DropRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DropRow& row : rows) {
    list.push_back(
        {{"pod", row.pod}, {"port", row.port}, {"drop", row.drop}, {"packets", row.packets}, {"why", row.why}});
  }
  return {{"drops", std::move(list)}};
}

}  // namespace millrace::control::cli
