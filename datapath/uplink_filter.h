/// The uplink filter: which packets of a device that no kernel drives are the switch's. All others are for the node.
///
/// Theory:  an uplink over AF_XDP has an XDP program that leaves to the kernel what is not the switch's
///          (io/xdp/uplink.bpf.c). A device of DPDK's has no kernel under it, so the worker asks the same question of
///          the same rules (uplink_rules.h), and gives the rest to the node by a port of kind kNodeLink. Both programs
///          are held to one table of packets, tests/net/uplink_rows.h.
/// Shape:   unicast to the device's own MAC and without a VLAN tag; then by its destination, see the .cc. Of a
///          fragmented packet the first fragment decides, and those behind it follow by the worker's FragmentTable: a
///          device spreads fragments by their addresses, so all of a packet are the same worker's. A first fragment of
///          the node's own under an identification that was the switch's takes it back.
/// Thread:  the worker. Never allocates.
#pragma once

#include "datapath/snapshot.h"
#include "nat/fragment_table.h"
#include "net/packet.h"

namespace millrace::datapath {

/// Precondition: the packet was parsed without an error; `in` is the port it came by.
bool is_for_switch(const net::Packet& packet, const PortEntry& in, const Snapshot& snapshot,
                   nat::FragmentTable& fragments, nat::TickMs now) noexcept;

}  // namespace millrace::datapath
