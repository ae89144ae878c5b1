/// How full every table is that can fill up, and what became of the flows of each worker.
///
/// Shape:   sums over the workers: each has its own share, so one of them can be full a little before the sum is. What
///          a worker says of itself is about a second old.
/// Thread:  any.
#pragma once

#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/desired_state.h"
#include "datapath/counters.h"

namespace millrace::control::switchd {

/// "flows_ipv4", "snat_ports_ipv4_tcp", ..., "services", "frontends", "backends".
std::vector<api::TableStatus> table_status(const std::vector<datapath::WorkerCounters*>& workers,
                                           const ServiceState& services);
api::TableStatus table_row(std::string name, std::uint64_t used, std::uint64_t limit);
void fill(const datapath::FlowCounters& counters, api::FlowTotals& totals);

}  // namespace millrace::control::switchd
