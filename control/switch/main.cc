// millraced: the switch. Reads the config, then runs until SIGTERM or SIGINT.
#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "control/config/config.h"
#include "control/switch/daemon.h"
#include "control/switch/process.h"

namespace {

namespace config = millrace::control::config;
namespace switchd = millrace::control::switchd;

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;  // command line or config

int run(const config::Config& settings) {
  switchd::start_log(settings.log_level);
  auto signals = switchd::StopSignals::block();
  if (!signals) {
    spdlog::critical("{}", signals.error().message);
    return kExitFailure;
  }
  if (auto ended = switchd::run_daemon(settings, *signals); !ended) {
    spdlog::critical("{}", ended.error().message);
    return kExitFailure;
  }
  spdlog::info("stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("millraced: the switch of Millrace. Forwards between the ports that millrace-agent asks for.",
               "millraced");
  app.set_version_flag("--version", MILLRACE_VERSION);
  app.footer(config::help_text);
  std::string file;
  app.add_option("--config", file, fmt::format("config file; without it {}, if it is there", config::kDefaultPath))
      ->type_name("FILE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kExitUsage;
  }
  const auto settings = config::load(file);
  if (!settings) {
    fmt::print(stderr, "millraced: {}\n", settings.error().message);
    return kExitUsage;
  }
  return run(*settings);
}
