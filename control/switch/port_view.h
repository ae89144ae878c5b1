/// PortView: the ports of one generation as people know them: names, addresses, and whose policies isolate them.
/// And the tunnels, which are ports to the workers; to trace by name there are only the ports.
///
/// Shape:   by id and by address; holds no device and no counter, so it may be kept while the ports it tells of go.
/// Thread:  immutable, any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/switch/device_plan.h"
#include "control/switch/policy_state.h"
#include "control/switch/tunnel_standing.h"
#include "net/address.h"
#include "net/packet.h"

namespace millrace::control::switchd {

using ObjectNames = std::vector<std::string>;

struct PortView {
  struct Entry {
    std::string name;
    std::string description;
    std::array<std::shared_ptr<const ObjectNames>, kDirections> isolating;  // nullptr: not isolated
  };

  std::uint64_t generation = 0;
  std::map<net::PortId, Entry> by_id;
  std::map<std::string, net::PortId> by_name;
  std::map<net::IpAddress, net::PortId> by_address;
  std::shared_ptr<const ServiceState> services;

  /// nullptr when there was no such port.
  const Entry* find(net::PortId id) const {
    const auto found = by_id.find(id);
    return found == by_id.end() ? nullptr : &found->second;
  }
  /// Whose address it is, as people know it; "" for nobody's.
  std::string description_of(const net::IpAddress& address) const;
};

/// The tunnels have ids from `first_tunnel` on.
PortView make_port_view(std::uint64_t generation, const LivePorts& ports, net::PortId first_tunnel,
                        const LiveTunnels& tunnels, std::shared_ptr<const ServiceState> services);

/// The objects that policies of a list come from, each once, in the list's order.
ObjectNames objects_of(const LiveRuleSet& set);

}  // namespace millrace::control::switchd
