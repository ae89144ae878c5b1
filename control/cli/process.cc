#include "control/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace millrace::control::cli {

namespace {

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

/// File actions and attributes of one posix_spawn; frees them.
class SpawnPlan {
 public:
  explicit SpawnPlan(const SpawnOptions& options) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    if (options.input < 0) {
      posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    } else {
      posix_spawn_file_actions_adddup2(&actions_, options.input, 0);
    }
    if (options.output >= 0) posix_spawn_file_actions_adddup2(&actions_, options.output, 1);
    if (options.error >= 0) posix_spawn_file_actions_adddup2(&actions_, options.error, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    if (options.own_session) posix_spawn_file_actions_addchdir_np(&actions_, "/");

    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // Away from the terminal's process group: Ctrl-C is for this program, which then undoes what it began.
    const int apart = options.own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | apart));
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

net::Result<Process> Process::spawn(const SpawnOptions& options) {
  const SpawnPlan plan(options);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, options.argv[0].c_str(), plan.actions(), plan.attributes(),
                                  pointers(options.argv).data(), pointers(options.environment).data());
  if (error != 0) {
    std::string message = fmt::format("{}: cannot be started: {}", options.argv[0], std::strerror(error));
    return error == ENOENT ? net::not_found(std::move(message)) : net::failed_precondition(std::move(message));
  }
  // Not reaped yet, so the id is still this child's.
  UniqueFd fd(pidfd_open(pid));
  const auto ticks = start_ticks_of(pid);
  if (!fd || !ticks) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return net::failed_precondition(
        fmt::format("{}: no pidfd for it: the kernel must be 5.3 or newer", options.argv[0]));
  }
  return Process(pid, std::move(fd), *ticks);
}

net::Result<Process> Process::open(pid_t pid) {
  UniqueFd fd(pid > 0 ? pidfd_open(pid) : -1);
  // Read after the pidfd is open: if this is a later process of the same id, its start time says so to the caller.
  const auto ticks = start_ticks_of(pid);
  if (!fd || !ticks) return net::not_found(fmt::format("no process {}", pid));
  return Process(pid, std::move(fd), *ticks);
}

bool Process::ended(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

net::Result<void> Process::signal(int number) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0) == 0 || errno == ESRCH) return {};
  return net::failed_precondition(
      fmt::format("process {}: cannot be sent signal {}: {}", pid_, number, std::strerror(errno)));
}

Process::End Process::reap() {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(fd_.get()), &info, WEXITED) != 0) {
    if (errno != EINTR) return {.status = 1, .text = "an unknown end"};
  }
  if (info.si_code == CLD_EXITED)
    return {.status = info.si_status, .text = fmt::format("exit status {}", info.si_status)};
  return {.status = 128 + info.si_status,
          .text = fmt::format("signal {} ({})", info.si_status, strsignal(info.si_status))};
}

std::optional<std::uint64_t> start_ticks_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // Field 2 is the program's name in parentheses, which may hold anything: count behind the last one.
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::string word;
  for (int field = 3; field < 22; ++field) rest >> word;
  std::uint64_t ticks = 0;
  if (!(rest >> ticks)) return std::nullopt;
  return ticks;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
  return out;
}

std::string program_directory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

}  // namespace millrace::control::cli
