/// DPDK, started once for a test program, and pools in it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <stdexcept>

#include "datapath/io/eal.h"
#include "datapath/io/mbuf_pool.h"

namespace millrace::tests {

/// 4K pages: tests must run on any machine. eal_test.cc has the hugepages.
inline void start_eal_once() {
  static const bool started = [] {
    const auto info = datapath::io::start_eal(
        {.hugepages = datapath::io::HugepageChoice::kOff, .memory_bytes = 256ull << 20, .numa_node = -1});
    if (!info) throw std::runtime_error(info.error().message);
    return true;
  }();
  static_cast<void>(started);
}

inline std::unique_ptr<datapath::io::MbufPool> make_pool(std::uint32_t count, std::uint32_t data_room_bytes = 1600) {
  start_eal_once();
  auto pool = datapath::io::MbufPool::create({.count = count, .data_room_bytes = data_room_bytes, .numa_node = -1});
  if (!pool) throw std::runtime_error(pool.error().message);
  return std::move(pool).value();
}

}  // namespace millrace::tests
