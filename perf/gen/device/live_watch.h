/// LiveWatch: looks at the engines of a trial while they run, from one interval to the next.
///
/// Thread:  one; the engines go on meanwhile.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "perf/gen/run/engine.h"

namespace millrace::perf::gen {

class LiveWatch {
 public:
  static constexpr std::chrono::milliseconds kPatience{200};

  explicit LiveWatch(std::vector<Engine*> engines) : engines_(std::move(engines)) {}

  /// What happened since the last look; nullopt: an engine has ended, or has no time to answer.
  std::optional<LiveSample> look() {
    LiveCounts now;
    const std::size_t threads = engines_.size();
    for (std::size_t thread = 0; thread < threads; ++thread) {
      const LiveCounts* const counts = engines_[thread]->live().ask(kPatience);
      if (counts == nullptr) return std::nullopt;
      add(*counts, thread, now);
    }
    const auto at = Clock::now();
    if (before_.streams.empty()) before_.streams.resize(now.streams.size());
    before_.ports.resize(now.ports.size());
    LiveSample sample = live_sample(before_, now, std::chrono::duration<double>(at - before_at_).count());
    sample.seconds = std::chrono::duration<double>(at - start_).count();
    before_ = std::move(now);
    before_at_ = at;
    return sample;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Ports are dealt to threads in turn.
  void add(const LiveCounts& counts, std::size_t thread, LiveCounts& all) const {
    all.streams.resize(counts.streams.size());
    for (std::size_t i = 0; i < counts.streams.size(); ++i) {
      all.streams[i].sent += counts.streams[i].sent;
      all.streams[i].received += counts.streams[i].received;
      all.streams[i].latency.merge(counts.streams[i].latency);
    }
    for (std::size_t i = 0; i < counts.ports.size(); ++i) {
      const std::size_t port = thread + i * engines_.size();
      all.ports.resize(std::max(all.ports.size(), port + 1));
      all.ports[port] = counts.ports[i];
    }
    all.idle_ns += counts.idle_ns;
    all.busy_ns += counts.busy_ns;
  }

  std::vector<Engine*> engines_;
  LiveCounts before_;
  Clock::time_point start_ = Clock::now(), before_at_ = start_;
};

}  // namespace millrace::perf::gen
