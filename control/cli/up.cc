// millrace up
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/daemons.h"
#include "control/cli/ready_socket.h"

namespace millrace::control::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kReadyTimeout{60};
constexpr std::chrono::seconds kEndTimeout{10};
/// Between two questions to a daemon that was not started here, or whether the switch is as the agent wants it: no
/// event tells either, but the end of a process is seen at once.
constexpr std::chrono::milliseconds kAskAgain{20};

struct Started {
  Daemon daemon;
  Process process;
  std::uintmax_t log_offset;
  bool ready = false;
};

class Starter {
 public:
  Starter(const config::Config& config, ReadySocket ready_socket)
      : config_(config), ready_socket_(std::move(ready_socket)), deadline_(Clock::now() + kReadyTimeout) {}

  net::Result<void> bring_up() {
    for (const Daemon& daemon : {switch_daemon(config_), agent_daemon(config_)}) {
      if (auto step = start_if_missing(daemon); !step) return undo(step.error());
    }
    if (auto step = wait_until_ready(); !step) return undo(step.error());
    if (auto step = wait_until_well(); !step) return undo(step.error());
    for (const Started& one : started_) {
      fmt::print("{} started, pid {}, log {}\n", one.daemon.program, one.process.pid(), one.daemon.log_file);
    }
    return {};
  }

 private:
  net::Result<void> start_if_missing(const Daemon& daemon) {
    auto running = serves(daemon);
    if (!running) return running.error();
    if (*running) return {};
    const std::uintmax_t offset = log_size(daemon.log_file);
    auto process = start_daemon(daemon, config_, ready_socket_.address());
    if (!process) return process.error();
    started_.push_back({.daemon = daemon, .process = std::move(*process), .log_offset = offset});
    return {};
  }

  /// Whether it runs already. One that was killed a moment ago is still found until it has given its memory back, so
  /// only an answer counts; without one it is waited for, whichever comes first: its end or its answer.
  net::Result<bool> serves(const Daemon& daemon) {
    const auto running = find_daemon(daemon);
    if (!running) return false;
    const std::string file = config_.file.empty() ? "" : std::filesystem::absolute(config_.file).string();
    if (running->config_file && *running->config_file != file) {
      return net::failed_precondition(fmt::format(
          "{} (pid {}) already serves {} with another configuration, {}; give this instance its own runtimeDir",
          daemon.program, running->process.pid(), config_.runtime_dir,
          running->config_file->empty() ? "the defaults" : *running->config_file));
    }
    while (true) {
      const auto answer = ask(daemon);
      if (answer.ok()) {
        fmt::print("{} runs already, pid {}\n", daemon.program, running->process.pid());
        return true;
      }
      if (running->process.ended(kAskAgain)) return false;
      if (Clock::now() >= deadline_) {
        return net::unavailable(fmt::format("{} runs as process {} and does not answer: {}", daemon.program,
                                            running->process.pid(), answer.error().message));
      }
    }
  }

  net::Result<void> ask(const Daemon& daemon) {
    if (daemon.socket == config_.switch_socket()) {
      auto status = switch_client(config_).call(&api::Switch::Stub::GetStatus, api::SwitchStatusRequest());
      return status.ok() ? net::Result<void>() : status.error();
    }
    auto status = agent_client(config_).call(&api::Agent::Stub::GetStatus, api::AgentStatusRequest());
    return status.ok() ? net::Result<void>() : status.error();
  }

  /// Waits for the next message or the end of one of the processes, no longer than `limit`.
  net::Result<void> wait_for_event(Clock::time_point limit) {
    std::vector<pollfd> entries = {{.fd = ready_socket_.fd(), .events = POLLIN, .revents = 0}};
    for (const Started& one : started_) entries.push_back({.fd = one.process.fd(), .events = POLLIN, .revents = 0});
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now()).count();
    if (::poll(entries.data(), entries.size(), static_cast<int>(std::max<std::int64_t>(0, left))) < 0 &&
        errno != EINTR) {
      return net::internal_error("poll failed");
    }
    for (std::size_t i = 0; i < started_.size(); ++i) {
      if (entries[i + 1].revents != 0) return ended(started_[i]);
    }
    if ((entries[0].revents & POLLIN) != 0) {
      const auto pid = ready_socket_.take();
      for (Started& one : started_) one.ready = one.ready || pid == one.process.pid();
    }
    return {};
  }

  net::Error ended(Started& one) {
    return net::failed_precondition(fmt::format("{} ended with {}; its log {} says:\n{}", one.daemon.program,
                                                one.process.reap().text, one.daemon.log_file,
                                                log_tail(one.daemon.log_file, one.log_offset)));
  }

  net::Result<void> wait_until_ready() {
    while (true) {
      const auto waiting = std::ranges::find(started_, false, &Started::ready);
      if (waiting == started_.end()) return {};
      if (Clock::now() >= deadline_) {
        return net::unavailable(fmt::format("{} was not ready within {} s; its log {} says:\n{}",
                                            waiting->daemon.program, kReadyTimeout.count(), waiting->daemon.log_file,
                                            log_tail(waiting->daemon.log_file, waiting->log_offset)));
      }
      if (auto event = wait_for_event(deadline_); !event) return event;
    }
  }

  /// Both answer, and the switch forwards as the agent wants it.
  net::Result<void> wait_until_well() {
    if (auto answer = ask(switch_daemon(config_)); !answer) return answer;
    AgentClient agent = agent_client(config_);
    while (true) {
      auto status = agent.call(&api::Agent::Stub::GetStatus, api::AgentStatusRequest());
      if (status && status->ready() && status->switch_connected()) return {};
      if (Clock::now() >= deadline_) {
        if (!status) return status.error();
        return net::unavailable(
            fmt::format("millrace-agent is not ready after {} s: {}", kReadyTimeout.count(), status->switch_message()));
      }
      if (auto event = wait_for_event(Clock::now() + kAskAgain); !event) return event;
    }
  }

  /// What was started here is ended again; what ran before goes on.
  net::Error undo(const net::Error& error) {
    for (auto one = started_.rbegin(); one != started_.rend(); ++one) {
      if (auto gone = end_daemon(one->daemon, one->process, kEndTimeout); !gone) {
        fmt::print(stderr, "millrace: {}\n", gone.error().message);
      }
    }
    const bool all = started_.size() == 2;
    if (auto clean = all ? clean_up(config_, false) : net::Result<void>(); !clean) {
      fmt::print(stderr, "millrace: {}\n", clean.error().message);
    }
    return error;
  }

  const config::Config& config_;
  ReadySocket ready_socket_;
  Clock::time_point deadline_;
  std::vector<Started> started_;
};

net::Result<int> up(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  auto lock = InstanceLock::take(*config, true);
  if (!lock) return lock.error();
  auto ready_socket = ReadySocket::open();
  if (!ready_socket) return ready_socket.error();
  if (auto done = Starter(*config, std::move(*ready_socket)).bring_up(); !done) return done.error();
  return 0;
}

}  // namespace

void add_up(CLI::App& app, Context& context) {
  add_command(app, context, "up", "Start millraced and millrace-agent in the background, whichever does not run", up);
}

}  // namespace millrace::control::cli
