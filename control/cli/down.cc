// millrace down
#include <fmt/format.h>

#include <memory>

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

net::Result<int> down(Context& context, bool with_pods) {
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
  if (auto clean = clean_up(*config, with_pods); !clean) return clean.error();
  return 0;
}

}  // namespace

void add_down(CLI::App& app, Context& context) {
  const auto purge = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(app, context, "down", "Stop both daemons and remove the host port; pods work again after the next up",
                  [purge](Context& given) { return down(given, *purge); });
  command->add_flag("--purge", *purge, "Remove the pods' interfaces, too");
}

}  // namespace millrace::control::cli
