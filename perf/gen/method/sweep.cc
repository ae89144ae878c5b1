#include <fmt/format.h>

#include "perf/gen/method/method.h"
#include "perf/gen/method/rates.h"

namespace millrace::perf::gen {

net::Result<MethodResult> Method::flow_sweep() {
  result_.method = "flows";
  const std::vector<StreamDescription> own = streams_;
  for (const std::uint32_t flows : options_.flows) {
    streams_ = with_flows(own, flows);
    if (auto searched = search_row(fmt::format("{} flows", flows)); !searched) return searched.error();
  }
  return std::move(result_);
}

/// One step of a sweep; a device that refuses a number ends the sweep, and what was measured before it stays.
net::Result<MethodResult> Method::sweep() {
  result_.method = "sweep";
  for (const std::uint64_t value : options_.values) {
    const std::string name = fmt::format("{}", value);
    const auto configured = options_.configure(value);
    if (!configured) {
      result_.error = fmt::format("{}: {}", name, configured.error().message);
      break;
    }
    const auto best = search(name, 0);
    if (!best) return best.error();
    const double most_pps = *best == nullptr ? 0 : (*best)->offered_pps;
    Row row = row_of(
        name, *best,
        {{"value", static_cast<double>(value)}, {"configure_seconds", *configured}, {"throughput_pps", most_pps}});
    if (most_pps > 0) {
      const auto half = trial(fmt::format("{} at half", name), most_pps / 2, 0);
      if (!half) return half.error();
      const Histogram latency = (*half)->result.total().latency;
      row.figures.emplace_back("half_p50_ns", static_cast<double>(latency.percentile(50)));
      row.figures.emplace_back("half_p99_ns", static_cast<double>(latency.percentile(99)));
    }
    result_.rows.push_back(std::move(row));
  }
  return std::move(result_);
}

net::Result<MethodResult> Method::reconfigure() {
  result_.method = "reconfigure";
  double load_pps = options_.load_pps;
  if (load_pps == 0) {
    const auto best = search("throughput", 0);
    if (!best) return best.error();
    const double most_pps = *best == nullptr ? 0 : (*best)->offered_pps;
    result_.rows.push_back(row_of("throughput", *best, {{"offered_pps", most_pps}}));
    if (most_pps == 0) {
      result_.error = "the device loses packets at every rate: there is no throughput to take a share of";
      return std::move(result_);
    }
    load_pps = most_pps * options_.load;
  }
  options_.trial.seconds = options_.load_seconds;
  options_.trial.step_seconds = options_.step_seconds;
  options_.trial.companion = options_.companion;
  const auto point = trial("load", load_pps, 0);
  if (!point) return point.error();
  result_.rows.push_back(row_of("load", *point, {{"offered_pps", load_pps}}));
  return std::move(result_);
}

}  // namespace millrace::perf::gen
