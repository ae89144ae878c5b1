#include "control/cli/node_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/cli/join.h"
#include "control/cli/message_json.h"
#include "control/cli/table.h"

namespace millrace::control::cli {

std::string encapsulation_text(api::Encapsulation encapsulation) {
  switch (encapsulation) {
    case api::ENCAPSULATION_VXLAN: return "vxlan";
    case api::ENCAPSULATION_CROSS_SUBNET: return "crossSubnet";
    case api::ENCAPSULATION_NONE: return "direct";
    default: return "";
  }
}

std::string state_text(api::TunnelState state) {
  switch (state) {
    case api::TUNNEL_STATE_UP: return "up";
    case api::TUNNEL_STATE_NO_ROUTE: return "no route";
    case api::TUNNEL_STATE_NOT_UPLINK: return "not by the uplink";
    case api::TUNNEL_STATE_NO_NEIGHBOR: return "no neighbour";
    default: return "";
  }
}

namespace {

std::string addresses_text(const api::Node& node) {
  std::vector<std::string> texts;
  for (const std::string& address : node.addresses()) texts.push_back(address_text(address));
  return join(texts, ",");
}

}  // namespace

std::string reach_text(const api::Node& node, const api::ListTunnelsReply& tunnels) {
  if (node.is_self()) return "this node";
  const auto found = std::ranges::find_if(
      tunnels.tunnels(), [&](const api::TunnelStatus& tunnel) { return tunnel.spec().name() == node.name(); });
  if (found == tunnels.tunnels().end()) return "";
  return found->state() == api::TUNNEL_STATE_UP ? encapsulation_text(found->encapsulation())
                                                : state_text(found->state());
}

std::string node_table(const api::ListNodesReply& nodes, const api::ListTunnelsReply& tunnels, std::uint64_t now_ms) {
  const auto right = Table::Align::kRight;
  Table table({{"NODE"}, {"STATE"}, {"ADDRESSES"}, {"BLOCKS"}, {"PODS", right}, {"REACHED"}, {"VERSION"}, {"AGE"}});
  for (const api::Node& node : nodes.nodes()) {
    const std::uint64_t started = node.started_unix_ms();
    table.add({node.name(), node.ready() ? "ready" : "gone", addresses_text(node), join(node.blocks(), ","),
               std::to_string(node.pod_count()), reach_text(node, tunnels), node.version(),
               started == 0 ? "" : duration_text(now_ms > started ? now_ms - started : 0)});
  }
  return table.to_string();
}

std::vector<Route> routes_of(const api::ListNodesReply& nodes, const api::ListTunnelsReply& tunnels,
                             const std::string& host_port, std::uint32_t mtu) {
  std::vector<Route> routes;
  for (const api::Node& node : nodes.nodes()) {
    if (!node.is_self()) continue;
    for (const std::string& block : node.blocks()) {
      routes.push_back({.prefix = block,
                        .node = node.name(),
                        .via = "",
                        .encapsulation = "local",
                        .interface = host_port,
                        .state = "up",
                        .mtu = mtu});
    }
  }
  for (const api::TunnelStatus& tunnel : tunnels.tunnels()) {
    const std::string& hop = tunnel.next_hop().empty() ? tunnel.spec().remote() : tunnel.next_hop();
    for (const api::RoutePrefix& prefix : tunnel.spec().prefixes()) {
      routes.push_back({.prefix = fmt::format("{}/{}", address_text(prefix.address()), prefix.length()),
                        .node = tunnel.spec().name(),
                        .via = address_text(hop),
                        .encapsulation = encapsulation_text(tunnel.encapsulation()),
                        .interface = tunnel.interface(),
                        .state = state_text(tunnel.state()),
                        .mtu = tunnel.mtu()});
    }
  }
  return routes;
}

std::string route_table(const std::vector<Route>& routes) {
  Table table(
      {{"PREFIX"}, {"NODE"}, {"VIA"}, {"ENCAPSULATION"}, {"INTERFACE"}, {"MTU", Table::Align::kRight}, {"STATE"}});
  for (const Route& route : routes) {
    table.add({route.prefix, route.node, route.via, route.encapsulation, route.interface,
               route.mtu == 0 ? "" : std::to_string(route.mtu), route.state});
  }
  return table.to_string();
}

std::string tunnel_table(const api::ListTunnelsReply& reply) {
  const auto right = Table::Align::kRight;
  Table table({{"TUNNEL"},
               {"REMOTE"},
               {"STATE"},
               {"ENCAPSULATION"},
               {"NEXT-HOP"},
               {"MAC"},
               {"INTERFACE"},
               {"MTU", right},
               {"RX-PACKETS", right},
               {"RX-BYTES", right},
               {"TX-PACKETS", right},
               {"TX-BYTES", right}});
  for (const api::TunnelStatus& tunnel : reply.tunnels()) {
    table.add({tunnel.spec().name(), address_text(tunnel.spec().remote()), state_text(tunnel.state()),
               encapsulation_text(tunnel.encapsulation()), address_text(tunnel.next_hop()),
               address_text(tunnel.next_hop_mac()), tunnel.interface(),
               tunnel.mtu() == 0 ? "" : std::to_string(tunnel.mtu()), std::to_string(tunnel.rx_packets()),
               std::to_string(tunnel.rx_bytes()), std::to_string(tunnel.tx_packets()),
               std::to_string(tunnel.tx_bytes())});
  }
  return table.to_string();
}

std::string ipam_text(const api::ListBlocksReply& reply) {
  std::string text;
  for (const api::Pool& pool : reply.pools()) {
    Table table({{"BLOCK"}, {"NODE"}, {"STATE"}, {"USED", Table::Align::kRight}, {"CAPACITY", Table::Align::kRight}});
    std::uint64_t held = 0;
    for (const api::Block& block : reply.blocks()) {
      if (block.pool() != pool.prefix()) continue;
      held += block.state() == "held";
      table.add({block.prefix(), block.node(), block.state(), std::to_string(block.used()),
                 std::to_string(block.capacity())});
    }
    text += fmt::format("{}pool {}: {} of {} blocks of /{} are taken\n", text.empty() ? "" : "\n", pool.prefix(), held,
                        pool.block_limit(), pool.block_length());
    if (!table.empty()) text += table.to_string();
  }
  return text.empty() ? "no pool is configured\n" : text;
}

}  // namespace millrace::control::cli
