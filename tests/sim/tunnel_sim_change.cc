// What control does meanwhile: services and their backends, ways that become unknown, nodes that leave and come back.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/tunnel_sim.h"

namespace millrace::tests {

namespace ip_protocol = net::ip_protocol;

datapath::TunnelHop TunnelSim::hop_to(unsigned to) const { return {0, TunnelNode::device_mac(to), path_mtu_bytes_}; }

/// Tunnels to all other nodes, in any order of their indexes.
void TunnelSim::add_tunnels(unsigned number) {
  TunnelNode& own = node(number);
  std::vector<datapath::TunnelIndex> indexes{0, 1, 2, 3};
  std::shuffle(indexes.begin(), indexes.end(), random_);
  for (unsigned to = 1; to <= nodes_.size(); ++to) {
    if (to == number) continue;
    own.add_tunnel(indexes[to], to).hop = hop_to(to);
    has_way_[number][to] = true;
  }
}

void TunnelSim::make_frontends() {
  struct Row {
    const char* address;
    std::uint8_t protocol;
    std::uint16_t port;
    unsigned node;
  };
  const Row rows[] = {{"10.96.0.10", ip_protocol::kUdp, 53, 0},     {"10.96.0.11", ip_protocol::kTcp, 80, 0},
                      {"10.96.0.12", ip_protocol::kSctp, 90, 0},    {"fd00:10:96::10", ip_protocol::kUdp, 53, 0},
                      {"fd00:10:96::11", ip_protocol::kTcp, 80, 0}, {"192.0.2.1", ip_protocol::kTcp, 30080, 1},
                      {"192.0.2.2", ip_protocol::kUdp, 30053, 2},   {"192.0.2.3", ip_protocol::kSctp, 30090, 3},
                      {"2001:db8::1", ip_protocol::kUdp, 30053, 1}, {"2001:db8::3", ip_protocol::kTcp, 30080, 3}};
  for (const Row& row : rows) {
    Frontend frontend{row.protocol, TunnelNode::address(row.address), row.port, row.node != 0, row.node, {}, {}};
    choose_backends(frontend);
    frontends_.push_back(frontend);
  }
}

/// Some pods of any nodes, at least one.
void TunnelSim::choose_backends(Frontend& frontend) {
  constexpr std::uint16_t kFirstTarget = 9'000;
  const auto target = static_cast<std::uint16_t>(kFirstTarget + frontend.port % 1000);
  std::vector<nat::Backend> pods;
  for (const Party& party : parties_) {
    if (party.kind == Kind::kPod) pods.push_back({party.addresses[frontend.address.is_v4() ? 0 : 1], target});
  }
  std::shuffle(pods.begin(), pods.end(), random_);
  pods.resize(1 + below(pods.size()));
  frontend.backends = pods;
  frontend.ever.insert(pods.begin(), pods.end());
}

void TunnelSim::publish() {
  for (unsigned number = 1; number <= nodes_.size(); ++number) {
    TestSwitch& world = node(number).world();
    world.services.clear();
    for (const Frontend& frontend : frontends_) {
      if (frontend.node != 0 && frontend.node != number) continue;
      std::vector<std::string> backends;
      for (const nat::Backend& backend : frontend.backends) backends.push_back(backend.address.to_string());
      world.services.push_back(service_to(frontend.address.to_string(), frontend.protocol, frontend.port, backends,
                                          frontend.backends[0].port, frontend.masquerade));
    }
    world.publish();
  }
}

/// The way to a node is not known any more, or is again.
void TunnelSim::change_way() {
  const auto number = static_cast<unsigned>(1 + below(nodes_.size()));
  auto& tunnels = node(number)->tunnels;
  if (tunnels.empty()) return;
  datapath::TunnelSpec& tunnel = tunnels[below(tunnels.size())];
  for (unsigned to = 1; to <= nodes_.size(); ++to) {
    if (tunnel.name != fmt::format("node {}", to)) continue;
    if (tunnel.hop) {
      tunnel.hop.reset();
    } else {
      tunnel.hop = hop_to(to);
    }
    note(fmt::format("node {}: the way to {} is {}", number, to, tunnel.hop ? "known" : "unknown"));
  }
  node(number)->publish();
}

/// To one node another is gone, or there again: under any index, so that flows find another tunnel under their old one.
void TunnelSim::remove_or_add_node() {
  const auto number = static_cast<unsigned>(1 + below(nodes_.size()));
  const auto to = static_cast<unsigned>(1 + below(nodes_.size()));
  if (number == to) return;
  auto& tunnels = node(number)->tunnels;
  const bool is_there = has_way_[number][to];
  note(fmt::format("to node {} node {} is {}", number, to, is_there ? "gone" : "there"));
  if (is_there) {
    std::erase_if(tunnels, [&](const datapath::TunnelSpec& each) { return each.name == fmt::format("node {}", to); });
  } else {
    datapath::TunnelIndex index = 0;
    do index = static_cast<datapath::TunnelIndex>(below(4));
    while (std::any_of(tunnels.begin(), tunnels.end(), [&](const auto& each) { return each.index == index; }));
    node(number).add_tunnel(index, to).hop = hop_to(to);
  }
  has_way_[number][to] = !is_there;
  node(number)->publish();
}

}  // namespace millrace::tests
