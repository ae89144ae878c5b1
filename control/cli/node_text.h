/// Nodes, ways to them and blocks of addresses, as tables.
///
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/api/agent.pb.h"
#include "control/api/tunnels.pb.h"

namespace millrace::control::cli {

/// How packets get to the node: "vxlan", "direct", "no neighbour", ...; "this node"; "" when the switch has no way.
std::string reach_text(const api::Node& node, const api::ListTunnelsReply& tunnels);
std::string node_table(const api::ListNodesReply& nodes, const api::ListTunnelsReply& tunnels, std::uint64_t now_ms);

struct Route {
  std::string prefix, node, via, encapsulation, interface, state;
  std::uint32_t mtu = 0;
};
/// Where each node's prefixes lead, this node's own first.
std::vector<Route> routes_of(const api::ListNodesReply& nodes, const api::ListTunnelsReply& tunnels,
                             const std::string& host_port, std::uint32_t mtu);
std::string route_table(const std::vector<Route>& routes);

std::string ipam_text(const api::ListBlocksReply& reply);

}  // namespace millrace::control::cli
