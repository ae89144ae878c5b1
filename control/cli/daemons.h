/// The two daemons of an instance as processes: found, started, ended.
///
/// Shape:   a daemon is found by its pid file, else by who listens on its socket (SO_PEERCRED), so one that systemd or
///          a person started by hand is seen, too. Logs: RUNTIME_DIR/PROGRAM.log; pid files: RUNTIME_DIR/PROGRAM.pid.
/// Errors:  sentences for a person. Nothing that another instance or systemd owns is ended.
/// Thread:  one at a time in an instance: InstanceLock.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "control/cli/pid_file.h"
#include "control/cli/process.h"
#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::cli {

struct Daemon {
  std::string program;  // "millraced"
  std::string socket;
  std::string pid_file;
  std::string log_file;
};

Daemon switch_daemon(const config::Config& config);
Daemon agent_daemon(const config::Config& config);

/// Held by `up` and `down` from beginning to end.
class InstanceLock {
 public:
  /// Makes the runtime directory when `make` says so; without it a missing directory is kNotFound.
  static net::Result<InstanceLock> take(const config::Config& config, bool make);

 private:
  explicit InstanceLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

struct RunningDaemon {
  Process process;
  std::optional<std::string> config_file;  // when the pid file says
  std::string unit;                        // of systemd, "" when it is none
};

std::optional<RunningDaemon> find_daemon(const Daemon& daemon);

/// Starts it in the background and writes its pid file. `notify_address` goes into NOTIFY_SOCKET.
net::Result<Process> start_daemon(const Daemon& daemon, const config::Config& config,
                                  const std::string& notify_address);
/// SIGTERM, then SIGKILL when it has not ended in time. The daemon's socket and pid file are removed.
net::Result<void> end_daemon(const Daemon& daemon, const Process& process, std::chrono::seconds timeout);
/// Socket and pid file of one that does not run.
void remove_leftovers(const Daemon& daemon);
/// millrace-agent --cleanup or --purge: takes the host port away or, `with_pods`, the pods' interfaces, too.
net::Result<void> clean_up(const config::Config& config, bool with_pods);

/// The last lines of a log from `offset` on, indented.
std::string log_tail(const std::string& file, std::uintmax_t offset);
std::uintmax_t log_size(const std::string& file);

/// Program and --config FILE of this instance.
std::vector<std::string> daemon_command(const std::string& program, const config::Config& config);

}  // namespace millrace::control::cli
