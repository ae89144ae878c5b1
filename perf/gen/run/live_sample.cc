#include "perf/gen/run/live_sample.h"

#include <algorithm>

namespace millrace::perf::gen {
namespace {

double grown(std::uint64_t before, std::uint64_t now) { return static_cast<double>(now - std::min(before, now)); }

LiveStream between(const LiveCounts::Stream& before, const LiveCounts::Stream& now, double seconds) {
  const Histogram latency = now.latency.since(before.latency);
  const std::uint64_t tagged = before.sent - before.untagged;
  const double missing = static_cast<double>(tagged - std::min(tagged, now.received));
  return {.sent_pps = grown(before.sent, now.sent) / seconds,
          .received_pps = grown(before.received, now.received) / seconds,
          .loss = tagged > 0 ? missing / static_cast<double>(tagged) : 0,
          .p50_ns = latency.percentile(50),
          .p99_ns = latency.percentile(99),
          .most_ns = latency.percentile(100),
          .is_recording = now.untagged != 0 && now.untagged == now.sent};
}

LiveCounts::Stream sum(const std::vector<LiveCounts::Stream>& streams) {
  LiveCounts::Stream all;
  for (const LiveCounts::Stream& stream : streams) {
    all.sent += stream.sent;
    all.received += stream.received;
    all.untagged += stream.untagged;
    all.latency.merge(stream.latency);
  }
  return all;
}

}  // namespace

LiveSample live_sample(const LiveCounts& before, const LiveCounts& now, double seconds) {
  LiveSample sample;
  for (std::size_t i = 0; i < now.streams.size(); ++i) {
    sample.streams.push_back(between(before.streams[i], now.streams[i], seconds));
  }
  sample.total = between(sum(before.streams), sum(now.streams), seconds);
  for (std::size_t i = 0; i < now.ports.size(); ++i) {
    sample.ports.push_back({.sent_pps = grown(before.ports[i].sent, now.ports[i].sent) / seconds,
                            .received_pps = grown(before.ports[i].received, now.ports[i].received) / seconds});
  }
  const double idle = grown(before.idle_ns, now.idle_ns), all = idle + grown(before.busy_ns, now.busy_ns);
  sample.idle = all > 0 ? idle / all : 0;
  return sample;
}

}  // namespace millrace::perf::gen
