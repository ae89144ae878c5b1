/// turn_round: makes of a packet the answer to it, for an echo port.
///
/// Shape:   Ethernet, IP and port numbers are exchanged, inside a VXLAN tunnel too; an ICMP echo request becomes the
///          reply. The tag stays, so what comes back tells the whole way there and back. As the answer goes to where
///          the packet was seen to come from, it goes back through whatever translation lies on the way.
/// Errors:  false, the packet is to be dropped: it is nothing that could be answered.
/// Thread:  the packet's owner. Never allocates.
#pragma once

#include "net/packet.h"

namespace millrace::perf::gen {

bool turn_round(net::Packet& packet) noexcept;

}  // namespace millrace::perf::gen
