/// ARP: reading a request and answering it in place (proxy ARP for the gateway).
///
/// Shape:   functions over a Packet that parse() accepted with l3 == L3::kArp; VLAN tags stay as they are.
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 826 (packet reception), RFC 5227 (probe: sender address 0.0.0.0), RFC 1027 (proxy ARP).
#pragma once

#include "net/packet.h"
#include "net/wire.h"

namespace millrace::net {

/// The ARP packet of a parsed frame: valid as long as the packet's bytes. Precondition: l3 == L3::kArp.
const ArpPacket& arp(const Packet& packet) noexcept;

/// A request from a unicast Ethernet sender that names itself rightly (sender MAC is the frame's source MAC) for a
/// unicast address that is not the sender's own. Only such a request may be answered.
bool is_answerable_arp_request(const Packet& packet) noexcept;

/// Asks whether somebody has the address, before taking it (RFC 5227 2.1.1): sender address is 0.0.0.0.
inline bool is_arp_probe(const ArpPacket& packet) noexcept { return packet.sender_ip.is_unspecified(); }

/// Turns an answerable request into the reply "target_ip is at `own`". False, nothing changed: not answerable.
bool make_arp_reply(Packet& packet, const Mac& own) noexcept;

}  // namespace millrace::net
