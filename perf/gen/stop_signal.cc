#include "perf/gen/stop_signal.h"

#include <atomic>
#include <csignal>

namespace millrace::perf::gen {
namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "it is written by a signal handler");

}  // namespace

void install_stop_signal() {
  struct sigaction action {};
  action.sa_handler = [](int) { requested.store(true, std::memory_order_relaxed); };
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);  // no SA_RESTART
  // A switch that is restarted closes the sockets of its ports: DPDK's write to one must fail, and not end this
  // program.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

bool stop_requested() noexcept { return requested.load(std::memory_order_relaxed); }

}  // namespace millrace::perf::gen
