/// Steering: which worker owns a packet whose out port is known (DESIGN.md section 3).
///
/// Shape:   a packet to a local port belongs to that port's worker: it alone writes the port's TX.
/// Thread:  pure function, any worker.
#pragma once

#include "datapath/snapshot.h"

namespace millrace::datapath {

/// Precondition: the snapshot has a port under `out_port`.
inline WorkerId owner(const Snapshot& snapshot, net::PortId out_port) noexcept {
  return snapshot.ports[out_port].worker;
}

}  // namespace millrace::datapath
