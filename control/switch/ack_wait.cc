#include "control/switch/ack_wait.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <thread>

namespace millrace::control::switchd {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr microseconds kShortestStep{20};
constexpr microseconds kLongestStep{1000};

std::string missing_workers(const WorkerAccess& workers, std::uint64_t generation) {
  std::string text;
  for (unsigned i = 0; i < workers.publisher->worker_count(); ++i) {
    if (workers.publisher->seen_by(static_cast<datapath::WorkerId>(i), generation)) continue;
    text += fmt::format("{}worker {} (CPU {})", text.empty() ? "" : ", ", i, workers.cpus[i]);
  }
  return text;
}

}  // namespace

bool wait_until(const std::function<bool()>& is_done, std::chrono::milliseconds timeout) {
  const steady_clock::time_point deadline = steady_clock::now() + timeout;
  for (microseconds step = kShortestStep; !is_done(); step = std::min(step * 2, kLongestStep)) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(step);
  }
  return true;
}

net::Result<void> wait_until_passed(const WorkerAccess& workers, std::uint64_t generation) {
  workers.wake();
  if (wait_until([&] { return workers.publisher->seen_by_all(generation); }, workers.ack_timeout)) return {};
  return net::deadline_exceeded(
      fmt::format("generation {} is in force, but {} has not passed to it within {} ms and forwards by an older one "
                  "until it does; the same request again waits again",
                  generation, missing_workers(workers, generation), workers.ack_timeout.count()));
}

}  // namespace millrace::control::switchd
