#include "control/switch/flow_scans.h"

#include <fmt/core.h>

#include <utility>

#include "control/switch/ack_wait.h"
#include "control/switch/field_checks.h"

namespace millrace::control::switchd {

using datapath::FlowRecord;
using datapath::FlowScan;

FlowScans::FlowScans(WorkerAccess workers) : workers_(std::move(workers)) {
  for (std::size_t i = 0; i < workers_.cpus.size(); ++i) slots_.push_back(std::make_unique<Slot>());
}

net::Result<std::vector<FlowRecord>> FlowScans::copy(datapath::WorkerId worker,
                                                     const std::vector<net::IpAddress>& addresses, FlowPlace& place) {
  Slot& slot = *slots_[worker];
  const std::lock_guard lock(slot.mutex);
  if (auto done = run(worker, false, addresses, place); !done) return done.error();
  return std::vector<FlowRecord>(slot.records.begin(),
                                 slot.records.begin() + static_cast<std::ptrdiff_t>(slot.scan.count));
}

net::Result<std::size_t> FlowScans::end(datapath::WorkerId worker, const std::vector<net::IpAddress>& addresses,
                                        FlowPlace& place) {
  Slot& slot = *slots_[worker];
  const std::lock_guard lock(slot.mutex);
  if (auto done = run(worker, true, addresses, place); !done) return done.error();
  return slot.scan.count;
}

/// Calling thread holds the slot's mutex.
net::Result<void> FlowScans::run(datapath::WorkerId worker, bool ends, const std::vector<net::IpAddress>& addresses,
                                 FlowPlace& place) {
  Slot& slot = *slots_[worker];
  const auto is_done = [&slot] { return slot.scan.state.load(std::memory_order_acquire) != FlowScan::State::kPosted; };
  const net::Error late =
      net::deadline_exceeded(fmt::format("worker {} (CPU {}) has not {} its flows within {} ms", worker,
                                         workers_.cpus[worker], ends ? "ended" : "told", workers_.ack_timeout.count()));
  if (!is_done()) return late;  // it has an earlier one still
  slot.scan.addresses = addresses;
  slot.scan.ends = ends;
  slot.scan.records = slot.records;
  slot.scan.slots = ends ? kEndedSlots : FlowScan::kAllSlots;
  slot.scan.count = 0;
  slot.scan.next = place.next;
  workers_.post(worker, slot.scan);
  workers_.wake();
  if (!wait_until(is_done, workers_.ack_timeout)) return late;
  place.next = slot.scan.next;
  place.through = slot.scan.state.load(std::memory_order_acquire) == FlowScan::State::kThrough;
  return {};
}

net::Result<std::vector<net::IpAddress>> parse_flow_addresses(
    const google::protobuf::RepeatedPtrField<std::string>& addresses) {
  if (addresses.size() > kFlowAddressLimit) {
    return net::invalid_argument(
        fmt::format("addresses: {} entries; allowed: at most {}", addresses.size(), kFlowAddressLimit));
  }
  std::vector<net::IpAddress> parsed;
  for (int i = 0; i < addresses.size(); ++i) {
    const auto address = check_unicast(fmt::format("addresses[{}]", i), addresses.Get(i));
    if (!address) return address.error();
    parsed.push_back(*address);
  }
  return parsed;
}

}  // namespace millrace::control::switchd
