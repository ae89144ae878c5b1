/// ICMP and ICMPv6: echo replies and errors, made in place from the packet that asks or offends.
///
/// Shape:   functions over a Packet that parse() accepted; `headers` describe the new packet afterwards. Both kinds go
///          back to where the packet came from: Ethernet addresses are turned round, VLAN tags stay as they are.
///          An error needs headroom for an IP and an ICMP header (28 bytes for IPv4, 48 for IPv6). It ends inside the
///          first segment: a port that chained more must free those (length_bytes == head_bytes).
/// Limits:  rate limiting is the caller's (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 792, RFC 1122 3.2.2, RFC 1191, RFC 1812 4.3.2, RFC 4443.
#pragma once

#include <cstdint>

#include "net/packet.h"
#include "net/wire.h"

namespace millrace::net {

/// ICMP or ICMPv6 echo, request or reply: the messages whose identifier stands for a port.
inline bool is_echo(const Headers& headers) noexcept {
  if (headers.l3 == L3::kIpv4) {
    return headers.l4_protocol == ip_protocol::kIcmp &&
           (headers.icmp_type == icmp_type::kEchoRequest || headers.icmp_type == icmp_type::kEchoReply);
  }
  return headers.l4_protocol == ip_protocol::kIcmpv6 &&
         (headers.icmp_type == icmpv6_type::kEchoRequest || headers.icmp_type == icmpv6_type::kEchoReply);
}

/// An ICMP or ICMPv6 echo request, not a fragment, to and from unicast addresses.
bool is_echo_request(const Packet& packet) noexcept;

/// An ICMP or ICMPv6 error message, or one of a type that nobody has defined and that may be one.
bool is_icmp_error(const Packet& packet) noexcept;

/// Turns an echo request into the reply from the address it was sent to. The checksum is updated, not recomputed, so
/// damage to the payload stays visible to the asker. False, nothing changed: not an echo request.
bool make_echo_reply(Packet& packet) noexcept;

/// What went wrong; each has its type and code in both families.
enum class IcmpErrorKind : std::uint8_t {
  kTimeExceeded,     // 11/0                      | 3/0
  kPacketTooBig,     // 3/4 fragmentation needed  | 2/0
  kNoRoute,          // 3/0 net unreachable       | 1/0
  kHostUnreachable,  // 3/1                       | 1/3 address unreachable
  kPortUnreachable,  // 3/3                       | 1/4
  kProhibited,       // 3/13 (RFC 1812 5.2.7.1)   | 1/1
};

struct IcmpError {
  IcmpErrorKind kind = IcmpErrorKind::kNoRoute;
  std::uint16_t mtu_bytes = 0;  // kPacketTooBig: the MTU of the way out
};

/// Who says so: the switch's MAC and addresses on the port the packet came from.
struct IcmpSource {
  Mac mac;
  Ipv4 ipv4;
  Ipv6 ipv6;
};

/// Whether an error may be sent about this packet: never about an ICMP error or redirect, a fragment that is not the
/// first, a packet to a multicast or broadcast MAC or IP (packet too big excepted: RFC 4443 2.4 e.3), or one whose
/// source is no single host.
bool may_answer_with_error(const Packet& packet, IcmpErrorKind kind) noexcept;

/// Turns the packet into the error about it, quoting as much of it as fits in 576 bytes (RFC 1812 4.3.2.3) or 1280
/// (RFC 4443 2.4 c). The quote is the packet as it is now: restore what was rewritten before.
/// False, nothing changed: no error may be sent, `source` has no address of the family, or too little headroom.
bool make_icmp_error(Packet& packet, const IcmpError& error, const IcmpSource& source) noexcept;

}  // namespace millrace::net
