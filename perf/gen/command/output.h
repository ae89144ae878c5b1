/// Where results go: files of the options, and the terminal while a trial runs.
///
/// Thread:  main.
#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "perf/gen/command/options.h"
#include "perf/gen/report/fingerprint.h"
#include "perf/gen/run/trial.h"

namespace millrace::perf::gen {

/// Stops the rig when a signal asked for it (stop_signal.h), as long as it lives.
class StopWatch {
 public:
  explicit StopWatch(Rig& rig);
  ~StopWatch();
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Writes the files that the options name. `json`: {kind, machine, result}.
net::Result<void> write_result(const CommonOptions& options, const nlohmann::ordered_json& json,
                               const std::string& csv);
net::Result<void> write_file(const std::string& file, const std::string& text);

}  // namespace millrace::perf::gen
