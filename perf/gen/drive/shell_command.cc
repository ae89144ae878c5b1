#include "perf/gen/drive/shell_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

extern char** environ;

namespace millrace::perf::gen {
namespace {

constexpr int kLookMs = 100;                     // how often `stopped` is asked
constexpr std::size_t kShownOutputBytes = 2000;  // of an error: the end of what was printed

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string shown(const std::string& output) {
  std::string text = output.substr(output.size() - std::min(output.size(), kShownOutputBytes));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? std::string("; it printed nothing") : "; it printed:\n" + text;
}

/// Takes what is there; false: there is no more to come.
bool read_some(int fd, std::string& output) {
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t count = ::read(fd, bytes.data(), bytes.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    output.append(bytes.data(), static_cast<std::size_t>(count));
    if (output.size() > kMostOutputBytes) output.erase(0, output.size() - kMostOutputBytes);
  }
}

net::Result<pid_t> start(const std::string& command, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  std::string shell = "sh", flag = "-c", text = command;
  char* const arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return net::failed_precondition(fmt::format("'{}': /bin/sh: {}", command, std::strerror(error)));
  return pid;
}

/// Waits until the child has ended; nullopt: it has. Else why it is to be killed.
std::optional<net::ErrorCode> wait_for_end(int child, int output_fd, const ShellOptions& options, std::string& output) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(options.timeout_seconds);
  bool open = true;
  for (;;) {
    pollfd waits[2] = {{.fd = child, .events = POLLIN, .revents = 0},
                       {.fd = open ? output_fd : -1, .events = POLLIN, .revents = 0}};
    ::poll(waits, 2, kLookMs);
    if (open && waits[1].revents != 0) open = read_some(output_fd, output);
    if (waits[0].revents != 0) return std::nullopt;
    if (options.stopped && options.stopped()) return net::ErrorCode::kUnavailable;
    if (Clock::now() >= deadline) return net::ErrorCode::kDeadlineExceeded;
  }
}

}  // namespace

net::Result<ShellOutcome> run_shell(const std::string& command, const ShellOptions& options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return net::failed_precondition("pipe2: no descriptor is free");
  const Descriptor read_end(ends[0]);
  const auto began = Clock::now();
  auto pid = [&] {
    const Descriptor write_end(ends[1]);
    ::fcntl(write_end.get(), F_SETFL, 0);  // the child's end blocks, as programs expect
    return start(command, write_end.get());
  }();
  if (!pid) return pid.error();
  ShellOutcome outcome;
  const Descriptor child(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  const auto refused = wait_for_end(child.get(), read_end.get(), options, outcome.output);
  if (refused) ::kill(-*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {}
  outcome.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  read_some(read_end.get(), outcome.output);
  if (refused == net::ErrorCode::kUnavailable) {
    return net::unavailable(fmt::format("'{}': killed, as the run was stopped", command));
  }
  if (refused) {
    return net::Error{*refused, fmt::format("'{}': not done after {:g} s, and killed{}", command,
                                            options.timeout_seconds, shown(outcome.output))};
  }
  if (WIFSIGNALED(status)) {
    return net::failed_precondition(
        fmt::format("'{}': ended by signal {}{}", command, WTERMSIG(status), shown(outcome.output)));
  }
  if (WEXITSTATUS(status) != 0) {
    return net::failed_precondition(
        fmt::format("'{}': exit code {}{}", command, WEXITSTATUS(status), shown(outcome.output)));
  }
  return outcome;
}

std::string with_value(std::string command, std::string_view name, std::uint64_t value) {
  const std::string place = fmt::format("{{{}}}", name), text = fmt::format("{}", value);
  for (std::size_t at = command.find(place); at != std::string::npos; at = command.find(place, at + text.size())) {
    command.replace(at, place.size(), text);
  }
  return command;
}

}  // namespace millrace::perf::gen
