/// VXLAN: an IP packet inside an Ethernet frame inside UDP, from one node to another.
///
/// Shape:   | Ethernet | IPv4 or IPv6 | UDP | VXLAN | inner Ethernet | inner IP ...
///          In front of the inner IP packet lie 64 bytes over IPv4, one cache line, and 84 over IPv6: an OuterHeader,
///          made once for each way, to which a packet adds lengths, traffic class, source port and checksums. What the
///          inner packet had in front of it (Ethernet, VLAN tags) is overwritten: the inner frame is untagged.
///          An OuterHeader without an outer IP header is an Ethernet header alone.
/// UDP:     the source port is a hash of the inner flow, 49152..65535, so that the underlay's paths and receive queues
///          share the flows (RFC 7348 section 5); fragments of a flow have the same, as their ports are known. The
///          checksum is 0 over IPv4. Over IPv6 it is there (RFC 8200 8.1): where the inner TCP or UDP checksum is
///          complete, what that covers adds up to the complement of its pseudo header, and no payload is read ("local
///          checksum offload" of Linux's checksum-offloads.rst). 0, which RFC 6935 allows tunnels, is left only for a
///          packet of several segments that has no such checksum.
/// IP:      TTL 64; don't fragment, identification 0 (RFC 6864); traffic class as in ecn.h.
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 7348, RFC 6040, RFC 6935, RFC 6936, RFC 1624.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "net/address.h"
#include "net/drop.h"
#include "net/ecn.h"
#include "net/packet.h"
#include "net/wire.h"

namespace millrace::net {

inline constexpr std::uint32_t kMaxVni = (1u << 24) - 1;
/// Bytes that the underlay's IP packet is longer than the inner one.
inline constexpr std::uint32_t kVxlanOverIpv4Bytes =
    sizeof(Ipv4Header) + sizeof(UdpHeader) + sizeof(VxlanHeader) + sizeof(EthernetHeader);
inline constexpr std::uint32_t kVxlanOverIpv6Bytes =
    sizeof(Ipv6Header) + sizeof(UdpHeader) + sizeof(VxlanHeader) + sizeof(EthernetHeader);
static_assert(kVxlanOverIpv4Bytes == 50 && kVxlanOverIpv6Bytes == 70);

struct OuterHeader {
  static constexpr std::uint32_t kMostBytes = sizeof(EthernetHeader) + kVxlanOverIpv6Bytes;

  std::array<std::uint8_t, kMostBytes> bytes{};  // `length_bytes` of them
  L3 family = L3::kNone;                         // of the outer IP header; kNone: Ethernet alone
  std::uint8_t length_bytes = 0;
  /// What does not change of a sum, in memory order: over IPv4 that of the IP header, without length and traffic class;
  /// over IPv6 that of the UDP checksum: addresses, protocol, destination port and everything from the VXLAN header to
  /// the inner MACs.
  std::uint16_t fixed_sum = 0;
};

/// Both ends of a way through VXLAN. Addresses of one family.
struct VxlanEnds {
  Mac source_mac;       // of the uplink
  Mac destination_mac;  // of the next hop
  IpAddress source;
  IpAddress destination;
  std::uint16_t udp_port = 0;  // destination
  std::uint32_t vni = 0;
  Mac inner_source;
  Mac inner_destination;
};

OuterHeader make_vxlan_header(const VxlanEnds& ends) noexcept;
OuterHeader make_plain_header(const Mac& destination, const Mac& source) noexcept;

/// Puts the header in front of the packet; `headers` go on to describe the inner packet, where it lies now. False,
/// nothing changed: too little headroom.
/// Precondition: parsed, IPv4 or IPv6, ports known; the L4 checksum is complete or noted as left in `offload`.
bool encapsulate(Packet& packet, const OuterHeader& outer) noexcept;

/// Checks the VXLAN frame in a packet and, where it is there and can be, the UDP checksum; which may have been left to
/// a device, as may the inner one that it covers: on a virtual link nobody fills them in. kNone: open_vxlan() may
/// follow. Nothing is changed but an inner checksum that was left (it is completed).
/// Errors:  kTunnelBadHeader, kTunnelBadVni, kTunnelBadMac, kTunnelBadChecksum.
/// Precondition: parsed, UDP with has_l4, no fragment.
Drop check_vxlan(Packet& packet, std::uint32_t vni, const Mac& vtep_mac) noexcept;

/// This end of all ways over IPv4.
struct Vtep {
  Ipv4 address;
  std::uint16_t udp_port = 0;
  std::uint32_t vni = 0;
  Mac mac;
};

/// Whether a packet that nobody has parsed yet is VXLAN as nearly all of it comes: in one segment, over untagged IPv4
/// without options, whole, without a UDP checksum, and in every field what check_vxlan() asks for. Of such a packet
/// parse(), check_vxlan() and open_vxlan() come to the same as open_common_vxlan(), which needs no headers of the outer
/// packet. False says nothing about it.
bool is_common_vxlan(const Packet& packet, const Vtep& vtep) noexcept;

/// As open_vxlan(). Precondition: is_common_vxlan().
Drop open_common_vxlan(Packet& packet) noexcept;

/// The inner packet takes the place of the outer, `headers` are its own.
/// Errors:  a Drop of the parser; kTunnelEcn (ecn.h). The packet is the inner one then, too.
/// Precondition: check_vxlan() said kNone.
Drop open_vxlan(Packet& packet) noexcept;

}  // namespace millrace::net
