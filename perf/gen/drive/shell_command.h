/// run_shell: a command that drives the device under test, in a shell, bounded in time.
///
/// Shape:   `/bin/sh -c COMMAND` in a process group of its own. What it prints, on either output, is kept up to
///          kMostOutputBytes: the generator's own output stays what it says it is. Time is up: the whole group is
///          killed. It is over when the shell has ended; what it left running in the background goes on.
/// Errors:  kDeadlineExceeded: not done in time; kFailedPrecondition: it ended with a code that is not 0, or by a
///          signal; kUnavailable: `stopped` said so. Each names the command and the end of what it printed.
/// Thread:  any; blocks until the command is over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/result.h"

namespace millrace::perf::gen {

inline constexpr std::size_t kMostOutputBytes = 64 * 1024;

struct ShellOptions {
  double timeout_seconds = 60;
  std::function<bool()> stopped;  // asked some times a second; may be empty
};

struct ShellOutcome {
  double seconds = 0;  // from its start to its end
  std::string output;
};

net::Result<ShellOutcome> run_shell(const std::string& command, const ShellOptions& options);

/// `command` with every "{NAME}" in it replaced by `value`.
std::string with_value(std::string command, std::string_view name, std::uint64_t value);

}  // namespace millrace::perf::gen
