/// Daemon: the whole of millraced from a config to its end, in the order in which things need each other.
///
/// Order:   claim of the socket -> placement -> EAL -> packet pool -> workers -> state (generation 1) -> worker
///          threads -> socket -> READY.
///          The end runs backwards: no more requests, watches end, ports are removed and passed by all workers, threads
///          end.
/// Errors:  the sentence of the part that failed; what was started is stopped.
/// Thread:  main.
#pragma once

#include "control/config/config.h"
#include "control/switch/process.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// Frames are as long as a packet of the configured MTU, of this at least, and its Ethernet header with two VLAN tags.
inline constexpr std::uint32_t kLeastFrameMtuBytes = 1500;
inline constexpr std::uint32_t kFrameHeaderBytes = 14 + 2 * 4;

/// Runs until `signals` tells to stop.
net::Result<void> run_daemon(const config::Config& config, StopSignals& signals);

}  // namespace millrace::control::switchd
