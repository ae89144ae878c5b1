// millrace-agent: the node's pods, addresses and desired state. What it does is in agent.h.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>

#include "control/agent/agent.h"
#include "control/agent/version.h"
#include "control/api/service_manager.h"
#include "control/config/config.h"

namespace {

using millrace::control::agent::Agent;

/// Signals are taken by sigwait in main, so they are blocked before any thread is made.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

int fail(const millrace::net::Error& error) {
  spdlog::error("{}", error.message);
  return 1;
}

int run(const millrace::control::config::Config& config, const sigset_t& signals) {
  const auto wait = [&signals](std::chrono::milliseconds duration) {
    millrace::api::notify_service_manager("EXTEND_TIMEOUT_USEC=30000000");  // of the start, sd_notify(3)
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    const timespec limit{seconds.count(), std::chrono::nanoseconds(duration - seconds).count()};
    return sigtimedwait(&signals, nullptr, &limit) > 0;
  };
  auto agent = Agent::start(config, wait);
  if (!agent) return fail(agent.error());
  if (*agent == nullptr) return 0;
  millrace::api::notify_service_manager("READY=1");
  int number = 0;
  sigwait(&signals, &number);
  spdlog::info("{}: stopping; pods and their packets stay", strsignal(number));
  millrace::api::notify_service_manager("STOPPING=1");
  (*agent)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t signals = block_signals();
  CLI::App app("millrace-agent keeps a node's pods: their addresses, interfaces and ports in the switch.");
  app.footer(millrace::control::config::help_text);
  app.set_version_flag("--version", std::string("millrace-agent ") + millrace::control::agent::kVersion);
  std::string config_path;
  bool cleanup = false;
  bool purge = false;
  app.add_option("--config", config_path, "Configuration file")->type_name("FILE");
  app.add_flag("--cleanup", cleanup, "Remove the host port, then end; pods' interfaces stay for the next start");
  app.add_flag("--purge", purge, "Remove the host port and all pods' interfaces of this instance, then end");
  CLI11_PARSE(app, argc, argv);

  spdlog::set_default_logger(spdlog::stderr_color_mt("millrace-agent"));
  auto config = millrace::control::config::load(config_path);
  if (!config) return fail(config.error());
  spdlog::set_level(spdlog::level::from_str(config->log_level));
  if (!cleanup && !purge) return run(*config, signals);
  if (auto cleaned = millrace::control::agent::clean_up(*config, purge); !cleaned) return fail(cleaned.error());
  return 0;
}
