#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/method/method.h"
#include "perf/gen/method/rates.h"

namespace millrace::perf::gen {
namespace {

constexpr double kSafeShare = 0.5;     // of the rate found for the first number: RFC 9693 4.9, "safe" rate
constexpr double kSecondShare = 0.25;  // of that: a number is too many only if this is too fast for it, too

double flows_of(const std::vector<StreamDescription>& streams) {
  double flows = 0;
  for (const StreamDescription& stream : streams) flows += stream.flows;
  return flows;
}

double rate_of(const Point* point) { return point == nullptr ? 0 : point->offered_pps; }

}  // namespace

net::Result<MethodResult> Method::connection_rate() {
  result_.method = "connection-rate";
  const auto best = search("connections", 0);
  if (!best) return best.error();
  result_.rows.push_back(
      row_of("connections", *best, {{"connections", flows_of(streams_)}, {"established_per_second", rate_of(*best)}}));
  return std::move(result_);
}

net::Result<MethodResult> Method::connection_teardown() {
  result_.method = "connection-teardown";
  double empty_seconds = 0;  // of the second time, when nothing is there
  for (int i = 0; i < 2; ++i) {
    const auto emptied = options_.empty_table();
    if (!emptied) return emptied.error();
    empty_seconds = *emptied;
  }
  const auto filled = trial("connections", options_.establish_pps, 0);
  if (!filled) return filled.error();
  const StreamResult total = (*filled)->result.total();
  const auto seconds = options_.empty_table();
  if (!seconds) return seconds.error();
  const auto connections = static_cast<double>(total.received.received);
  Row row{.name = "connections", .figures = {}, .latency = std::nullopt};
  row.figures = {{"connections", connections},
                 {"not_established", static_cast<double>(total.lost())},
                 {"teardown_seconds", *seconds},
                 {"empty_seconds", empty_seconds},
                 {"torn_down_per_second", connections / *seconds}};
  // What the command itself takes is no part of the device's work, where there is anything beside it.
  if (*seconds > empty_seconds) row.figures.emplace_back("net_per_second", connections / (*seconds - empty_seconds));
  result_.rows.push_back(std::move(row));
  return std::move(result_);
}

net::Result<bool> Method::holds(std::uint32_t connections, double pps) {
  const std::vector<StreamDescription> own = streams_;
  const auto share = static_cast<std::uint32_t>(streams_.size());
  streams_ = with_flows(own, std::max(1u, connections / share));
  const std::string row = fmt::format("{} connections", connections);
  bool passed = false;
  for (const double rate : {pps, pps * kSecondShare}) {
    const auto tried = trial(row, rate, 0);
    if (!tried) return tried.error();
    passed = (*tried)->passed;
    if (passed) break;
  }
  streams_ = own;
  return passed;
}

net::Result<MethodResult> Method::connection_capacity() {
  result_.method = "connection-capacity";
  double pps = options_.establish_pps;
  if (pps == 0) {
    const std::vector<StreamDescription> own = streams_;
    const auto share = static_cast<std::uint32_t>(streams_.size());
    streams_ = with_flows(own, std::max(1u, options_.least_connections / share));
    const auto best = search("rate", 0);
    if (!best) return best.error();
    streams_ = own;
    pps = rate_of(*best) * kSafeShare;
  }
  std::uint32_t held = 0, too_many = 0;
  for (std::uint32_t next = options_.least_connections; pps > 0 && too_many == 0 && held != options_.most_connections;
       next = std::min(next * 2, options_.most_connections)) {
    const auto fits = holds(next, pps);
    if (!fits) return fits.error();
    (*fits ? held : too_many) = next;
  }
  while (too_many > held + 1 && too_many - held > options_.precision * too_many) {
    const std::uint32_t next = held + (too_many - held) / 2;
    const auto fits = holds(next, pps);
    if (!fits) return fits.error();
    (*fits ? held : too_many) = next;
  }
  Row row{.name = "capacity", .figures = {}, .latency = std::nullopt};
  row.figures = {{"connections", static_cast<double>(held)}, {"establish_pps", pps}};
  // Nothing failed: the table may hold more than anybody asked for.
  row.figures.emplace_back(too_many == 0 ? "at_least" : "too_many",
                           static_cast<double>(too_many == 0 ? held : too_many));
  result_.rows.push_back(std::move(row));
  return std::move(result_);
}

}  // namespace millrace::perf::gen
