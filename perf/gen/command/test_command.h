/// millrace-gen test METHOD: runs a method (perf/gen/method/method.h) over devices.
///
/// Thread:  main.
#pragma once

#include "perf/gen/command/drive_options.h"
#include "perf/gen/command/options.h"
#include "perf/gen/method/method.h"

namespace millrace::perf::gen {

class TestCommand {
 public:
  void describe(CLI::App& app);
  net::Result<void> run();

 private:
  net::Result<Profile> checked_profile();
  net::Result<void> write(const MethodResult& result, const Reconfigurer* changes, const std::string& memory) const;

  CommonOptions common_;
  std::string method_, most_rate_ = "max";
  double warm_up_ = 0;
  MethodOptions options_;
  DriveOptions drive_;
};

}  // namespace millrace::perf::gen
