// millrace node list | delete, millrace route list, millrace ipam show
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "control/cli/client.h"
#include "control/cli/command.h"
#include "control/cli/join.h"
#include "control/cli/message_json.h"
#include "control/cli/node_text.h"

namespace millrace::control::cli {

namespace {

using Json = nlohmann::ordered_json;

std::uint64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

net::Result<int> list_nodes(Context& context) {
  const auto config = context.config();
  if (!config) return config.error();
  const auto nodes = agent_client(*config).call(&api::Agent::Stub::ListNodes, api::ListNodesRequest());
  if (!nodes) return nodes.error();
  // Nodes can be listed while the switch is away: then it is not known how they are reached.
  const auto asked = switch_client(*config).call(&api::Switch::Stub::ListTunnels, api::ListTunnelsRequest());
  const api::ListTunnelsReply tunnels = asked ? *asked : api::ListTunnelsReply();
  if (!context.json()) {
    fmt::print("{}", node_table(*nodes, tunnels, unix_ms()));
    return 0;
  }
  Json json = to_json(*nodes);
  for (int i = 0; i < nodes->nodes_size(); ++i) {
    json["nodes"][static_cast<std::size_t>(i)]["reached"] = reach_text(nodes->nodes(i), tunnels);
  }
  fmt::print("{}", json_text(json));
  return 0;
}

net::Result<int> delete_node(Context& context, const std::string& name) {
  const auto config = context.config();
  if (!config) return config.error();
  fmt::print(stderr,
             "millrace: what node {0} has in the cluster is removed, and its pods' addresses are given to others: "
             "machine {0} must be off, or its pods gone\n",
             name);
  api::DeleteNodeRequest request;
  request.set_name(name);
  const auto removed = agent_client(*config).call(&api::Agent::Stub::DeleteNode, request);
  if (!removed) return removed.error();
  if (context.json()) {
    fmt::print("{}", json_text(to_json(*removed)));
  } else {
    fmt::print("node {} deleted: {} pods, blocks {}\n", name, removed->pod_count(),
               removed->blocks().empty() ? "none" : join(removed->blocks()));
  }
  return 0;
}

net::Result<int> list_routes(Context& context) {
  const auto config = context.config();
  if (!config) return config.error();
  AgentClient agent = agent_client(*config);
  const auto nodes = agent.call(&api::Agent::Stub::ListNodes, api::ListNodesRequest());
  if (!nodes) return nodes.error();
  const auto status = agent.call(&api::Agent::Stub::GetStatus, api::AgentStatusRequest());
  if (!status) return status.error();
  const auto tunnels = switch_client(*config).call(&api::Switch::Stub::ListTunnels, api::ListTunnelsRequest());
  if (!tunnels) return tunnels.error();
  const std::vector<Route> routes = routes_of(*nodes, *tunnels, config->host_port, status->mtu());
  if (!context.json()) {
    fmt::print("{}", route_table(routes));
    return 0;
  }
  Json json = {{"routes", Json::array()}};
  for (const Route& route : routes) {
    json["routes"].push_back({{"prefix", route.prefix},
                              {"node", route.node},
                              {"via", route.via},
                              {"encapsulation", route.encapsulation},
                              {"interface", route.interface},
                              {"mtu", route.mtu},
                              {"state", route.state}});
  }
  fmt::print("{}", json_text(json));
  return 0;
}

net::Result<int> show_ipam(Context& context) {
  const auto config = context.config();
  if (!config) return config.error();
  const auto blocks = agent_client(*config).call(&api::Agent::Stub::ListBlocks, api::ListBlocksRequest());
  if (!blocks) return blocks.error();
  fmt::print("{}", context.json() ? json_text(to_json(*blocks)) : ipam_text(*blocks));
  return 0;
}

}  // namespace

void add_node(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("node", "Nodes of the cluster");
  group->require_subcommand(1);
  CLI::App* list =
      add_command(*group, context, "list",
                  "List the nodes: addresses, blocks of pods' addresses, pods, and how they are reached", list_nodes);
  add_output_option(*list, context);
  auto name = std::make_shared<std::string>();
  CLI::App* remove = add_command(*group, context, "delete",
                                 "Remove what a node that is gone for good has in the cluster; its pods' addresses are "
                                 "given to others",
                                 [name](Context& c) { return delete_node(c, *name); });
  remove->add_option("NAME", *name, "Of the node")->required();
  add_output_option(*remove, context);
}

void add_route(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("route", "Ways to pods of all nodes");
  group->require_subcommand(1);
  CLI::App* list =
      add_command(*group, context, "list",
                  "List where each prefix leads: node, next hop, encapsulation, interface, MTU", list_routes);
  add_output_option(*list, context);
}

void add_ipam(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("ipam", "Addresses of pods");
  group->require_subcommand(1);
  CLI::App* show =
      add_command(*group, context, "show", "Show the pools, which node has which block, and how full it is", show_ipam);
  add_output_option(*show, context);
}

}  // namespace millrace::control::cli
