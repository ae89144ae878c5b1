/// flush_flows: ends the flows of all workers, or those of some addresses, while packets go on.
///
/// Theory:  each worker ends its own, piece by piece between its turns (flow_scans.h), as if their time were over: both
///          tuples and the masquerade port are free, the counters have them as ended. What is not forgotten: which
///          backend a client of a service with affinity has, and counters.
/// Shape:   every flow that was there when it began, and matched, is gone when it has answered; one that began
///          meanwhile may be or not.
/// Errors:  kInvalidArgument names the field, and nothing has ended; kDeadlineExceeded names the worker that does not
///          come and says how many flows had ended before.
/// Thread:  any, several at once.
#pragma once

#include <functional>

#include "control/api/switch.pb.h"
#include "control/switch/flow_scans.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// `is_wanted` is asked between pieces; false: whoever asked waits no longer, and the rest of the flows stay.
net::Result<api::FlushFlowsReply> flush_flows(FlowScans& scans, const api::FlushFlowsRequest& request,
                                              const std::function<bool()>& is_wanted);

}  // namespace millrace::control::switchd
