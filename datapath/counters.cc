#include "datapath/counters.h"

namespace millrace::datapath {

void PortCounters::reset() noexcept {
  for (Counter* counter : {&rx_packets, &rx_bytes, &tx_packets, &tx_bytes, &answered, &created}) counter->reset();
  for (Counter& drop : drops) drop.reset();
}

WorkerCounters::WorkerCounters(std::size_t port_limit)
    : port_limit_(port_limit), rows_(std::make_unique<PortCounters[]>(port_limit + 1)) {}

}  // namespace millrace::datapath
