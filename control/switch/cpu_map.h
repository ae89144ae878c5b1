/// CpuMap: the machine's CPUs as placement needs them, read by hwloc.
///
/// Shape:   one entry a CPU (hwloc PU), ordered by operating system number. `core` is hwloc's logical core number: CPUs
///          with the same one are SMT siblings. `numa_node` is the operating system's number, -1 when unknown.
/// Thread:  read at start.
/// Errors:  kInternal when hwloc cannot read the machine or the description.
/// Source:  hwloc 2.9, "hwloc_topology_set_synthetic" for descriptions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/result.h"

namespace millrace::control::switchd {

struct Cpu {
  std::uint32_t number = 0;
  std::uint32_t core = 0;
  int numa_node = -1;
  bool allowed = false;  // by cpuset cgroup and by this process's affinity
};
using CpuMap = std::vector<Cpu>;

/// This machine.
net::Result<CpuMap> read_machine();
/// A machine that is described, for example "numa:2 core:4 pu:2"; every CPU in `allowed` (all when empty) is allowed.
net::Result<CpuMap> read_synthetic(const std::string& description, const std::vector<std::uint32_t>& allowed);

/// NUMA node of the device behind a network interface; -1 when it has none (virtual interfaces) or is not there.
/// Source: /sys/class/net/NAME/device/numa_node.
int numa_node_of_interface(const std::string& interface);

}  // namespace millrace::control::switchd
