/// Tunnel: the other node of a FlowWorld, and what travels between the two as the underlay sees it.
///
/// Shape:   this node is 192.0.2.1 and 2001:db8::1, the other 192.0.2.2 and 2001:db8::2; one uplink of one queue. The
///          other node's pods are 10.2.0.0/16 and the same in fd00::/96. into() and out_of() are the other node's work:
///          nothing of theirs is timed.
/// Thread:  one.
#pragma once

#include <cstdint>

#include "datapath/snapshot_builder.h"
#include "net/packet.h"
#include "net/vxlan.h"

namespace millrace::perf::bench {

/// Where the servers of the flows are, and how they are reached.
enum class Link {
  kNone,           // they are pods of this node
  kHost,           // elsewhere, by the host port: as much as a tunnel, but for the tunnel
  kVxlanOverIpv4,  // pods of the other node
  kVxlanOverIpv6,
  kPlain,  // the same without encapsulation
};

/// 10.2.0.0, host order.
inline constexpr std::uint32_t kFirstRemotePod = 0x0a020000;
inline constexpr std::size_t kTunnelLimit = 1;

class Tunnel {
 public:
  explicit Tunnel(Link link);

  /// Adds the uplink's port, the underlay and the tunnel to what the switch is told.
  void describe(datapath::SnapshotSpec& spec, net::PortId uplink, datapath::Port& port) const;
  /// Bytes in front of the inner IP packet.
  std::uint32_t outer_bytes() const noexcept { return outer_.length_bytes; }
  /// As the other node sends it. Precondition: parsed, and room for outer_bytes().
  void into(net::Packet& packet) const;
  /// As the other node takes it. Errors: std::runtime_error for a packet it would refuse.
  void out_of(net::Packet& packet) const;

 private:
  Link link_;
  net::OuterHeader outer_;
};

}  // namespace millrace::perf::bench
