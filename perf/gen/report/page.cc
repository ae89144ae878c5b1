#include "perf/gen/report/page.h"

#include <fmt/format.h>

#include "perf/gen/report/page_plots.h"
#include "perf/gen/report/page_tables.h"

namespace millrace::perf::gen {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>millrace-gen</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:24px;margin:0}h2{font-size:19px;margin:1.8em 0 .4em;border-bottom:2px solid #0072b2;padding-bottom:.2em}
h3{font-size:15px;margin:1em 0 .2em}.machine{color:#555;margin:.2em 0 1em}.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.4em 0 1.2em;font-size:13px;font-variant-numeric:tabular-nums}
td,th{border-bottom:1px solid #ddd;padding:4px 10px;text-align:right;white-space:nowrap}th{color:#555;font-weight:600}
td:first-child,th:first-child{text-align:left}tr:hover td{background:#f5f9fc}b{color:#0072b2}.differs td{background:#fff4d6}
figure{margin:1.2em 0;border:1px solid #e2e2e2;border-radius:6px;padding:.4em .8em}svg{width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:#333}svg .title{font-weight:600;font-size:14px}.grid{stroke:#e8e8e8}
.mark{stroke:#888;stroke-dasharray:2 3}code{white-space:pre-wrap}
.warn{background:#fff4d6;border-left:4px solid #e69f00;padding:.4em .8em}
@media print{figure{break-inside:avoid}}
</style></head><body><h1>millrace-gen</h1>
)";

std::string title_of(const std::string& label, const Json& json) {
  const Json& result = json.at("result");
  if (!result.contains("method")) return label;
  return label + ": " + result["method"].get<std::string>();
}

}  // namespace

net::Result<std::string> make_page(const std::vector<LabelledResult>& results) {
  std::string blocks;
  PagePlots plots;
  std::vector<std::pair<std::string, Json>> machines, figures;
  for (const auto& [label, json] : results) {
    try {
      const Json& result = json.at("result");
      const auto kind = json.at("kind").get<std::string>();
      blocks += "<h2>" + escape(title_of(label, json)) + "</h2>\n" + result_tables(result);
      if (kind == "run") {
        plots.add_run(label, result);
      } else if (kind == "connect") {
        plots.add_connect(label, result);
      } else {
        plots.add_test(label, result);
      }
      machines.emplace_back(label, json.at("machine"));
      figures.emplace_back(label, result);
    } catch (const nlohmann::json::exception& error) {
      return net::invalid_argument(fmt::format("{}: no result of millrace-gen: {}", label, error.what()));
    }
  }
  std::string html = kHead;
  if (!machines.empty()) html += machine_line(machines[0].second);
  html += comparison(figures) + plots.draw_all() + blocks;
  if (!machines.empty()) html += machine_table(machines);
  return html + "</body></html>\n";
}

}  // namespace millrace::perf::gen
