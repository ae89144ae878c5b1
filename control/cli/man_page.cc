#include "control/cli/man_page.h"

#include <fmt/format.h>

#include "control/config/config.h"

namespace millrace::control::cli {

namespace {

std::string header(const std::string& name, int section) {
  return fmt::format(".\\\" Made by `millrace config docs`; a test compares the two.\n.TH {} {} \"\" \"Millrace {}\"\n",
                     name, section, MILLRACE_VERSION);
}

std::string option_line(const CLI::Option& option) {
  std::string line =
      ".TP\n\\fB" + roff_text(option.get_positional() ? option.get_name(true) : option.get_name(false, true)) + "\\fR";
  if (!option.get_type_name().empty() && option.get_items_expected_max() > 0) {
    line += " \\fI" + roff_text(option.get_type_name()) + "\\fR";
  }
  return line + "\n" + roff_text(option.get_description()) + "\n";
}

void describe(const CLI::App& app, const std::string& path, std::string& out) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = path + " " + command->get_name();
    const auto below = command->get_subcommands([](const CLI::App*) { return true; });
    if (below.empty() || command->get_require_subcommand_min() == 0) {
      out += fmt::format(".SS {}\n{}.\n", roff_text(name), roff_text(command->get_description()));
      for (const CLI::Option* option : command->get_options()) {
        if (option != command->get_help_ptr()) out += option_line(*option);
      }
    }
    describe(*command, name, out);
  }
}

}  // namespace

std::string roff_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string command_page(const CLI::App& app) {
  std::string out = header("MILLRACE", 8);
  out += ".SH NAME\nmillrace \\- run a node's virtual switch and show what it does\n";
  out += ".SH SYNOPSIS\n.B millrace\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n";
  out += ".SH OPTIONS\n";
  for (const CLI::Option* option : app.get_options()) out += option_line(*option);
  out += ".SH COMMANDS\n";
  describe(app, "millrace", out);
  out +=
      ".SH EXIT STATUS\n0: done. 1: it failed, with a sentence on stderr; of\n.B status\n"
      "also: a daemon is not well; of\n.B trace\nalso: the packet would be dropped. 2: a mistake in the words. Of\n.B "
      "pod exec\nthe status of the command.\n";
  out += ".SH ENVIRONMENT\n.TP\n.B MILLRACE_CONFIG\nThe configuration file when there is no\n.BR \\-\\-config .\n";
  out += fmt::format(".SH FILES\n.TP\n.I {}\nThe configuration file; it need not exist.\n", config::kDefaultPath);
  out += ".SH SEE ALSO\n.BR millrace.yaml (5)\n";
  return out;
}

std::string config_page() {
  return header("MILLRACE.YAML", 5) + ".SH NAME\nmillrace.yaml \\- configuration of Millrace\n.SH DESCRIPTION\n" +
         "One YAML file for both daemons and the command line:\n.BR \\-\\-config ,\nelse\n.BR MILLRACE_CONFIG "
         ",\nelse\n" +
         fmt::format(".IR {} ,\n", config::kDefaultPath) +
         "which need not exist. Every key is optional. A file with an unknown key, a wrong type or an impossible value "
         "is "
         "refused as a whole.\n.SH OPTIONS\n" +
         config::man_text() + ".SH SEE ALSO\n.BR millrace (8)\n";
}

}  // namespace millrace::control::cli
