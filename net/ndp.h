/// Neighbour discovery: reading a neighbour solicitation and answering it in place.
///
/// Shape:   functions over a Packet that parse() accepted; VLAN tags stay as they are. Answering may grow the packet by
///          the 8 bytes of the target link-layer option, into its tailroom.
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  RFC 4861 7.1.1 (validation), 7.2.4 (answer), RFC 4862 5.4.3 (duplicate address detection).
#pragma once

#include <optional>

#include "net/packet.h"
#include "net/wire.h"

namespace millrace::net {

struct NeighborSolicitation {
  Ipv6 source;
  Ipv6 target;
  std::optional<Mac> source_mac;  // of the source link-layer option
  /// Duplicate address detection: sent from the unspecified address. Answering it takes the address from the asker.
  bool is_duplicate_detection = false;
};

/// The solicitation, or nullopt when the packet is none or RFC 4861 7.1.1 says to discard it: hop limit not 255, code
/// not 0, wrong checksum, too short, multicast target, an option of length 0, or, from the unspecified address, a
/// source link-layer option or a destination that is not solicited-node multicast.
std::optional<NeighborSolicitation> read_neighbor_solicitation(const Packet& packet) noexcept;

/// Turns a valid solicitation into the advertisement "target is at `own`", override set, hop limit 255; solicited and
/// back to the asker, or unsolicited and to all nodes when it was duplicate detection. `headers` are parsed anew.
/// False, nothing changed: no valid solicitation, or no tailroom.
bool make_neighbor_advertisement(Packet& packet, const Mac& own, bool is_router) noexcept;

}  // namespace millrace::net
