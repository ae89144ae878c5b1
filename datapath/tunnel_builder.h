/// build_tunnels: the part of build_snapshot() that makes tunnels, peers and uplinks.
///
/// Thread:  a control thread. Allocates.
/// Errors:  as snapshot_builder.h says.
#pragma once

#include "datapath/snapshot.h"
#include "datapath/snapshot_builder.h"
#include "net/result.h"

namespace millrace::datapath {

/// A MAC that one interface can have.
inline bool is_host_unicast(const net::Mac& mac) { return !mac.is_multicast() && mac != net::Mac{}; }

/// Bytes that a tunnel takes from the path MTU of the underlay.
std::uint32_t overhead_bytes(const net::IpAddress& remote, bool is_encapsulated) noexcept;

/// Precondition: the snapshot's ports below the port limit, and `outside`, are filled; `ports` has room for the tunnel
/// limit. `previous` is the snapshot published before, or nullptr.
net::Result<void> build_tunnels(const SnapshotSpec& spec, const Snapshot* previous, Snapshot& snapshot);

}  // namespace millrace::datapath
