/// Sampler: what the engines' counters grew by since it was asked last.
///
/// Thread:  one, any; the engines go on meanwhile.
#pragma once

#include <vector>

#include "perf/gen/run/engine.h"

namespace millrace::perf::gen {

class Sampler {
 public:
  explicit Sampler(std::vector<Progress*> engines) : engines_(std::move(engines)) {}

  /// The interval that ends `end_seconds` after the start and was `seconds` long.
  Sample take(double end_seconds, double seconds) noexcept {
    Counts now;
    std::uint64_t most_ns = 0;
    for (Progress* engine : engines_) {
      now.sent += engine->sent.load(std::memory_order_relaxed);
      now.received += engine->received.load(std::memory_order_relaxed);
      now.latency_sum_ns += engine->latency_sum_ns.load(std::memory_order_relaxed);
      now.idle_ns += engine->idle_ns.load(std::memory_order_relaxed);
      now.busy_ns += engine->busy_ns.load(std::memory_order_relaxed);
      most_ns = std::max(most_ns, engine->latency_most_ns.exchange(0, std::memory_order_relaxed));
    }
    const auto grown = [&](std::uint64_t Counts::*count) { return static_cast<double>(now.*count - before_.*count); };
    const double received = grown(&Counts::received), idle = grown(&Counts::idle_ns);
    const double all = idle + grown(&Counts::busy_ns);
    const Sample sample{.seconds = end_seconds,
                        .sent_pps = grown(&Counts::sent) / seconds,
                        .received_pps = received / seconds,
                        .mean_latency_ns = received > 0 ? grown(&Counts::latency_sum_ns) / received : 0,
                        .most_latency_ns = static_cast<double>(most_ns),
                        .idle = all > 0 ? idle / all : 0};
    before_ = now;
    return sample;
  }

 private:
  struct Counts {
    std::uint64_t sent = 0, received = 0, latency_sum_ns = 0, idle_ns = 0, busy_ns = 0;
  };
  std::vector<Progress*> engines_;
  Counts before_;
};

}  // namespace millrace::perf::gen
