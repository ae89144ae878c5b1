/// Process: a process held by a pidfd, so that nothing here can meet another process that was given the same id later.
///
/// Shape:   start_ticks is when the process began, in clock ticks since boot (proc(5), stat field 22): with the boot
///          id it names a process for good, which an id alone does not.
/// Errors:  kNotFound when there is no such process or program; kFailedPrecondition with the system's reason.
/// Thread:  one owner.
/// Source:  pidfd_open(2), pidfd_send_signal(2), posix_spawn(3).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/unique_fd.h"
#include "net/result.h"

namespace millrace::control::cli {

struct SpawnOptions {
  std::vector<std::string> argv;         // [0] is the program's path
  std::vector<std::string> environment;  // KEY=VALUE, all of it
  int input = -1;                        // -1: /dev/null
  int output = -1;                       // -1: the caller's own
  int error = -1;
  bool own_session = false;  // a daemon: away from the terminal, in the root directory
};

class Process {
 public:
  /// A child. It gets no signal mask and no descriptors of the caller but the three above.
  static net::Result<Process> spawn(const SpawnOptions& options);
  /// Any process that is there.
  static net::Result<Process> open(pid_t pid);

  pid_t pid() const { return pid_; }
  int fd() const { return fd_.get(); }  // readable once the process has ended
  std::uint64_t start_ticks() const { return start_ticks_; }

  /// True once it has ended; waits that long for it.
  bool ended(std::chrono::milliseconds timeout) const;
  /// A process that has ended is no error.
  net::Result<void> signal(int number) const;
  /// Of a child that has ended: "exit status 1", "signal 9 (Killed)", and the status as a shell tells it. Once.
  struct End {
    int status = 0;
    std::string text;
  };
  End reap();

 private:
  Process(pid_t pid, UniqueFd fd, std::uint64_t start_ticks)
      : pid_(pid), fd_(std::move(fd)), start_ticks_(start_ticks) {}
  pid_t pid_ = -1;
  UniqueFd fd_;
  std::uint64_t start_ticks_ = 0;
};

/// nullopt when there is no such process.
std::optional<std::uint64_t> start_ticks_of(pid_t pid);
/// The caller's environment in the form of SpawnOptions.
std::vector<std::string> own_environment();
/// Directory of the running program, where its sisters lie.
std::string program_directory();

}  // namespace millrace::control::cli
