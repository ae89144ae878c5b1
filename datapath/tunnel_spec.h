/// What control wants of tunnels: part of a SnapshotSpec (snapshot_builder.h), which says the errors.
///
/// Shape:   TunnelSpec::index is chosen by the caller and stays with the tunnel, as a port's id does. Prefixes are
///          those of the other node's pods and its own addresses; one of full length is an address of the node itself,
///          which may also speak to this node without the tunnel (tunnels.h).
/// Thread:  plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datapath/tunnels.h"
#include "net/address.h"
#include "net/packet.h"

namespace millrace::datapath {

inline constexpr std::size_t kMaxTunnelPrefixes = 1024;

/// A device of the node and the ports of its queues: each PortSpec of kind kUplink, of a worker of its own where there
/// are enough workers. No port is of two uplinks.
struct UplinkSpec {
  std::string name;  // for error messages
  net::Mac mac;      // the device's own: source of what leaves
  std::vector<net::PortId> queues;
};

/// Where packets to another node go first.
struct TunnelHop {
  std::size_t uplink = 0;            // index of SnapshotSpec::uplinks
  net::Mac mac;                      // of the router, or of the other node
  std::uint32_t path_mtu_bytes = 0;  // of the underlay's IP packet
};

struct TunnelSpec {
  TunnelIndex index = 0;
  std::string name;              // for error messages
  net::IpAddress remote;         // in the underlay; unique
  bool is_encapsulated = true;   // VXLAN, else as it is
  net::Mac remote_vtep_mac;      // with is_encapsulated
  std::optional<TunnelHop> hop;  // nullopt: not resolved. What would leave by it is dropped (kTunnelUnresolved)
  std::vector<net::Prefix> prefixes;
};

}  // namespace millrace::datapath
