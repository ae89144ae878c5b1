/// FlowLister: the flows of all workers for one who asks, in batches, filtered by the workers where they lie.
///
/// Way:     for each worker a scan is posted (datapath/flow_scan.h), the worker woken; when it has filled the records,
///          they are copied and the worker is free for another's scan; then names are put to ports and services and
///          the batch goes to its reader. So a slow reader holds up nobody.
/// Shape:   names are those in force when the batch is made.
/// Errors:  kInvalidArgument names the field; kDeadlineExceeded when a worker does not come in time: what came before
///          is told. Such a worker has the scan still, so a scan lives as long as the lister.
/// Thread:  any, several at once. Destroyed after the workers' threads have ended.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/switch_state.h"
#include "control/switch/worker_access.h"
#include "datapath/flow_scan.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// Addresses one listing can be about: those of a pod are at most 8 (datapath::kMaxPortAddresses a family).
inline constexpr int kFlowAddressLimit = 64;
/// Flows of one batch at most: about 200 KB on the wire.
inline constexpr std::size_t kFlowBatch = 1024;

class FlowLister {
 public:
  /// Takes a batch; false: no more are wanted.
  using Sink = std::function<bool(const api::FlowBatch&)>;

  FlowLister(const SwitchState& state, WorkerAccess workers);

  net::Result<void> list(const api::ListFlowsRequest& request, const Sink& sink);

 private:
  struct Slot {
    std::mutex mutex;  // held from post to copy
    std::vector<datapath::FlowRecord> records = std::vector<datapath::FlowRecord>(kFlowBatch);
    datapath::FlowScan scan;
  };
  /// Where one listing is in one worker's flows.
  struct Place {
    std::size_t next = 0;
    bool through = false;
  };

  net::Result<std::vector<datapath::FlowRecord>> read_batch(datapath::WorkerId worker,
                                                            const std::vector<net::IpAddress>& addresses, Place& place);
  api::FlowBatch to_batch(datapath::WorkerId worker, const std::vector<datapath::FlowRecord>& records) const;

  const SwitchState& state_;
  const WorkerAccess workers_;
  std::vector<std::unique_ptr<Slot>> slots_;  // by worker
};

/// One flow as it is told; `service` and `out_port` are names, "" when there is none.
api::Flow to_proto(const datapath::FlowRecord& record, std::uint32_t worker, const std::string& out_port,
                   const std::string& service);

}  // namespace millrace::control::switchd
