// millrace version
#include <fmt/format.h>

#include "control/cli/command.h"
#include "control/cli/message_json.h"

namespace millrace::control::cli {

void add_version(CLI::App& app, Context& context) {
  CLI::App* command = add_command(app, context, "version", "Print the version", [](Context& c) -> net::Result<int> {
    if (c.json()) {
      fmt::print("{}", json_text({{"version", MILLRACE_VERSION}}));
    } else {
      fmt::print("millrace {}\n", MILLRACE_VERSION);
    }
    return 0;
  });
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
