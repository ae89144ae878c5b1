/// A WatchPackets stream: takes from its watch (packet_watch.h) as fast as the client reads.
///
/// Shape:   one write at a time; while it is on its way, events gather in the queue. It holds no thread.
/// Thread:  any. gRPC calls it back on its own.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "control/api/switch.pb.h"
#include "control/switch/event_hub.h"

namespace millrace::control::switchd {

/// A stream for gRPC; one that is refused ends with the status that says why. `hub` must outlive it.
grpc::ServerWriteReactor<api::PacketEvents>* open_packet_stream(EventHub& hub, const api::WatchPacketsRequest& request);

}  // namespace millrace::control::switchd
