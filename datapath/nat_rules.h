/// NatRules: what the switch translates besides services, as a snapshot holds it.
///
/// Shape:   a family whose masquerade address is unspecified leaves as it is. The ports of both addresses lie in
///          `ports`, cut into blocks of ports_a_worker: a port alone tells the worker that owns its flow.
/// Thread:  built by control, then immutable.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "datapath/routes.h"
#include "nat/port_pool.h"
#include "nat/service_table.h"
#include "net/address.h"

namespace millrace::datapath {

using WorkerId = std::uint16_t;

struct NatRules {
  net::Ipv4 masquerade_v4;
  net::Ipv6 masquerade_v6;
  nat::PortRange ports;              // of all workers
  std::uint32_t ports_a_worker = 0;  // at least 1 when an address is set
  RouteTable not_masqueraded;        // destinations that see the pods' own addresses; what they map to says nothing
  RouteTable service_prefixes;       // an address in here that no frontend has is dropped
  std::vector<net::Ipv4> node_v4;    // the node's own addresses
  std::vector<net::Ipv6> node_v6;

  net::Ipv4 masquerade(net::Ipv4) const noexcept { return masquerade_v4; }
  const net::Ipv6& masquerade(const net::Ipv6&) const noexcept { return masquerade_v6; }
  bool is_node(net::Ipv4 address) const noexcept {
    return std::find(node_v4.begin(), node_v4.end(), address) != node_v4.end();
  }
  bool is_node(const net::Ipv6& address) const noexcept {
    return std::find(node_v6.begin(), node_v6.end(), address) != node_v6.end();
  }
  /// Whether a packet to this address and port is for a flow the switch masquerades.
  template <typename Address>
  bool holds(const Address& destination, std::uint16_t port) const noexcept {
    return destination == masquerade(destination) && ports.holds(port) && !destination.is_unspecified();
  }
  /// Precondition: ports.holds(port).
  WorkerId worker_of(std::uint16_t port) const noexcept {
    return static_cast<WorkerId>(static_cast<std::uint32_t>(port - ports.first) / ports_a_worker);
  }
};

}  // namespace millrace::datapath
