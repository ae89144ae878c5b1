/// Packets as the switch tells of them, printed until interrupted: what `trace --live` and `drops --watch` share.
///
/// Shape:   a line a packet, or a JSON object a line. On stderr: that the watch has begun, and how many were lost.
/// Errors:  those of the switch; kNotFound when a traced port went.
/// Thread:  the main thread.
#pragma once

#include "control/cli/command.h"

#include "control/api/switch.pb.h"
#include "net/result.h"

namespace millrace::control::cli {

net::Result<int> watch_packets(Context& context, const config::Config& config, const api::WatchPacketsRequest& request);

}  // namespace millrace::control::cli
