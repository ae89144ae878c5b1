/// Placement: which CPU each worker gets, and why.
///
/// Rules:   1. Only allowed CPUs, one worker a core: never on an SMT sibling of another worker.
///          2. On the NUMA node of the uplink; when that is unknown or has no allowed core, on the node with the most
///             allowed cores (the lowest of equals). More workers than it has cores go on to the other nodes in order.
///          3. The highest cores of a node first: CPU 0 and its neighbours take most interrupts.
///          4. One core at least is left for control and the node's own work when there is more than one.
///          5. workers.count 0 (auto): half of the node's allowed cores, at least 1, at most kMaxWorkers, and never all
///             of the machine's; 1 when the machine has 3 or fewer. Half, because a node exists to run pods: forwarding
///             must not take more of it than they have.
///          6. With 2 cores or fewer the worker shares its core with the node's other work.
///          7. workers.cpus pins, one a worker, in that order; rule 1 holds, rules 2 to 5 do not.
/// Errors:  kInvalidArgument names workers.count or workers.cpus, and what this machine allows.
/// Thread:  pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/api/switch.pb.h"
#include "control/switch/cpu_map.h"
#include "net/result.h"

namespace millrace::control::switchd {

struct PlacementRequest {
  std::uint32_t count = 0;            // config workers.count
  std::vector<std::uint32_t> cpus{};  // config workers.cpus
  std::string uplink{};               // config uplink; "" none
  int uplink_numa_node = -1;
};

struct Placement {
  std::vector<std::uint32_t> worker_cpus;   // by worker
  std::vector<std::uint32_t> control_cpus;  // every allowed CPU on no worker's core; empty: control runs where it can
  int numa_node = -1;                       // of all workers; -1 when they are on several or it is unknown
  bool shared = false;                      // the worker's core is not its own
  api::Topology topology;                   // every CPU with its role and why
};

net::Result<Placement> place(const CpuMap& cpus, const PlacementRequest& request);

/// "0-3,8" for 0 1 2 3 8; the numbers must be ascending.
std::string cpu_list(const std::vector<std::uint32_t>& cpus);

}  // namespace millrace::control::switchd
