// millrace down
#include <fmt/format.h>

#include "control/cli/command.h"
#include "control/cli/daemons.h"

namespace millrace::control::cli {

namespace {

constexpr std::chrono::seconds kEndTimeout{15};

net::Result<void> end_if_running(const Daemon& daemon) {
  const auto running = find_daemon(daemon);
  if (!running) {
    remove_leftovers(daemon);
    fmt::print("{} does not run\n", daemon.program);
    return {};
  }
  if (!running->unit.empty()) {
    return net::failed_precondition(fmt::format("{} (pid {}) is systemd's; stop it with: systemctl stop {}",
                                                daemon.program, running->process.pid(), running->unit));
  }
  if (auto ended = end_daemon(daemon, running->process, kEndTimeout); !ended) return ended;
  fmt::print("{} stopped\n", daemon.program);
  return {};
}

net::Result<int> down(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  auto lock = InstanceLock::take(*config, false);
  if (!lock && lock.error().code == net::ErrorCode::kNotFound) {
    fmt::print("nothing runs: {}\n", lock.error().message);
    return 0;
  }
  if (!lock) return lock.error();
  // The agent first: it would take a switch that ends for a crash and wait for it.
  for (const Daemon& daemon : {agent_daemon(*config), switch_daemon(*config)}) {
    if (auto ended = end_if_running(daemon); !ended) return ended.error();
  }
  if (auto clean = clean_up(*config); !clean) return clean.error();
  return 0;
}

}  // namespace

void add_down(CLI::App& app, Context& context) {
  add_command(app, context, "down", "Stop both daemons and remove the host port and the pods' interfaces", down);
}

}  // namespace millrace::control::cli
