// millrace tunnel list
#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"
#include "control/cli/node_text.h"

namespace millrace::control::cli {

namespace {

net::Result<int> list_tunnels(Context& context) {
  const auto config = context.config();
  if (!config) return config.error();
  const auto reply = switch_client(*config).call(&api::Switch::Stub::ListTunnels, api::ListTunnelsRequest());
  if (!reply) return reply.error();
  fmt::print("{}", context.json() ? json_text(to_json(*reply)) : tunnel_table(*reply));
  return 0;
}

}  // namespace

void add_tunnel(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("tunnel", "The switch's ways to other nodes");
  group->require_subcommand(1);
  CLI::App* list = add_command(
      *group, context, "list",
      "List each way as the switch has it: state, next hop and its MAC, MTU, packets and bytes", list_tunnels);
  add_output_option(*list, context);
}

}  // namespace millrace::control::cli
