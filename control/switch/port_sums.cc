#include "control/switch/port_sums.h"

#include <string>

namespace millrace::control::switchd {

void PortSums::add(const datapath::PortCounters& row) noexcept {
  rx_packets += row.rx_packets.get();
  rx_bytes += row.rx_bytes.get();
  tx_packets += row.tx_packets.get();
  tx_bytes += row.tx_bytes.get();
  answered += row.answered.get();
  created += row.created.get();
  denied += row.denied.get();
  for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += row.drops[i].get();
}

void PortSums::add(const PortSums& other) noexcept {
  rx_packets += other.rx_packets;
  rx_bytes += other.rx_bytes;
  tx_packets += other.tx_packets;
  tx_bytes += other.tx_bytes;
  answered += other.answered;
  created += other.created;
  denied += other.denied;
  for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += other.drops[i];
}

api::PortTotals to_proto(const PortSums& sums) {
  api::PortTotals totals;
  totals.set_rx_packets(sums.rx_packets);
  totals.set_rx_bytes(sums.rx_bytes);
  totals.set_tx_packets(sums.tx_packets);
  totals.set_tx_bytes(sums.tx_bytes);
  totals.set_answered(sums.answered);
  totals.set_created(sums.created);
  totals.set_denied(sums.denied);
  for (std::size_t i = 1; i < sums.drops.size(); ++i) {
    if (sums.drops[i] == 0) continue;
    (*totals.mutable_drops())[std::string(net::drop_name(static_cast<net::Drop>(i)))] = sums.drops[i];
  }
  return totals;
}

}  // namespace millrace::control::switchd
