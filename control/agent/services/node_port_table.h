/// The node's own way to its node ports: a table of the kernel's nftables that gives what the node sends to a node port
/// at one of its own addresses the Service's ClusterIP and port in their place.
///
/// Theory:  a packet of the node to an address of the node never leaves the kernel: its table of local addresses comes
///          before any route, so the switch does not see it. In the hook for packets of the node's own making the
///          destination is changed before that matters; the kernel looks the route up again, and a ClusterIP leads to
///          the switch. From there on it is the node that asks for a ClusterIP: any endpoint, which sees the node. So
///          internalTrafficPolicy Local holds here, and externalTrafficPolicy Local does not, as for the ClusterIP.
///          Loopback and link-local addresses are left alone: a packet that comes from such an address cannot leave the
///          node, and an answer to it could not come back.
/// Shape:   one table a family, "millrace-" and the host port's name, with a map of protocol and port to address and
///          port. It is there only while it has a row: a chain of type nat switches the kernel's connection tracking on
///          for all of the node's packets. Rows are of Services of type NodePort and LoadBalancer that have a ClusterIP
///          of the family within `ranges`, those that are routed to the host port.
///          A flow of the node keeps the ClusterIP it began with as long as connection tracking knows it.
/// Cost:    a change of a Service's rows writes its family's map anew in one transaction; other changes write nothing.
/// Errors:  none for the caller: the log has one warning when the kernel refuses. The next change tries again.
/// Thread:  one.
/// Source:  nft(8): "NAT STATEMENTS", "FIB EXPRESSIONS"; nf_nat's ip_route_me_harder().
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/agent/object_store.h"
#include "control/kube/service.h"
#include "net/address.h"

namespace millrace::control::agent::services {

struct NodePort {
  std::uint8_t protocol = 0;  // IANA's number
  std::uint16_t port = 0;
  friend auto operator<=>(const NodePort&, const NodePort&) = default;
};

struct ClusterEnd {
  net::IpAddress address;
  std::uint16_t port = 0;
  friend bool operator==(const ClusterEnd&, const ClusterEnd&) = default;
};

using NodePortRows = std::map<NodePort, ClusterEnd>;

/// Of one family; empty for a Service without node ports, or without a ClusterIP within `ranges`.
NodePortRows node_port_rows(const kube::Service& service, std::uint8_t family, const std::vector<net::Prefix>& ranges);

/// Commands of nft(8), each one transaction. `rows` is not empty.
std::string node_port_table_commands(const std::string& table, std::uint8_t family, const NodePortRows& rows);
std::string node_port_rows_commands(const std::string& table, std::uint8_t family, const NodePortRows& rows);

class NodePortTable {
 public:
  /// `ranges` empty: no rows ever, and the first settle() takes away what was left.
  NodePortTable(const std::string& host_port, std::vector<net::Prefix> ranges);

  /// Of anything but a Service it means nothing.
  void note(const ObjectChange& change);
  /// Makes the kernel's tables those that should be; the first time whatever the run before left.
  void settle();

 private:
  struct Family {
    std::uint8_t number = 4;
    std::map<kube::ObjectKey, NodePortRows> of_service;
    bool is_touched = true;
    bool is_there = false;  // as far as is known: the table, with rows
  };

  void settle(Family& family);

  const std::string table_;
  const std::vector<net::Prefix> ranges_;
  std::array<Family, 2> families_;
  bool has_warned_ = false;
};

/// Takes the tables of the instance with this host port away, if they are there.
net::Result<void> remove_node_port_tables(const std::string& host_port);

}  // namespace millrace::control::agent::services
