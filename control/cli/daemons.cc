#include "control/cli/daemons.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace millrace::control::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTailLines = 12;
constexpr std::uintmax_t kLogLimitBytes = 16 << 20;  // a longer log is put aside when the daemon starts

Daemon daemon_of(const config::Config& config, const std::string& program, const std::string& socket) {
  return {.program = program,
          .socket = socket,
          .pid_file = fmt::format("{}/{}.pid", config.runtime_dir, program),
          .log_file = fmt::format("{}/{}.log", config.runtime_dir, program)};
}

/// The process that listens on a socket.
std::optional<pid_t> listener_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t length = sizeof peer;
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return std::nullopt;
  }
  return peer.pid;
}

/// "millraced.service" of the last part of its control group.
std::string unit_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cgroup", pid));
  for (std::string line; std::getline(file, line);) {
    std::string unit = line.substr(line.rfind('/') + 1);
    if (unit.starts_with("millrace") && unit.ends_with(".service")) return unit;
  }
  return "";
}

net::Result<UniqueFd> open_log(const std::string& path) {
  if (log_size(path) > kLogLimitBytes) {
    std::error_code error;
    fs::rename(path, path + ".old", error);
  }
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!fd) return net::failed_precondition(fmt::format("{}: {}", path, std::strerror(errno)));
  return fd;
}

}  // namespace

Daemon switch_daemon(const config::Config& config) { return daemon_of(config, "millraced", config.switch_socket()); }
Daemon agent_daemon(const config::Config& config) { return daemon_of(config, "millrace-agent", config.agent_socket()); }

net::Result<InstanceLock> InstanceLock::take(const config::Config& config, bool make) {
  std::error_code error;
  if (make) {
    fs::create_directories(config.runtime_dir, error);
    if (error) return net::failed_precondition(fmt::format("{}: {}", config.runtime_dir, error.message()));
    ::chmod(config.runtime_dir.c_str(), 0755);
  }
  const std::string path = config.runtime_dir + "/up.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd && errno == ENOENT) return net::not_found(fmt::format("{} is not there", config.runtime_dir));
  if (!fd) return net::failed_precondition(fmt::format("{}: {}; run this as root", path, std::strerror(errno)));
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return net::failed_precondition(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return InstanceLock(std::move(fd));
}

std::optional<RunningDaemon> find_daemon(const Daemon& daemon) {
  if (auto entry = read_pid_file(daemon.pid_file)) {
    return RunningDaemon{.process = std::move(entry->process), .config_file = entry->config_file, .unit = ""};
  }
  const auto pid = listener_of(daemon.socket);
  if (!pid) return std::nullopt;
  auto process = Process::open(*pid);
  if (!process) return std::nullopt;
  return RunningDaemon{.process = std::move(*process), .config_file = std::nullopt, .unit = unit_of(*pid)};
}

std::vector<std::string> daemon_command(const std::string& program, const config::Config& config) {
  std::vector<std::string> argv = {fmt::format("{}/{}", program_directory(), program)};
  if (!config.file.empty()) {
    argv.push_back("--config");
    argv.push_back(fs::absolute(config.file).string());
  }
  return argv;
}

net::Result<Process> start_daemon(const Daemon& daemon, const config::Config& config,
                                  const std::string& notify_address) {
  auto log = open_log(daemon.log_file);
  if (!log) return log.error();
  SpawnOptions options{.argv = daemon_command(daemon.program, config),
                       .environment = own_environment(),
                       .output = log->get(),
                       .error = log->get(),
                       .own_session = true};
  std::erase_if(options.environment, [](const std::string& entry) { return entry.starts_with("NOTIFY_SOCKET="); });
  options.environment.push_back("NOTIFY_SOCKET=" + notify_address);
  auto process = Process::spawn(options);
  if (!process) return process;
  const std::string file = config.file.empty() ? "" : fs::absolute(config.file).string();
  if (auto written = write_pid_file(daemon.pid_file, *process, file); !written) {
    static_cast<void>(process->signal(SIGKILL));
    return written.error();
  }
  return process;
}

net::Result<void> end_daemon(const Daemon& daemon, const Process& process, std::chrono::seconds timeout) {
  if (auto sent = process.signal(SIGTERM); !sent) return sent;
  if (!process.ended(timeout)) {
    fmt::print(stderr, "millrace: {} did not end within {} s and is killed\n", daemon.program, timeout.count());
    if (auto sent = process.signal(SIGKILL); !sent) return sent;
    if (!process.ended(timeout)) {
      return net::failed_precondition(fmt::format("{}: process {} does not end", daemon.program, process.pid()));
    }
  }
  remove_leftovers(daemon);
  return {};
}

void remove_leftovers(const Daemon& daemon) {
  std::error_code error;
  fs::remove(daemon.pid_file, error);
  // One that lost a race for the socket leaves it to the winner.
  if (!listener_of(daemon.socket)) fs::remove(daemon.socket, error);
}

net::Result<void> clean_up(const config::Config& config, bool with_pods) {
  const Daemon agent = agent_daemon(config);
  auto log = open_log(agent.log_file);
  if (!log) return log.error();
  const std::uintmax_t offset = log_size(agent.log_file);
  SpawnOptions options{.argv = daemon_command(agent.program, config),
                       .environment = own_environment(),
                       .output = log->get(),
                       .error = log->get()};
  options.argv.push_back(with_pods ? "--purge" : "--cleanup");
  auto process = Process::spawn(options);
  if (!process) return process.error();
  constexpr std::chrono::seconds kTimeout{60};
  if (!process->ended(kTimeout)) static_cast<void>(process->signal(SIGKILL));
  if (const Process::End end = process->reap(); end.status != 0) {
    return net::failed_precondition(
        fmt::format("millrace-agent {}: {}\n{}", options.argv.back(), end.text, log_tail(agent.log_file, offset)));
  }
  return {};
}

std::uintmax_t log_size(const std::string& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  return error ? 0 : size;
}

std::string log_tail(const std::string& file, std::uintmax_t offset) {
  std::ifstream stream(file);
  stream.seekg(static_cast<std::streamoff>(offset));
  std::deque<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
    if (lines.size() > kTailLines) lines.pop_front();
  }
  std::string out;
  for (const std::string& line : lines) out += fmt::format("{}  {}", out.empty() ? "" : "\n", line);
  return out;
}

}  // namespace millrace::control::cli
