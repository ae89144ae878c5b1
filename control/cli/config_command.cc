// millrace config check | docs
#include <fmt/format.h>

#include "control/cli/command.h"
#include "control/cli/man_page.h"

namespace millrace::control::cli {

namespace {

net::Result<int> check(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  if (config->file.empty()) {
    fmt::print("{} is not there; every key has its default\n", config::kDefaultPath);
  } else {
    fmt::print("{} is well\n", config->file);
  }
  return 0;
}

std::string docs(const std::string& format) {
  if (format == "man") return config_page();
  if (format == "man-command") {
    Context unused;
    return command_page(*make_app(unused));
  }
  return format == "text" ? config::help_text() : config::markdown_text();
}

}  // namespace

void add_config(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("config", "Check the configuration file, or print its documentation");
  group->require_subcommand(1);
  add_command(*group, context, "check", "Say whether both daemons would take the configuration file", check);
  auto format = std::make_shared<std::string>("markdown");
  CLI::App* command = add_command(*group, context, "docs", "Print the documentation that docs/ holds",
                                  [format](Context&) -> net::Result<int> {
                                    fmt::print("{}", docs(*format));
                                    return 0;
                                  });
  command->add_option("--format", *format, "Of the keys: text, markdown, man; of the commands: man-command")
      ->check(CLI::IsMember({"text", "markdown", "man", "man-command"}))
      ->capture_default_str();
}

}  // namespace millrace::control::cli
