/// FlowLister: the flows of all workers for one who asks, in batches, filtered by the workers where they lie.
///
/// Way:     records are copied from a worker (flow_scans.h), names are put to ports and services, the batch goes to its
///          reader.
/// Shape:   names are those in force when the batch is made.
/// Errors:  kInvalidArgument names the field; kDeadlineExceeded when a worker does not come in time: what came before
///          is told.
/// Thread:  any, several at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/flow_scans.h"
#include "control/switch/switch_state.h"
#include "datapath/flow_scan.h"
#include "net/result.h"

namespace millrace::control::switchd {

class FlowLister {
 public:
  /// Takes a batch; false: no more are wanted.
  using Sink = std::function<bool(const api::FlowBatch&)>;

  FlowLister(const SwitchState& state, FlowScans& scans) : state_(state), scans_(scans) {}

  net::Result<void> list(const api::ListFlowsRequest& request, const Sink& sink);

 private:
  api::FlowBatch to_batch(datapath::WorkerId worker, const std::vector<datapath::FlowRecord>& records) const;

  const SwitchState& state_;
  FlowScans& scans_;
};

/// One flow as it is told; `service` and `out_port` are names, "" when there is none.
api::Flow to_proto(const datapath::FlowRecord& record, std::uint32_t worker, const std::string& out_port,
                   const std::string& service);

}  // namespace millrace::control::switchd
