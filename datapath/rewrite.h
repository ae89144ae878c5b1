/// Rewriting: what the worker of the out port does to a packet before it leaves.
///
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  net/checksum.h on checksums left to offload.
#pragma once

#include "datapath/snapshot.h"
#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/offload.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Whether the sender left the checksum to its device, be it that the port said so or that the field does.
inline bool is_partial(const net::Packet& packet) noexcept {
  return packet.offload.checksum_partial ||
         (!packet.checksum_is_known && net::l4_checksum_is_partial(packet.head(), packet.headers));
}

/// Completes such a checksum. Precondition: not of a packet that is to be cut.
inline void complete_checksum(net::Packet& packet) noexcept {
  if (is_partial(packet)) packet.offload.checksum_partial = !net::complete_l4_checksum(packet.head(), packet.headers);
}

/// Leaves a partial checksum to a port that takes it, else completes it.
inline void settle_checksum(net::Packet& packet, const PortEntry& out) noexcept {
  if (!is_partial(packet)) return;
  if (out.port != nullptr && net::checksum_may_be_left(packet) && out.port->tx_offload().checksum) {
    packet.offload.checksum_partial = true;
  } else {
    packet.offload.checksum_partial = !net::complete_l4_checksum(packet.head(), packet.headers);
  }
}

/// Precondition: parsed; out_port is a port of the snapshot, and takes the packet whole (way_out.h).
inline void rewrite(net::Packet& packet, const PortEntry& out, const Gateway& gateway) noexcept {
  settle_checksum(packet, out);
  net::set_macs(packet, out.mac, gateway.mac);
}

}  // namespace millrace::datapath
