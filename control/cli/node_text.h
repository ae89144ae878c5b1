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

/// "vxlan", "crossSubnet", "direct".
std::string encapsulation_text(api::Encapsulation encapsulation);
/// "up", "no route", "not by the uplink", "no neighbour".
std::string state_text(api::TunnelState state);
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

/// Each way as the switch has it, and what went by it: packets and bytes of pods, not of what they were put into.
std::string tunnel_table(const api::ListTunnelsReply& reply);

std::string ipam_text(const api::ListBlocksReply& reply);

}  // namespace millrace::control::cli
