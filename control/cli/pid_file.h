/// Pid file: which process a daemon of this instance is, in a form that another process with the same id cannot match.
///
/// Shape:   four lines: process id, start in clock ticks since boot, boot id, config file (absolute, empty: defaults).
///          The first line alone is what other tools expect of a pid file.
/// Errors:  a file that is missing, torn or of a process that is gone reads as nullopt; writing: kFailedPrecondition.
/// Thread:  any; the caller holds the instance's lock.
#pragma once

#include <optional>
#include <string>

#include "control/cli/process.h"

namespace millrace::control::cli {

struct PidFileEntry {
  Process process;
  std::string config_file;
};

/// The process if it still runs.
std::optional<PidFileEntry> read_pid_file(const std::string& path);
/// Replaces the file as a whole or not at all.
net::Result<void> write_pid_file(const std::string& path, const Process& process, const std::string& config_file);

}  // namespace millrace::control::cli
