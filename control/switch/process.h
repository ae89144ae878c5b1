/// What a daemon owes the system: signals as events, threads on their CPUs, a log that says when and who.
///
/// Thread:  main, before any other thread starts: threads inherit the blocked signals and the CPUs.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/result.h"

namespace millrace::control::switchd {

/// SIGTERM and SIGINT, taken by `wait` instead of interrupting whatever thread runs. SIGPIPE is ignored.
class StopSignals {
 public:
  /// Blocks the signals for this thread and those it starts.
  static net::Result<StopSignals> block();
  StopSignals(StopSignals&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  StopSignals& operator=(StopSignals&&) = delete;
  ~StopSignals();

  /// The signal's number, or nullopt when none came within `timeout`.
  std::optional<int> wait(std::chrono::milliseconds timeout);

 private:
  explicit StopSignals(int fd) : fd_(fd) {}
  int fd_;
};

/// Binds the calling thread, and those it starts from now on, to `cpus`.
net::Result<void> bind_thread(const std::vector<std::uint32_t>& cpus);

/// spdlog to standard error: time, level, process id. `level` as config logLevel.
void start_log(const std::string& level);

}  // namespace millrace::control::switchd
