/// Underlay: the ways through the network between nodes, as the kernel has them. Production:
/// kernel_underlay.h; tests: a table.
///
/// Shape:   a way is what the kernel would do with a packet of this node's own to a remote. Whether its link is an
///          uplink of the switch, and what follows from that, is not decided here (tunnel_standing.h).
/// Thread:  any control thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "net/address.h"

namespace millrace::control::switchd {

struct UnderlayWay {
  int link = 0;           // the kernel's number of the interface; 0: there is no route
  std::string interface;  // its name
  net::IpAddress next_hop;
  bool is_routed = false;       // the next hop is a router, not the remote itself
  std::optional<net::Mac> mac;  // of the next hop, while it is known
  std::uint32_t mtu_bytes = 0;  // of the path, as far as the kernel knows it
  friend bool operator==(const UnderlayWay&, const UnderlayWay&) = default;
};
using UnderlayWays = std::map<net::IpAddress, UnderlayWay>;  // by remote

class Underlay {
 public:
  virtual ~Underlay() = default;
  /// From now on the ways are those to `remotes`. Returns when the new ones have been looked up; their next hops are
  /// asked for where the link is among `uplinks`, and answer later.
  virtual void follow(const std::set<net::IpAddress>& remotes, const std::set<int>& uplinks) = 0;
  virtual UnderlayWays ways() const = 0;
};

}  // namespace millrace::control::switchd
