/// PortSums: the counters of a port as plain numbers, that can be added up and reported.
///
/// Thread:  reading a row of datapath::PortCounters is safe from any thread: each number whole, not all of one instant.
#pragma once

#include <array>
#include <cstdint>

#include "control/api/switch.pb.h"
#include "datapath/counters.h"

namespace millrace::control::switchd {

struct PortSums {
  std::uint64_t rx_packets = 0, rx_bytes = 0;
  std::uint64_t tx_packets = 0, tx_bytes = 0;
  std::uint64_t answered = 0, created = 0, denied = 0;
  std::array<std::uint64_t, net::kDropCount> drops{};

  void add(const datapath::PortCounters& row) noexcept;
  void add(const PortSums& other) noexcept;
};

api::PortTotals to_proto(const PortSums& sums);

}  // namespace millrace::control::switchd
