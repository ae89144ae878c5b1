/// A child process of a test: started with its output in a file, ended by its pid, never left behind.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace millrace::control::etcd {

class Process {
 public:
  /// Ends with this thread at the latest (setpriv --pdeathsig).
  Process(const std::vector<std::string>& command, const std::string& output_file);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number);
  /// SIGKILL, and waits until it is gone.
  void kill();

 private:
  pid_t pid_;
};

/// Runs it to its end: the exit code, and what it wrote to stdout and stderr.
std::pair<int, std::string> run(const std::vector<std::string>& command);

/// The same, and the test fails if the exit code is not 0.
std::string must_run(const std::vector<std::string>& command);

std::string read_text(const std::string& path);

}  // namespace millrace::control::etcd
