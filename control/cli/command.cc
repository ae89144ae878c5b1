#include "control/cli/command.h"

#include <cstdio>

#include <fmt/format.h>

namespace millrace::control::cli {

namespace {

constexpr int kUsageStatus = 2;

/// A word in the place of a command that is none, for which CLI11 only says that a command is missing.
std::string unknown_command(const CLI::App& app) {
  const CLI::App* group = &app;
  while (!group->get_subcommands().empty()) group = group->get_subcommands().front();
  const std::vector<std::string> left = app.remaining(true);
  const auto below = group->get_subcommands([](const CLI::App*) { return true; });
  if (below.empty() || left.empty() || left.front().starts_with('-')) return "";
  std::string out = fmt::format("no command \"{}\"; there are:", left.front());
  for (const CLI::App* command : below) out += " " + command->get_name();
  return out;
}

}  // namespace

CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name, const std::string& text,
                      std::function<net::Result<int>(Context&)> action) {
  CLI::App* command = parent.add_subcommand(name, text);
  command->callback([&context, command, action = std::move(action)] {
    if (!command->get_subcommands().empty()) return;  // one below it was named, whose callback came first
    context.action = [&context, action] { return action(context); };
  });
  return command;
}

void add_output_option(CLI::App& command, Context& context, const std::vector<std::string>& more) {
  std::vector<std::string> forms = {"table", "json"};
  forms.insert(forms.end(), more.begin(), more.end());
  command.add_option("-o,--output", context.output, "How it is printed")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
}

std::unique_ptr<CLI::App> make_app(Context& context) {
  auto app = std::make_unique<CLI::App>("millrace runs a node's virtual switch and shows what it does.", "millrace");
  app->require_subcommand(1);
  app->set_version_flag("--version", "millrace " MILLRACE_VERSION);
  app->set_help_flag("-h,--help", "Print this help and end");
  app->add_option("--config", context.config_file, "Configuration file of the instance")
      ->envname("MILLRACE_CONFIG")
      ->type_name("FILE");
  app->footer(config::help_text);
  add_up(*app, context);
  add_down(*app, context);
  add_status(*app, context);
  add_pod(*app, context);
  add_port(*app, context);
  add_node(*app, context);
  add_route(*app, context);
  add_tunnel(*app, context);
  add_ipam(*app, context);
  add_apply(*app, context);
  add_get(*app, context);
  add_delete(*app, context);
  add_trace(*app, context);
  add_drops(*app, context);
  add_policy(*app, context);
  add_counters(*app, context);
  add_flows(*app, context);
  add_topology(*app, context);
  add_config(*app, context);
  add_version(*app, context);
  for (CLI::App* command : app->get_subcommands([](CLI::App*) { return true; })) {
    command->footer("The configuration file's keys: millrace --help");
  }
  return app;
}

int run(int argc, const char* const* argv) {
  Context context;
  const std::unique_ptr<CLI::App> app = make_app(context);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const std::string wrong = unknown_command(*app); !wrong.empty()) {
      fmt::print(stderr, "millrace: {}\n", wrong);
      return kUsageStatus;
    }
    return app->exit(error) == 0 ? 0 : kUsageStatus;
  }
  const net::Result<int> status = context.action();
  if (status.ok()) {
    if (std::fflush(stdout) != 0) return 1;
    return *status;
  }
  fmt::print(stderr, "millrace: {}\n", status.error().message);
  return 1;
}

}  // namespace millrace::control::cli
