#include "perf/gen/report/live_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "perf/gen/report/trial_text.h"

namespace millrace::perf::gen {
namespace {

constexpr double kShortOfTime = 0.02;

std::string ns(std::uint64_t value) { return value == 0 ? "-" : time_text(static_cast<double>(value)); }
std::string rate(double per_second) { return fmt::format("{:.3f}", per_second / 1e6); }

std::string headroom(double idle) {
  return fmt::format("{:<14}{:>10.1f} %  {}", "headroom", idle * 100, bar(idle, 24)) +
         (idle < kShortOfTime ? "  the generator itself is at its limit" : "");
}

std::string title(const char* what, double seconds, double of_seconds) {
  const double share = of_seconds > 0 ? std::min(1.0, seconds / of_seconds) : 0;
  return fmt::format("millrace-gen  {}  {:.1f} of {:g} s  {}", what, seconds, of_seconds, bar(share, 20));
}

std::string loss(const LiveStream& stream) {
  return stream.is_recording ? "-" : fmt::format("{:.4f} %", stream.loss * 100);
}

std::vector<std::string> row(const std::string& name, const LiveStream& stream) {
  return {name,
          rate(stream.sent_pps),
          rate(stream.received_pps),
          loss(stream),
          ns(stream.p50_ns),
          ns(stream.p99_ns),
          ns(stream.most_ns)};
}

}  // namespace

Spark LiveHistory::spark(const std::string& label, double value, std::string now) {
  auto line = std::ranges::find(lines_, label, &Line::label);
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{.label = label, .values = {}});
  line->values.push_back(value);
  if (line->values.size() > kMost) line->values.pop_front();
  return {.label = label, .now = std::move(now), .values = line->values};
}

LiveFrame LiveHistory::add(const LiveSample& sample, const std::vector<std::string>& stream_names) {
  LiveFrame frame;
  frame.title = title("streams", sample.seconds, sample.of_seconds);
  frame.columns = {"", "sent Mpps", "recvd Mpps", "lost", "p50", "p99", "max"};
  if (sample.streams.size() > 1) frame.rows.push_back(row("total", sample.total));
  for (std::size_t i = 0; i < sample.ports.size(); ++i) {
    frame.rows.push_back(
        {fmt::format("port {}", i), rate(sample.ports[i].sent_pps), rate(sample.ports[i].received_pps)});
  }
  for (std::size_t i = 0; i < sample.streams.size(); ++i) {
    frame.rows.push_back(
        row(i < stream_names.size() ? "> " + stream_names[i] : fmt::format("> {}", i), sample.streams[i]));
  }
  frame.sparks = {spark("received", sample.total.received_pps, rate(sample.total.received_pps) + " Mpps"),
                  spark("latency p99", static_cast<double>(sample.total.p99_ns), ns(sample.total.p99_ns)),
                  spark("lost so far", sample.total.loss, loss(sample.total))};
  frame.notes = {headroom(sample.idle)};
  return frame;
}

LiveFrame LiveHistory::add(const ConnectSample& sample) {
  const ClientCounts& counts = sample.counts;
  LiveFrame frame;
  frame.title = title("connections", sample.seconds, sample.of_seconds);
  frame.columns = {"", "p50", "p99", "max"};
  frame.rows = {{"connect", ns(sample.connect_p50_ns), ns(sample.connect_p99_ns), ns(sample.connect_most_ns)},
                {"response", ns(sample.response_p50_ns), ns(sample.response_p99_ns), ns(sample.response_most_ns)}};
  frame.sparks = {
      spark("completed", sample.completed_per_second, fmt::format("{:.1f} k/s", sample.completed_per_second / 1e3)),
      spark("failed", sample.failed_per_second, fmt::format("{:.1f} k/s", sample.failed_per_second / 1e3)),
      spark("open", static_cast<double>(counts.open), fmt::format("{}", counts.open))};
  frame.notes = {
      fmt::format("so far        completed {}  refused {}  no connection {}  no response {}  no close {}  reset {}",
                  counts.completed, counts.refused, counts.no_connection, counts.no_response, counts.no_close,
                  counts.reset),
      headroom(sample.idle)};
  return frame;
}

std::string live_line(const LiveSample& sample) {
  return fmt::format(
      "{:7.1f} s  sent {:8.3f} Mpps  received {:8.3f} Mpps  lost {}  p50 {:>9}  p99 {:>9}  max {:>9}  idle "
      "{:5.1f} %",
      sample.seconds, sample.total.sent_pps / 1e6, sample.total.received_pps / 1e6, loss(sample.total),
      ns(sample.total.p50_ns), ns(sample.total.p99_ns), ns(sample.total.most_ns), sample.idle * 100);
}

std::string live_line(const ConnectSample& sample) {
  return fmt::format(
      "{:7.1f} s  completed {:9.1f} /s  failed {:9.1f} /s  open {:8}  connect p99 {:>9}  response p99 {:>9}  idle "
      "{:5.1f} %",
      sample.seconds, sample.completed_per_second, sample.failed_per_second, sample.counts.open,
      ns(sample.connect_p99_ns), ns(sample.response_p99_ns), sample.idle * 100);
}

}  // namespace millrace::perf::gen
