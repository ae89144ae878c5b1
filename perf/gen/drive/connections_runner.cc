#include "perf/gen/drive/connections_runner.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "perf/gen/method/rates.h"

namespace millrace::perf::gen {
namespace {

constexpr double kLookSeconds = 0.1;
constexpr double kFloodSeconds = 60;  // most for a phase 1 as fast as possible

net::Result<void> rest(double seconds, const std::function<bool()>& stopped) {
  for (double left = seconds; left > 0; left -= kLookSeconds) {
    if (stopped && stopped()) return net::unavailable("the run was stopped");
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, kLookSeconds)));
  }
  return {};
}

}  // namespace

net::Result<double> empty_table(const TableOptions& options) {
  double seconds = 0;
  if (!options.reset.empty()) {
    const auto done = run_shell(options.reset, options.shell);
    if (!done) return done.error();
    seconds = done->seconds;
  }
  if (auto rested = rest(options.rest_seconds, options.shell.stopped); !rested) return rested.error();
  return seconds;
}

std::pair<std::vector<StreamDescription>, TrialOptions> first_packets(std::vector<StreamDescription> streams,
                                                                      const TrialOptions& options) {
  TrialOptions phase = options;
  phase.packets = 1;
  phase.companion = nullptr;
  phase.step_seconds = 0;
  double seconds = 0;
  for (StreamDescription& stream : streams) phase.packets = std::max<std::uint64_t>(phase.packets, stream.flows);
  for (StreamDescription& stream : streams) {
    stream.order = FlowOrder::kShuffled;
    const double pps = packets_per_second(stream, options.link_bps);
    seconds = std::max(seconds, pps > 0 ? static_cast<double>(phase.packets) / pps * 1.05 + 0.1 : kFloodSeconds);
  }
  phase.seconds = seconds;
  return {std::move(streams), phase};
}

net::Result<TrialResult> FirstPhase::run(const std::vector<StreamDescription>& streams, const TrialOptions& options) {
  if (auto emptied = empty_table(table_); !emptied) return emptied.error();
  return again(streams, options);
}

net::Result<TrialResult> FirstPhase::again(const std::vector<StreamDescription>& streams, const TrialOptions& options) {
  const auto [first, phase] = first_packets(streams, options);
  return runner_.run(first, phase);
}

net::Result<TrialResult> EstablishingRunner::run(const std::vector<StreamDescription>& streams,
                                                 const TrialOptions& options) {
  auto result = first_.run(streams, options);
  if (!result || !validate_) return result;
  const auto again = first_.again(streams, options);
  if (!again) return again.error();
  result->not_established = again->total().lost();
  return result;
}

net::Result<TrialResult> EstablishedRunner::run(const std::vector<StreamDescription>& streams,
                                                const TrialOptions& options) {
  const auto established = first_.run(with_rate(streams, establish_pps_, options.link_bps), options);
  if (!established) return established.error();
  auto result = first_.runner().run(streams, options);
  if (result) result->not_established = established->total().lost();
  return result;
}

}  // namespace millrace::perf::gen
