#include "control/switch/cpu_map.h"

#include <hwloc.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <type_traits>

namespace millrace::control::switchd {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<std::remove_pointer_t<hwloc_bitmap_t>, FreeBitmap>;

Topology new_topology() {
  hwloc_topology_t raw = nullptr;
  return Topology(hwloc_topology_init(&raw) == 0 ? raw : nullptr);
}

CpuMap list_cpus(hwloc_topology_t topology, hwloc_const_bitmap_t allowed) {
  CpuMap cpus;
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr;) {
    Cpu cpu;
    cpu.number = pu->os_index;
    // A machine without core information: every CPU is a core of its own.
    const hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    cpu.core = core != nullptr ? core->logical_index : pu->logical_index;
    cpu.numa_node = pu->nodeset != nullptr ? hwloc_bitmap_first(pu->nodeset) : -1;
    cpu.allowed = hwloc_bitmap_isset(allowed, pu->os_index) != 0;
    cpus.push_back(cpu);
  }
  std::sort(cpus.begin(), cpus.end(), [](const Cpu& a, const Cpu& b) { return a.number < b.number; });
  return cpus;
}

}  // namespace

net::Result<CpuMap> read_machine() {
  const Topology topology = new_topology();
  if (topology == nullptr || hwloc_topology_set_flags(topology.get(), HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0 ||
      hwloc_topology_load(topology.get()) != 0) {
    return net::internal_error("hwloc cannot read the processors of this machine");
  }
  const Bitmap allowed(hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology.get())));
  const Bitmap bound(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(topology.get(), bound.get(), HWLOC_CPUBIND_PROCESS) == 0) {
    hwloc_bitmap_and(allowed.get(), allowed.get(), bound.get());
  }
  return list_cpus(topology.get(), allowed.get());
}

net::Result<CpuMap> read_synthetic(const std::string& description, const std::vector<std::uint32_t>& allowed) {
  const Topology topology = new_topology();
  if (topology == nullptr || hwloc_topology_set_synthetic(topology.get(), description.c_str()) != 0 ||
      hwloc_topology_load(topology.get()) != 0) {
    return net::internal_error("hwloc does not understand the machine \"" + description + "\"");
  }
  const Bitmap set(allowed.empty() ? hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology.get()))
                                   : hwloc_bitmap_alloc());
  for (const std::uint32_t cpu : allowed) hwloc_bitmap_set(set.get(), cpu);
  return list_cpus(topology.get(), set.get());
}

int numa_node_of_interface(const std::string& interface) {
  if (interface.empty()) return -1;
  std::ifstream file("/sys/class/net/" + interface + "/device/numa_node");
  int node = -1;
  return file >> node ? node : -1;
}

}  // namespace millrace::control::switchd
