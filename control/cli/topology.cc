// millrace topology
#include "control/cli/topology.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/message_json.h"

namespace millrace::control::cli {

namespace {

using Core = std::vector<const api::TopologyCpu*>;
using Node = std::map<std::uint32_t, Core>;

std::string role_of(const api::TopologyCpu& cpu) {
  if (!cpu.allowed()) return "not allowed";
  return cpu.role().empty() ? "not used" : cpu.role();
}

std::string draw_node(const Node& node, std::size_t role_width) {
  std::string out;
  for (auto core = node.begin(); core != node.end(); ++core) {
    const bool last_core = std::next(core) == node.end();
    out += fmt::format("{}-- core {}\n", last_core ? "`" : "|", core->first);
    for (const api::TopologyCpu* cpu : core->second) {
      std::string line =
          fmt::format("{}   {}-- cpu {:<3}  {:<{}}  {}", last_core ? " " : "|", cpu == core->second.back() ? "`" : "|",
                      cpu->cpu(), role_of(*cpu), role_width, cpu->why());
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
  }
  return out;
}

net::Result<int> topology(Context& context) {
  auto config = context.config();
  if (!config) return config.error();
  auto reply = switch_client(*config).call(&api::Switch::Stub::GetTopology, api::GetTopologyRequest());
  if (!reply) return reply.error();
  fmt::print("{}", context.json() ? json_text(to_json(*reply)) : draw(*reply));
  return 0;
}

}  // namespace

std::string draw(const api::Topology& topology) {
  std::map<std::int32_t, Node> nodes;
  std::size_t role_width = 0;
  for (const api::TopologyCpu& cpu : topology.cpus()) {
    nodes[cpu.numa_node()][cpu.core()].push_back(&cpu);
    role_width = std::max(role_width, role_of(cpu).size());
  }
  std::string out;
  for (const auto& [number, node] : nodes) {
    const bool near = !topology.uplink().empty() && number == topology.uplink_numa_node();
    out += number < 0 ? std::string("NUMA node unknown") : fmt::format("NUMA node {}", number);
    out += near ? fmt::format(" (uplink {})\n", topology.uplink()) : "\n";
    out += draw_node(node, role_width);
  }
  if (!topology.reasons().empty()) out += "\nWhy:\n";
  for (const std::string& reason : topology.reasons()) out += fmt::format("- {}\n", reason);
  return out;
}

void add_topology(CLI::App& app, Context& context) {
  CLI::App* command = add_command(app, context, "topology", "Draw which cores the workers are on, and why", topology);
  add_output_option(*command, context);
}

}  // namespace millrace::control::cli
