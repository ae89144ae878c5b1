/// Flags of what drives the device under test: a number of a sweep, its connections, changes while packets run.
///
/// Shape:   commands are run by /bin/sh, one at a time, each bounded by --command-timeout. {n}: the value of a sweep;
///          {i}: the number of a change, from 1.
/// Errors:  of checks: kInvalidArgument names the flag.
/// Thread:  control code.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "perf/gen/drive/connections_runner.h"
#include "perf/gen/drive/reconfigure.h"
#include "perf/gen/method/method.h"

namespace millrace::perf::gen {

class DriveOptions {
 public:
  void describe_reconfiguration(CLI::App& app);
  void describe_sweep(CLI::App& app, MethodOptions& method);
  void describe_connections(CLI::App& app, MethodOptions& method);

  /// nullptr: there is nothing to change.
  std::unique_ptr<Reconfigurer> reconfigurer() const;
  TableOptions table() const;

  /// What `method` needs of these flags, and what is refused with it; sets what MethodOptions has of them.
  net::Result<void> prepare(const std::string& method, MethodOptions& options) const;
  /// A runner around `runner` that makes the connections which `method` wants; nullptr: it wants none.
  std::unique_ptr<TrialRunner> around(const std::string& method, TrialRunner& runner,
                                      const MethodOptions& options) const;

 private:
  net::Result<void> check_sweep(const MethodOptions& options) const;
  net::Result<void> check_connections(const std::string& method, MethodOptions& options) const;
  ShellOptions shell() const;

  std::string configure_, reset_, change_, establish_rate_;
  double rest_seconds_ = 0, first_seconds_ = 0, every_seconds_ = 5, timeout_seconds_ = 60;
  bool established_ = false;
};

}  // namespace millrace::perf::gen
