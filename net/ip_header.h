/// Views of the headers of a parsed packet, and the changes forwarding makes to them.
///
/// Shape:   each view takes a Packet that parse() accepted with that header in `headers`; it checks nothing again.
///          References are valid until the packet's bytes move.
/// Thread:  the packet's owner.
/// Source:  RFC 1812 5.3.1 (TTL), RFC 8200 section 3 (hop limit), RFC 1624 eq. 3.
#pragma once

#include <utility>

#include "net/checksum.h"
#include "net/packet.h"
#include "net/wire.h"

namespace millrace::net {

inline EthernetHeader& ethernet(Packet& packet) noexcept { return view<EthernetHeader>(packet.data); }
inline const EthernetHeader& ethernet(const Packet& packet) noexcept {
  return view<EthernetHeader>(static_cast<const std::uint8_t*>(packet.data));
}
inline Ipv4Header& ipv4(Packet& packet) noexcept { return view<Ipv4Header>(packet.data + packet.headers.l3_offset); }
inline const Ipv4Header& ipv4(const Packet& packet) noexcept {
  return view<Ipv4Header>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l3_offset);
}
inline Ipv6Header& ipv6(Packet& packet) noexcept { return view<Ipv6Header>(packet.data + packet.headers.l3_offset); }
inline const Ipv6Header& ipv6(const Packet& packet) noexcept {
  return view<Ipv6Header>(static_cast<const std::uint8_t*>(packet.data) + packet.headers.l3_offset);
}

/// The Ethernet addresses of the next hop. By value: they may be the packet's own.
inline void set_macs(Packet& packet, Mac destination, Mac source) noexcept {
  EthernetHeader& header = ethernet(packet);
  header.destination = destination;
  header.source = source;
}

/// One hop: TTL minus one, checksum updated. Precondition: ttl > 0.
inline void decrement_ttl(Ipv4Header& header) noexcept {
  const Be16 old_word{static_cast<std::uint16_t>(header.ttl << 8 | header.protocol)};
  --header.ttl;
  const Be16 new_word{static_cast<std::uint16_t>(header.ttl << 8 | header.protocol)};
  header.checksum = update_checksum(header.checksum, old_word, new_word);
}

/// One hop for a packet of either family. False, nothing changed: TTL or hop limit is 0 or 1, so the packet ends here.
inline bool decrement_ttl(Packet& packet) noexcept {
  if (packet.headers.ttl <= 1) [[unlikely]]
    return false;
  --packet.headers.ttl;
  if (packet.headers.l3 == L3::kIpv4) [[likely]] {
    decrement_ttl(ipv4(packet));
  } else {
    --ipv6(packet).hop_limit;
  }
  return true;
}

}  // namespace millrace::net
