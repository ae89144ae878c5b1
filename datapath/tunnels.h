/// Tunnels: ways to other nodes, as a snapshot holds them. One that encapsulates puts the packet into VXLAN
/// (net/vxlan.h); one that does not sends it to its next hop as it is, for the underlay to route.
///
/// Shape:   a tunnel is an entry of Snapshot::ports behind the port limit (kind kTunnel, no device, the MTU of what
///          fits through it), so that routes, flow lines and `out_port` need no second kind of id: id = port limit +
///          index. Indexes are below the tunnel limit, which is fixed at start, and are used again as port ids are.
/// Uplinks: a device of the node with a port for each of its queues. A worker sends by the queue it owns, and gives its
///          packets to the owner of a queue otherwise: `ports[worker]` is that queue's port, for every worker.
/// Sources: what comes through a tunnel may have the addresses that are routed to it, no others. Without
///          encapsulation anybody in the underlay may send, but nobody as a pod of this node, or as a pod behind a
///          tunnel that encapsulates. A node behind one may speak as itself: its own kernel reaches this node so.
/// Thread:  built by control, then immutable.
/// Source:  RFC 7348, RFC 6040.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/address.h"
#include "net/exact_table.h"
#include "net/packet.h"
#include "net/vxlan.h"

namespace millrace::datapath {

/// kMaxTunnels and the ports below them have ids of 16 bits.
inline constexpr unsigned kMaxTunnels = 4096;
inline constexpr unsigned kMaxUplinks = 16;
inline constexpr unsigned kMaxWorkers = 32;

using TunnelIndex = std::uint16_t;
inline constexpr TunnelIndex kNoTunnel = 0xffff;

/// This node in the network between nodes. udp_port 0: it takes no VXLAN.
struct Underlay {
  net::Ipv4 ipv4;  // unspecified: none of this family
  net::Ipv6 ipv6;
  net::Mac vtep_mac;           // inner destination of what is for this node
  std::uint32_t vni = 0;       // 1 .. net::kMaxVni
  std::uint16_t udp_port = 0;  // destination, at both ends
};

/// Two cache lines; VXLAN over IPv4 copies the first.
struct alignas(64) Tunnel {
  net::OuterHeader outer;
  std::uint16_t uplink = 0;      // index of Snapshot::uplinks; of no meaning while it is not resolved
  bool is_set = false;           // a tunnel stands under this index
  bool is_resolved = false;      // else what would leave by it is dropped (kTunnelUnresolved)
  bool is_encapsulated = false;  // VXLAN
  net::IpAddress remote;
};
static_assert(sizeof(Tunnel) == 128);

struct Uplink {
  std::array<net::PortId, kMaxWorkers> ports{};  // [worker]: the queue that its packets leave by
};

/// Tunnels by the address in the underlay that packets come from.
class PeerTable {
 public:
  explicit PeerTable(std::size_t tunnel_count = 0) : v4_(tunnel_count), v6_(tunnel_count) {}
  /// False: another tunnel has the address.
  bool insert(const net::IpAddress& remote, TunnelIndex index) {
    return remote.is_v4() ? v4_.insert(remote.v4().value.host(), index) : v6_.insert(key(remote.v6()), index);
  }
  /// kNoTunnel when nobody has it.
  TunnelIndex find(net::Ipv4 remote) const noexcept { return v4_.find(remote.value.host()); }
  TunnelIndex find(const net::Ipv6& remote) const noexcept { return v6_.find(key(remote)); }

 private:
  static net::Key128 key(const net::Ipv6& address) noexcept {
    net::Key128 made;
    std::memcpy(&made, address.bytes.data(), sizeof made);  // any order will do: keys are compared, not looked into
    return made;
  }

  net::ExactTable<std::uint32_t, TunnelIndex, 8, kNoTunnel> v4_;
  net::ExactTable<net::Key128, TunnelIndex, 3, kNoTunnel> v6_;
};

}  // namespace millrace::datapath
