/// millrace-gen run: sends streams over devices for a time and says what came back.
///
/// Thread:  main.
#pragma once

#include "perf/gen/command/drive_options.h"
#include "perf/gen/command/options.h"

namespace millrace::perf::gen {

class RunCommand {
 public:
  void describe(CLI::App& app);
  net::Result<void> run();

 private:
  CommonOptions common_;
  DriveOptions drive_;
  double seconds_ = 10, warm_up_ = 0, drain_ = 0.5;
  std::uint64_t packets_ = 0;
};

}  // namespace millrace::perf::gen
