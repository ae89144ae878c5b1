/// The pipeline: the way of a packet through the switch, one file to be read from top to bottom (DESIGN.md section 4).
///
/// Shape:   from_port() is what the worker of the in port does, to_port() what the worker of the out port does; when
///          both are one worker, the second follows the first. Each stage is a loop over the live packets of a burst
///          around one small function that stands, and is tested, by itself (guard.h, answer.h, forward.h, rewrite.h).
/// Errors:  a packet a stage drops leaves the burst at once and is counted, by its reason, on the row of its in port.
/// Thread:  the worker. Never allocates, locks, logs, throws or calls the system.
#pragma once

#include <cstdint>
#include <span>

#include "datapath/counters.h"
#include "datapath/outbox.h"
#include "datapath/packet_pool.h"
#include "datapath/port.h"
#include "datapath/rate_limiter.h"
#include "datapath/snapshot.h"

namespace millrace::datapath {

/// What the stages of one turn share. Everything outlives the turn.
struct Turn {
  const Snapshot& snapshot;
  std::uint64_t now_ns;
  WorkerId self;
  PacketPool& pool;
  RateLimiter& icmp_errors;
  WorkerCounters& counters;
  Outbox& outbox;
};

/// Everything a port received: parse -> guard -> answer -> forward -> out (in fragments where it must be). Takes all
/// packets. Precondition: at most kBurst packets; `in_port` is an owned port of the snapshot.
void from_port(Turn& turn, net::PortId in_port, std::span<net::Packet* const> received) noexcept;

/// A forwarded packet at the worker of its out port: rewrite -> out. Takes the packet.
void to_port(Turn& turn, net::Packet& packet) noexcept;

}  // namespace millrace::datapath
