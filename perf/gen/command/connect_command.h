/// millrace-gen connect: TCP connections or UDP transactions at a rate, and how they fail.
///
/// Thread:  main.
#pragma once

#include "perf/gen/command/options.h"
#include "perf/gen/connect/result.h"

namespace millrace::perf::gen {

class ConnectCommand {
 public:
  void describe(CLI::App& app);
  net::Result<void> run();

 private:
  CommonOptions common_;
  ConnectOptions options_;
  double timeout_ = 1, hold_ = 0;
};

}  // namespace millrace::perf::gen
