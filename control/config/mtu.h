/// Sizes of packets that follow from each other: the uplink's, what a tunnel adds, the pods'.
///
/// Shape:   all in bytes of an IP packet. VXLAN adds the outer IP header (20 or 40), UDP (8), VXLAN (8) and the inner
///          Ethernet header (14). Without nodes to tunnel to (`store: embedded`) pods' packets do not depend on the
///          uplink: what is too large for it is answered with "packet too big".
/// Errors:  kInvalidArgument naming the key and the limit.
/// Thread:  pure functions.
/// Source:  RFC 7348 s.4.3 (no fragments of VXLAN), s.5; RFC 8200 s.5.
#pragma once

#include <cstdint>
#include <optional>

#include "control/config/config.h"
#include "net/result.h"

namespace millrace::control::config {

/// Pages of 4096 bytes hold what XDP on a veth can take: 256 bytes of headroom, 320 of skb_shared_info, the Ethernet
/// header and two VLAN tags leave 3498 (drivers/net/veth.c, veth_xdp_set); rounded down for drivers that keep more.
inline constexpr std::uint32_t kMtuLimitBytes = 3400;
inline constexpr std::uint32_t kMtuWithoutUplinkBytes = 1500;
inline constexpr std::uint32_t kIpv6MinimumMtuBytes = 1280;
inline constexpr std::uint32_t kVxlanOverIpv4Bytes = 50;
inline constexpr std::uint32_t kVxlanOverIpv6Bytes = 70;

/// What a packet of a pod grows by on its way to another node, at most: crossSubnet may need VXLAN for any node.
std::uint32_t encapsulation_bytes(const Config& config, bool over_ipv4);

/// MTU of pods and of the host port. `uplink_mtu`: of the interface, nullopt without one. `over_ipv4`: nodes reach
/// this one at an IPv4 address.
net::Result<std::uint32_t> pod_mtu(const Config& config, std::optional<std::uint32_t> uplink_mtu, bool over_ipv4);

/// The largest IP packet that a frame of the switch must hold, encapsulated or not.
std::uint32_t frame_mtu(const Config& config, std::optional<std::uint32_t> uplink_mtu);

}  // namespace millrace::control::config
