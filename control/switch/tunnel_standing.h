/// Where a tunnel stands: what follows for it from the way that the kernel has to its remote.
///
/// Shape:   crossSubnet is decided here: behind a router VXLAN, on the link none. A tunnel without a route counts as
///          one that encapsulates, so that what comes for it in the meantime is not taken for what it is not. A path
///          whose MTU leaves less than kMinMtuBytes for a pod's packet is none.
/// Thread:  pure functions, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/switch/device_plan.h"
#include "control/switch/tunnel_set.h"
#include "control/switch/underlay.h"
#include "datapath/snapshot_builder.h"

namespace millrace::control::switchd {

/// The uplinks among the ports, by the kernel's number of their interface: where each is in SnapshotSpec::uplinks.
struct Uplinks {
  struct Entry {
    std::size_t index = 0;
    std::uint32_t mtu_bytes = 0;
  };
  std::map<int, Entry> by_link;
  std::vector<datapath::UplinkSpec> specs;
};
Uplinks uplinks_of(const LivePorts& ports);

struct TunnelStanding {
  api::TunnelState state = api::TUNNEL_STATE_NO_ROUTE;
  bool is_encapsulated = true;
  UnderlayWay way;
  std::uint32_t mtu_bytes = 0;  // of a pod's packet; 0 unless up
  std::optional<datapath::TunnelHop> hop;
  friend bool operator==(const TunnelStanding& a, const TunnelStanding& b) {
    return a.state == b.state && a.is_encapsulated == b.is_encapsulated && a.way == b.way && a.mtu_bytes == b.mtu_bytes;
  }
};
TunnelStanding standing_of(const TunnelConfig& tunnel, const UnderlayWays& ways, const Uplinks& uplinks);

/// A tunnel in force.
struct LiveTunnel {
  std::shared_ptr<const TunnelConfig> config;
  datapath::TunnelIndex index = 0;
  TunnelStanding standing;
};
using LiveTunnels = std::map<std::string, LiveTunnel>;  // by name

datapath::TunnelSpec to_snapshot(const LiveTunnel& tunnel);
/// Without its counters.
api::TunnelStatus to_proto(const LiveTunnel& tunnel);

}  // namespace millrace::control::switchd
