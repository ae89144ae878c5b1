/// What an interface has sent, by its own count.
///
/// Thread:  control.
/// Errors:  kNotFound when there is no such interface, kInternal with what netlink said.
/// Source:  rtnetlink(7), IFLA_STATS64.
#pragma once

#include <cstdint>
#include <string>

#include "net/result.h"

namespace millrace::perf::gen {

struct InterfaceCounters {
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_dropped = 0;
};

net::Result<InterfaceCounters> read_interface_counters(const std::string& interface);

}  // namespace millrace::perf::gen
