/// flow_settings: what each worker is told of flows at start, from the configuration.
///
/// Shape:   the limit is shared out evenly, rounded up, at least nat::kMinFlowLimit; so are the ports, rounded down as
///          a snapshot does (datapath::ports_of_worker). The seed is the system's randomness, one a worker.
/// Errors:  kInvalidArgument when there are fewer ports than workers; kInternal when there is no randomness.
/// Thread:  any.
#pragma once

#include <vector>

#include "control/config/config.h"
#include "datapath/flow_state.h"
#include "net/result.h"

namespace millrace::control::switchd {

nat::PortRange nat_ports(const config::Config& config);

/// [i] is that of worker i.
net::Result<std::vector<datapath::FlowSettings>> flow_settings(const config::Config& config, unsigned worker_count);

}  // namespace millrace::control::switchd
