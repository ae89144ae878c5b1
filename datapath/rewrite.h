/// Rewriting: what the worker of the out port does to a packet before it leaves.
///
/// Thread:  pure functions on the packet's owner. Never allocate.
/// Source:  net/checksum.h on checksums left to offload.
#pragma once

#include "datapath/snapshot.h"
#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Completes a checksum that the sender left to its device, whether the port said so or the field does. One that cannot
/// be completed here (more segments than the first) stays marked for the port.
inline void complete_checksum(net::Packet& packet) noexcept {
  if (!packet.offload.checksum_partial &&
      (packet.checksum_is_known || !net::l4_checksum_is_partial(packet.head(), packet.headers))) {
    return;
  }
  packet.offload.checksum_partial = !net::complete_l4_checksum(packet.head(), packet.headers);
}

/// Precondition: parsed; out_port is a port of the snapshot.
inline void rewrite(net::Packet& packet, const PortEntry& out, const Gateway& gateway) noexcept {
  complete_checksum(packet);
  net::set_macs(packet, out.mac, gateway.mac);
}

}  // namespace millrace::datapath
