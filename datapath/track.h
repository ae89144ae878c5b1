/// Tracking: what a worker does with a packet of which it owns the flow. An established flow is one lookup: its line
/// says the translation and the way out. The first packet of a flow asks for all of that, once (begin_flow.h).
///
/// Shape:   track() looks a burst up at once, then goes packet by packet. A packet that passes has out_port set, its
///          TTL counted down and its tuple translated, and goes to `worker` next. A packet that is dropped is as it
///          arrived, so that an ICMP error can quote it. A packet that another worker has forwarded is tracked again by
///          the worker it came to: it keeps its TTL, and needs no flow where it only leaves.
/// Errors:  by name, net/drop.def "Flows and services".
/// Thread:  the owning worker. Never allocates.
#pragma once

#include <cstdint>
#include <span>

#include "datapath/handoff.h"
#include "datapath/turn.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

struct Tracked {
  net::Drop drop = net::Drop::kNone;
  WorkerId worker = 0;  // that the packet goes to next
};

/// results[i] is what became of packets[i]. At most kBurst packets, parsed and guarded, IPv4 or IPv6.
void track(Turn& turn, std::span<net::Packet* const> packets, HandoffStage stage, std::span<Tracked> results) noexcept;

}  // namespace millrace::datapath
