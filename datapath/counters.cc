#include "datapath/counters.h"

namespace millrace::datapath {

void PortCounters::reset() noexcept {
  for (Counter* counter : {&rx_packets, &rx_bytes, &tx_packets, &tx_bytes, &answered, &created, &denied})
    counter->reset();
  for (Counter& drop : drops) drop.reset();
}

void TunnelCounters::reset() noexcept {
  for (Counter* counter : {&tx_packets, &tx_bytes, &rx_packets, &rx_bytes}) counter->reset();
}

WorkerCounters::WorkerCounters(std::size_t port_limit, std::size_t rule_limit, std::size_t tunnel_limit)
    : port_limit_(port_limit),
      rule_limit_(rule_limit),
      tunnel_limit_(tunnel_limit),
      rows_(std::make_unique<PortCounters[]>(port_limit + 1)),
      rules_(std::make_unique<Counter[]>(rule_limit)),
      tunnels_(std::make_unique<TunnelCounters[]>(tunnel_limit)) {}

}  // namespace millrace::datapath
