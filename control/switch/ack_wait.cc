#include "control/switch/ack_wait.h"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

namespace millrace::control::switchd {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr microseconds kShortestStep{20};
constexpr microseconds kLongestStep{1000};

}  // namespace

net::Result<void> wait_until_passed(const WorkerAccess& workers, std::uint64_t generation) {
  workers.wake();
  const steady_clock::time_point deadline = steady_clock::now() + workers.ack_timeout;
  for (microseconds step = kShortestStep; !workers.publisher->seen_by_all(generation);
       step = std::min(step * 2, kLongestStep)) {
    if (steady_clock::now() >= deadline) {
      return net::unavailable(fmt::format("a worker has not passed to generation {} within {} ms; it is published",
                                          generation, workers.ack_timeout.count()));
    }
    std::this_thread::sleep_for(step);
  }
  return {};
}

}  // namespace millrace::control::switchd
