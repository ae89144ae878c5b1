/// The pipeline: the way of a packet through the switch, one file to be read from top to bottom (DESIGN.md section 4).
///
/// Shape:   from_port() is what the worker of the in port does, from_worker() what a worker does with packets another
///          one hands to it; both end with tracking and the way out. Each stage is a loop over the live packets of a
///          burst around one small function that stands, and is tested, by itself (dhcp.h, guard.h, answer.h, steer.h,
///          track.h, rewrite.h).
/// Errors:  a packet a stage drops leaves the burst at once and is counted, by its reason, on the row of its in port.
/// Thread:  the worker. Never allocates, locks, logs, throws or calls the system.
#pragma once

#include <span>

#include "datapath/handoff.h"
#include "datapath/turn.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Everything a port received: parse -> (to the node beside) -> (DHCP) -> guard -> answer -> steer -> track -> out (in
/// fragments where it must be). Takes all packets. Precondition: at most kBurst packets; `in_port` is an owned port of
/// the snapshot.
void from_port(Turn& turn, net::PortId in_port, std::span<net::Packet* const> received) noexcept;

/// Packets another worker handed over, all of one stage: track -> out. Takes all packets.
/// Precondition: at most kBurst packets; in_port and out_port are ports of the snapshot, or kNoPort when they are gone
/// (in_port of an arrived packet is not).
void from_worker(Turn& turn, HandoffStage stage, std::span<net::Packet* const> packets) noexcept;

}  // namespace millrace::datapath
