/// The node's own way to addresses of Services that are not in the service ranges: external IPs and load balancers'.
///
/// Theory:  the kernel would route such an address by the uplink, to wherever it is in the world. For each frontend one
///          rule sends what the node itself sends to that address, protocol and port by the host port; the address's
///          other ports, and all that the node forwards, go where they went. So a Service with an external IP that is
///          also another machine's, a neighbour's say, takes from the node nothing but that port of it. An address of
///          the node itself stays its own: the kernel's table of its addresses comes before any rule.
/// Shape:   rules of netlink::kRouteProtocol to a table that has one default route a family and is this instance's own:
///          its number follows from the host port's name. Rules are asked one after another, so there are
///          kMaxServiceRules at most; frontends beyond are reached by pods and by the world, and the log says so.
/// Errors:  none for the caller: what the kernel refuses is in the log.
/// Thread:  one.
/// Source:  ip-rule(8).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/agent/host_port.h"
#include "control/api/switch.pb.h"
#include "control/netlink/netlink.h"

namespace millrace::control::agent {

/// Each costs some nanoseconds whenever the node looks up a route for a new connection or a packet it forwards.
inline constexpr std::size_t kMaxServiceRules = 256;

class ServiceRoutes {
 public:
  explicit ServiceRoutes(HostPort host);

  /// Routes by the host port, and the rules that were left by the run before. Call once, with the host port there.
  void start();
  /// Of these services the frontends are those; `removes` are gone.
  void update(const std::vector<api::Service>& upserts, const std::vector<std::string>& removes);
  /// Node ports are on these: the kernel's own, they need no rule. Takes effect with the next update().
  void set_node_addresses(const std::vector<net::IpAddress>& addresses);

 private:
  using Rules = std::set<netlink::PortRule>;

  Rules rules_of(const api::Service& service) const;
  bool should_be(const netlink::PortRule& rule) const {
    return wanted_.contains(rule) && !node_addresses_.contains(rule.destination);
  }
  void withdraw(const std::string& name);
  /// Makes the kernel's rules those that should be, as far as touched_ says that they may differ.
  void settle();
  void touch_all();
  void install(netlink::Netlink& netlink, const netlink::PortRule& rule);

  const HostPort host_;
  const std::uint32_t table_;
  std::set<net::IpAddress> node_addresses_;
  std::map<std::string, Rules> of_service_;       // by the switch's name
  std::map<netlink::PortRule, unsigned> wanted_;  // by how many services; node ports too
  Rules installed_;
  Rules touched_;
  bool is_full_ = false;  // some should be and are not
};

/// Takes the rules of the instance with this host port away. Its routes go with the interface.
net::Result<void> remove_service_routes(const std::string& host_port);

}  // namespace millrace::control::agent
