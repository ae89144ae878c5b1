/// millrace-gen test METHOD: runs a method (perf/gen/method/method.h) over devices.
///
/// Thread:  main.
#pragma once

#include "perf/gen/command/options.h"
#include "perf/gen/method/method.h"

namespace millrace::perf::gen {

class TestCommand {
 public:
  void describe(CLI::App& app);
  net::Result<void> run();

 private:
  net::Result<MethodResult> measure(Method& method) const;

  CommonOptions common_;
  std::string method_, most_rate_ = "max";
  double warm_up_ = 0;
  MethodOptions options_;
};

}  // namespace millrace::perf::gen
