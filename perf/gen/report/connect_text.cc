#include "perf/gen/report/connect_text.h"

#include <fmt/format.h>

#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

std::string times(const char* name, const Histogram& times) {
  const auto at = [&](double percent) { return time_text(static_cast<double>(times.percentile(percent))); };
  return fmt::format("{:<12} p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n", name, at(50), at(90), at(99), at(99.9),
                     at(100));
}

}  // namespace

std::string connect_text(const ConnectResult& result) {
  const ClientCounts& counts = result.counts;
  std::string text = fmt::format(
      "connections  due {}  completed {} ({:.1f} k/s)  failed {}: unopened {}, refused {}, no connection {}, no "
      "response {}, no "
      "close {}, "
      "reset {}\n",
      counts.due, counts.completed, static_cast<double>(counts.completed) / result.seconds / 1e3, counts.failed(),
      counts.unopened, counts.refused, counts.no_connection, counts.no_response, counts.no_close, counts.reset);
  text += fmt::format("open         at most {} at once, {} at the end  strays {}\n", counts.most_open, counts.open,
                      counts.strays);
  if (result.connect_ns.count() != 0) text += times("connect", result.connect_ns);
  if (result.response_ns.count() != 0) text += times("response", result.response_ns);
  return text + fmt::format("generator    {:.2f} s, idle {:.1f} % of the loop, kept off its CPU {:.1f} %\n",
                            result.seconds, result.idle * 100, result.taken * 100);
}

nlohmann::ordered_json connect_json(const ConnectResult& result) {
  const ClientCounts& counts = result.counts;
  auto samples = nlohmann::ordered_json::array();
  for (const ConnectSample& sample : result.samples) {
    samples.push_back({{"seconds", sample.seconds},
                       {"completed_per_second", sample.completed_per_second},
                       {"failed_per_second", sample.failed_per_second},
                       {"open", sample.counts.open},
                       {"headroom", sample.idle}});
  }
  return {{"seconds", result.seconds},
          {"due", counts.due},
          {"completed", counts.completed},
          {"completed_per_second", static_cast<double>(counts.completed) / result.seconds},
          {"unopened", counts.unopened},
          {"refused", counts.refused},
          {"no_connection", counts.no_connection},
          {"no_response", counts.no_response},
          {"no_close", counts.no_close},
          {"reset", counts.reset},
          {"open", counts.open},
          {"most_open", counts.most_open},
          {"strays", counts.strays},
          {"headroom", result.idle},
          {"taken", result.taken},
          {"connect_ns", latency_json(result.connect_ns)},
          {"response_ns", latency_json(result.response_ns)},
          {"samples", std::move(samples)}};
}

std::string connect_csv(const ConnectResult& result) {
  std::string names, values;
  const auto json = connect_json(result);
  for (const auto& [name, value] : json.items()) {
    if (value.is_structured()) continue;
    const char* const comma = names.empty() ? "" : ",";
    names += fmt::format("{}{}", comma, name);
    values += fmt::format("{}{}", comma, value.dump());
  }
  return fmt::format("{}\n{}\n", names, values);
}

}  // namespace millrace::perf::gen
