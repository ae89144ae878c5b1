/// The first packet of a flow: which service it is for, where it goes, whom it seems to come from; then the flow is
/// written down, and every later packet of it finds the answer.
///
/// Way:     TCP may begin here? -> frontend: backend, reject or drop -> route -> policy -> masquerade -> pair of lines.
///          Masquerade: what a pod whose port says so sends to the outside (by the host port, not to an excluded
///          prefix); what a service's rule says; a pod that reaches itself through a service (hairpin), or another pod
///          through a masquerade port (RFC 4787 REQ-9); and a connection whose two tuples would otherwise be another's.
/// Errors:  a Drop; nothing was written down, the packet is as it arrived.
/// Thread:  the owning worker. Never allocates.
/// Source:  RFC 4787, RFC 5382, RFC 5508; nat/service_table.h.
#pragma once

#include "datapath/turn.h"
#include "nat/flow_line.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// A flow for a packet of this worker's port, or one that was steered here. `line` is its original line.
net::Drop begin_flow(Turn& turn, const net::Packet& packet, const net::FlowKeyV4& key, nat::FlowLineV4*& line) noexcept;
net::Drop begin_flow(Turn& turn, const net::Packet& packet, const net::FlowKeyV6& key, nat::FlowLineV6*& line) noexcept;

/// A flow for a packet that another worker tracked, translated and routed. kNone with `line` nullptr: the packet leaves
/// and needs none, by a port that is no pod's; or as a reply to a pod whose flows lie elsewhere (the address was
/// another worker's before, or the flow was given up). A flow of a reply would be the wrong way round: what its
/// receiver sends would follow it, past the service or the masquerade that the other worker undid.
net::Drop begin_forwarded(Turn& turn, const net::Packet& packet, const net::FlowKeyV4& key,
                          nat::FlowLineV4*& line) noexcept;
net::Drop begin_forwarded(Turn& turn, const net::Packet& packet, const net::FlowKeyV6& key,
                          nat::FlowLineV6*& line) noexcept;

}  // namespace millrace::datapath
