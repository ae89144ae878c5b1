/// EAL: starts DPDK once in this process, without files, devices or cores of its own, so that several instances live
/// side by side on one machine.
///
/// Thread:  `start` once, from main, before any other thread. Workers call `register_thread`.
/// Errors:  kInternal with what DPDK said; kResourceExhausted when it found no memory, though some was proven to be
///          there: pages changed hands meanwhile, and another process may try again. No hugepages is no error: memory
///          then comes from 4K pages and says so.
/// Memory:  taken whole at start, so that nothing later depends on what other processes left. Hugepages that had to be
///          made are surplus pages (hugepages.h): they end with the process, however it ends.
/// Source:  DPDK Programmer's Guide 22.11, "Environment Abstraction Layer" (--in-memory, --no-huge).
#pragma once

#include <cstdint>
#include <string>

#include "net/result.h"

namespace millrace::datapath::io {

enum class HugepageChoice { kAuto, k2M, k1G, kOff };

struct EalOptions {
  HugepageChoice hugepages = HugepageChoice::kAuto;
  std::uint64_t memory_bytes = 0;  // what packets and rings will need; hugepages are set up for that much
  int numa_node = -1;              // node the workers are on; -1: any
  std::string pci_device = {};     // the one PCI device that DPDK may drive; "": none
  /// All memory behind one file descriptor a page size: virtio-user hands a switch at most eight of them.
  bool one_file = false;
};

struct EalInfo {
  std::string memory;  // "2M hugepages", "1G hugepages" or "4K pages (no hugepages: REASON)"
};

net::Result<EalInfo> start_eal(const EalOptions& options);

/// Gives the calling thread a DPDK lcore id, so that it has a cache in the packet pool. Unregisters when destroyed.
class EalThread {
 public:
  EalThread();
  ~EalThread();
  EalThread(const EalThread&) = delete;
  EalThread& operator=(const EalThread&) = delete;

 private:
  bool registered_ = false;  // false where the thread had an id before, as main has
};

/// Gives DPDK's memory back. Call once, last: no pool or port may be left.
void stop_eal();

}  // namespace millrace::datapath::io
