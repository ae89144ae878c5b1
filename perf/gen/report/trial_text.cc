#include "perf/gen/report/trial_text.h"

#include <fmt/format.h>

namespace millrace::perf::gen {
namespace {

double per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

nlohmann::ordered_json stream_json(const StreamResult& stream, double seconds) {
  return {{"name", stream.name},
          {"due", stream.due},
          {"sent", stream.sent},
          {"unsent", stream.unsent()},
          {"untagged", stream.untagged},
          {"received", stream.received.received},
          {"lost", stream.lost()},
          {"loss", loss_ratio(stream)},
          {"duplicates", stream.received.duplicates},
          {"reordered", stream.received.reordered},
          {"late", stream.received.late},
          {"most_extent", stream.received.most_extent},
          {"sent_pps", per_second(stream.sent, seconds)},
          {"received_pps", per_second(stream.received.received, seconds)},
          {"received_gbps", per_second(stream.received.bytes, seconds) * 8 / 1e9},
          {"latency_ns", latency_json(stream.latency)}};
}

std::string stream_line(const StreamResult& stream, double seconds) {
  const ReceiveCounts& came = stream.received;
  std::string text =
      fmt::format("{:<12} sent {} ({:.3f} Mpps)", stream.name, stream.sent, per_second(stream.sent, seconds) / 1e6);
  if (stream.is_recording()) {
    if (stream.unsent() != 0) text += fmt::format("  unsent {}", stream.unsent());
    return text + "  as recorded, without tags: what comes of it only the ports count\n";
  }
  if (stream.untagged != 0) text += fmt::format("  of them {} without tags", stream.untagged);
  text += fmt::format("  received {} ({:.3f} Mpps, {:.3f} Gbit/s)  lost {} ({:.4f} %)", came.received,
                      per_second(came.received, seconds) / 1e6, per_second(came.bytes, seconds) * 8 / 1e9,
                      stream.lost(), loss_ratio(stream) * 100);
  if (stream.unsent() != 0) text += fmt::format("  of them unsent {}", stream.unsent());
  if (came.reordered != 0) text += fmt::format("  reordered {} (by {} at most)", came.reordered, came.most_extent);
  if (came.duplicates != 0) text += fmt::format("  twice {}", came.duplicates);
  if (stream.latency.count() == 0) return text + "\n";
  const auto at = [&](double percent) { return time_text(static_cast<double>(stream.latency.percentile(percent))); };
  return text + fmt::format("\n{:<12} latency min {}  p50 {}  p90 {}  p99 {}  p99.9 {}  max {}\n", "",
                            time_text(static_cast<double>(stream.latency.least())), at(50), at(90), at(99), at(99.9),
                            time_text(static_cast<double>(stream.latency.most())));
}

}  // namespace

nlohmann::ordered_json latency_json(const Histogram& latency) {
  auto histogram = nlohmann::ordered_json::array();
  for (const Histogram::Bucket& bucket : latency.buckets()) {
    histogram.push_back({bucket.least, bucket.most, bucket.count});
  }
  return {{"count", latency.count()},
          {"min", latency.least()},
          {"mean", latency.mean()},
          {"p50", latency.percentile(50)},
          {"p90", latency.percentile(90)},
          {"p99", latency.percentile(99)},
          {"p99_9", latency.percentile(99.9)},
          {"p99_99", latency.percentile(99.99)},
          {"max", latency.most()},
          {"histogram", std::move(histogram)}};
}

std::string trial_text(const TrialResult& result) {
  std::string text;
  for (const StreamResult& stream : result.streams) text += stream_line(stream, result.seconds);
  if (result.streams.size() > 1) text += stream_line(result.total(), result.seconds);
  for (std::size_t i = 0; i < result.ports.size(); ++i) {
    const PortResult& port = result.ports[i];
    text += fmt::format("port {:<7} sent {}  received {}", i, port.sent, port.received);
    const std::pair<const char*, std::uint64_t> rest[] = {
        {"turned round", port.turned}, {"echoes lost", port.echo_lost},   {"damaged", port.damaged},
        {"stale", port.stale},         {"bad headers", port.bad_headers}, {"foreign", port.foreign}};
    for (const auto& [name, count] : rest) {
      if (count != 0) text += fmt::format("  {} {}", name, count);
    }
    text += "\n";
  }
  return text + fmt::format("generator    {:.2f} s, idle {:.1f} % of the loop, kept off its CPU {:.1f} %\n",
                            result.seconds, result.idle * 100, result.taken * 100);
}

nlohmann::ordered_json trial_json(const TrialResult& result) {
  nlohmann::ordered_json json = {{"seconds", result.seconds},
                                 {"headroom", result.idle},
                                 {"taken", result.taken},
                                 {"total", stream_json(result.total(), result.seconds)}};
  json["streams"] = nlohmann::ordered_json::array();
  for (const StreamResult& stream : result.streams) json["streams"].push_back(stream_json(stream, result.seconds));
  json["ports"] = nlohmann::ordered_json::array();
  for (const PortResult& port : result.ports) {
    json["ports"].push_back({{"sent", port.sent},
                             {"received", port.received},
                             {"turned", port.turned},
                             {"echo_lost", port.echo_lost},
                             {"damaged", port.damaged},
                             {"stale", port.stale},
                             {"bad_headers", port.bad_headers},
                             {"foreign", port.foreign}});
  }
  json["samples"] = nlohmann::ordered_json::array();
  for (const Sample& sample : result.samples) {
    json["samples"].push_back({{"seconds", sample.seconds},
                               {"sent_pps", sample.sent_pps},
                               {"received_pps", sample.received_pps},
                               {"mean_latency_ns", sample.mean_latency_ns},
                               {"max_latency_ns", sample.most_latency_ns},
                               {"headroom", sample.idle}});
  }
  return json;
}

std::string trial_csv(const TrialResult& result) {
  std::string text =
      "stream,seconds,due,sent,received,lost,loss,duplicates,reordered,sent_pps,received_pps,received_gbps,"
      "latency_min_ns,latency_p50_ns,latency_p99_ns,latency_p99_9_ns,latency_max_ns\n";
  const auto line = [&](const StreamResult& stream) {
    text += fmt::format("{},{:.6f},{},{},{},{},{:.9f},{},{},{:.1f},{:.1f},{:.6f},{},{},{},{},{}\n", stream.name,
                        result.seconds, stream.due, stream.sent, stream.received.received, stream.lost(),
                        loss_ratio(stream), stream.received.duplicates, stream.received.reordered,
                        per_second(stream.sent, result.seconds), per_second(stream.received.received, result.seconds),
                        per_second(stream.received.bytes, result.seconds) * 8 / 1e9, stream.latency.least(),
                        stream.latency.percentile(50), stream.latency.percentile(99), stream.latency.percentile(99.9),
                        stream.latency.most());
  };
  for (const StreamResult& stream : result.streams) line(stream);
  line(result.total());
  return text;
}

}  // namespace millrace::perf::gen
