/// Trace: what the tables in force say of a packet that is not sent (datapath/explain.h), with the names people know.
///
/// Way in:  the source's pod port; for the node and the outside the port their routes lead to, or an uplink for what an
///          uplink takes: frontends outside of the service ranges, and masquerade ports.
/// Errors:  kInvalidArgument names the field; kNotFound: no port is there that it could come in by.
/// Thread:  of trace: whoever keeps the tables in force meanwhile. Others any.
#pragma once

#include "control/api/switch.pb.h"
#include "control/switch/device_plan.h"
#include "control/switch/flow_list.h"
#include "control/switch/tunnel_standing.h"
#include "datapath/event_tap.h"
#include "datapath/snapshot.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct TraceQuestion {
  datapath::PacketEnds ends;
  std::uint8_t protocol = 0;

  static net::Result<TraceQuestion> parse(const api::TraceRequest& request);
};

/// `ports`, `tunnels`: those of the snapshot.
net::Result<api::TraceReply> trace(const datapath::Snapshot& snapshot, const LivePorts& ports,
                                   const LiveTunnels& tunnels, const TraceQuestion& question);

/// The flow that the packet would belong to, if one is there: into `reply`. Errors: those of the listing.
net::Result<void> find_flow(FlowLister& flows, const TraceQuestion& question, api::TraceReply& reply);

}  // namespace millrace::control::switchd
