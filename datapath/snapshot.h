/// Snapshot: everything that workers only read, built by control, then immutable.
///
/// Shape:   `ports` is indexed by PortId. Below the switch's port limit, `first_tunnel`, it has devices; from there on
///          tunnels, which have none (tunnels.h). An empty slot has port == nullptr and is no tunnel. PortIds are small
///          numbers that are used again after a port is gone.
/// Thread:  built on a control thread; read by every worker until it has passed to a later generation (publisher.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "datapath/nat_rules.h"
#include "datapath/port.h"
#include "datapath/routes.h"
#include "datapath/tunnels.h"
#include "nat/service_table.h"
#include "net/address.h"
#include "net/packet.h"
#include "policy/identity_table.h"
#include "policy/rule_set.h"

namespace millrace::datapath {

inline constexpr unsigned kMaxPorts = 4096;
/// Addresses a pod port may have in each family.
inline constexpr unsigned kMaxPortAddresses = 4;

enum class PortKind : std::uint8_t {
  kPod,       // guarded: only the port's own MAC and addresses may send, and the prefixes behind it
  kHost,      // the node's own network: any source address
  kUplink,    // a device of the node, or a queue of it: any source; what leaves by it leaves through a tunnel
  kTunnel,    // a way to another node, without a device of its own: tunnels.h
  kNodeLink,  // to the node's kernel, for an uplink that no kernel drives: uplink_filter.h
};

/// Two cache lines: what most packets need of their in port and out port lies in the first.
struct alignas(64) PortEntry {
  Port* port = nullptr;
  const policy::RuleSet* ingress = nullptr;  // nullptr: not isolated in this direction. Kept by Snapshot::rule_sets
  const policy::RuleSet* egress = nullptr;
  PortKind kind = PortKind::kPod;
  bool masquerade : 1 = false;     // what it sends to the outside leaves with the node's address
  bool dhcp : 1 = false;           // a pod whose address is leased: dhcp.h
  bool awaits_policy : 1 = false;  // nothing begins from it or to it
  bool is_filtered : 1 = false;    // an uplink that no kernel drives
  bool has_prefixes : 1 = false;   // routes beyond its addresses lead to it
  /// The owner: polls its RX and writes its TX. Of a tunnel that of the host port: steer.h says why.
  WorkerId worker = 0;
  std::uint16_t mtu_bytes = 0;  // of the IP packet; 0: a tunnel that is not resolved, nothing fits
  net::Mac mac;                 // of the other side (the pod's interface, the node's millrace0)
  std::uint8_t ipv4_count = 0;
  std::uint8_t ipv6_count = 0;
  /// Where packets go that are not the switch's, as they are: of a filtered uplink the node link, of a node link the
  /// uplink's queue that its worker sends by. kNoPort: the other one is not there.
  net::PortId beside = net::kNoPort;
  std::array<net::Ipv4, kMaxPortAddresses> ipv4{};
  std::array<net::Ipv6, kMaxPortAddresses> ipv6{};
  /// First generation in which this port stands under this id. A packet that was handed over under an earlier
  /// generation meant another port (worker.cc), and a flow of an earlier one had another pod's address.
  std::uint64_t since_generation = 0;
};
static_assert(sizeof(PortEntry) == 128);

/// The switch as its pods see it.
struct Gateway {
  net::Mac mac;              // source of every frame the switch sends
  net::Ipv4 ipv4;            // answers ARP and ICMP echo, e.g. 169.254.1.1
  net::Ipv6 ipv6;            // answers ND and ICMPv6 echo, e.g. fe80::1
  net::Ipv4 icmp_source_v4;  // source of ICMP errors: the node's address on the host port
  net::Ipv6 icmp_source_v6;
};

struct Snapshot {
  std::uint64_t generation = 0;
  /// Lines of flows carry the epoch under which their route, backend and policy were found (nat/flow_line.h).
  std::uint32_t epoch = 0;
  Gateway gateway;
  std::vector<PortEntry> ports;                              // [port limit + tunnel limit]
  std::array<std::vector<net::PortId>, kMaxWorkers> polled;  // ports of each worker, in the order they are polled
  bool has_dhcp = false;                                     // some port has `dhcp`
  bool has_policies = false;                                 // some port has rules, or awaits them
  RouteTable routes;  // host routes of local addresses, and prefixes that lead to the host port
  NatRules nat;

  net::PortId first_tunnel = 0;        // the port limit: id of tunnel 0
  net::PortId outside = net::kNoPort;  // the host port, by which the outside is reached
  bool has_plain_tunnels = false;      // some tunnel does not encapsulate
  Underlay underlay;
  std::vector<Tunnel> tunnels;  // [tunnel limit]
  std::vector<Uplink> uplinks;
  PeerTable peers;          // of all tunnels, by their remote
  RouteTable tunnel_nodes;  // the nodes' own addresses, which the routes have too

  std::shared_ptr<const nat::ServiceTable> services;              // never null
  std::shared_ptr<const policy::IdentityTable> identities;        // never null
  std::vector<std::shared_ptr<const policy::RuleSet>> rule_sets;  // that ports point to
};

inline bool is_tunnel(const Snapshot& snapshot, net::PortId id) noexcept {
  return id != net::kNoPort && id >= snapshot.first_tunnel;
}
/// Precondition: is_tunnel().
inline const Tunnel& tunnel_of(const Snapshot& snapshot, net::PortId id) noexcept {
  return snapshot.tunnels[static_cast<std::size_t>(id - snapshot.first_tunnel)];
}

}  // namespace millrace::datapath
