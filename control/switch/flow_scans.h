/// FlowScans: control's walks through the flows of each worker, piece by piece, to copy or to end them.
///
/// Way:     for a piece the worker's scan is posted (datapath/flow_scan.h), the worker woken; when it has done it, the
///          scan is free for another's piece. So who reads slowly holds up nobody.
/// Errors:  kDeadlineExceeded when a worker does not come in time. Such a worker has the scan still, so a scan lives as
///          long as this object, and each later piece is refused until the worker has done it.
/// Thread:  any, several at once. Destroyed after the workers' threads have ended.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/switch/worker_access.h"
#include "datapath/flow_scan.h"
#include "net/result.h"

namespace millrace::control::switchd {

/// Addresses one walk can be about: those of a pod are at most 8 (datapath::kMaxPortAddresses a family).
inline constexpr int kFlowAddressLimit = 64;
/// Flows of one copied piece at most: about 200 KB on the wire.
inline constexpr std::size_t kFlowBatch = 1024;
/// Slots of one piece that is ended: 512 turns of the worker.
inline constexpr std::size_t kEndedSlots = 65'536;

/// Where one walk is in one worker's flows.
struct FlowPlace {
  std::size_t next = 0;
  bool through = false;
};

class FlowScans {
 public:
  explicit FlowScans(WorkerAccess workers);

  datapath::WorkerId worker_count() const { return static_cast<datapath::WorkerId>(slots_.size()); }
  /// The next flows with one of the addresses as an end, of all when there are none.
  net::Result<std::vector<datapath::FlowRecord>> copy(datapath::WorkerId worker,
                                                      const std::vector<net::IpAddress>& addresses, FlowPlace& place);
  /// Ends them: how many there were.
  net::Result<std::size_t> end(datapath::WorkerId worker, const std::vector<net::IpAddress>& addresses,
                               FlowPlace& place);

 private:
  struct Slot {
    std::mutex mutex;  // held from post to copy
    std::vector<datapath::FlowRecord> records = std::vector<datapath::FlowRecord>(kFlowBatch);
    datapath::FlowScan scan;
  };

  net::Result<void> run(datapath::WorkerId worker, bool ends, const std::vector<net::IpAddress>& addresses,
                        FlowPlace& place);

  const WorkerAccess workers_;
  std::vector<std::unique_ptr<Slot>> slots_;  // by worker
};

/// The addresses of a request. Error: kInvalidArgument names the field.
net::Result<std::vector<net::IpAddress>> parse_flow_addresses(
    const google::protobuf::RepeatedPtrField<std::string>& addresses);

}  // namespace millrace::control::switchd
