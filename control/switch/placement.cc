#include "control/switch/placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>

#include "datapath/snapshot.h"

namespace millrace::control::switchd {
namespace {

/// A core with at least one allowed CPU; `cpu` is the lowest of those.
struct Core {
  std::uint32_t number = 0;
  std::uint32_t cpu = 0;
  int numa_node = -1;
};

std::vector<Core> allowed_cores(const CpuMap& cpus) {
  std::map<std::uint32_t, Core> cores;
  for (const Cpu& cpu : cpus) {
    if (cpu.allowed) cores.try_emplace(cpu.core, Core{cpu.core, cpu.number, cpu.numa_node});
  }
  std::vector<Core> list;
  list.reserve(cores.size());
  for (const auto& [number, core] : cores) list.push_back(core);
  return list;
}

std::vector<std::uint32_t> allowed_cpus(const CpuMap& cpus) {
  std::vector<std::uint32_t> numbers;
  for (const Cpu& cpu : cpus) {
    if (cpu.allowed) numbers.push_back(cpu.number);
  }
  return numbers;
}

/// Nodes in the order in which workers are put on them; tells why the first is first.
std::vector<int> order_nodes(const std::vector<Core>& cores, const PlacementRequest& request, std::string& why) {
  std::map<int, unsigned> core_count;
  for (const Core& core : cores) ++core_count[core.numa_node];
  std::vector<int> nodes;
  nodes.reserve(core_count.size());
  for (const auto& [node, count] : core_count) nodes.push_back(node);
  std::stable_sort(nodes.begin(), nodes.end(), [&](int a, int b) { return core_count[a] > core_count[b]; });

  const auto home = std::find(nodes.begin(), nodes.end(), request.uplink_numa_node);
  if (request.uplink_numa_node >= 0 && home != nodes.end()) {
    std::rotate(nodes.begin(), home, home + 1);
    why = fmt::format("NUMA node {}: the uplink {} is on it", nodes.front(), request.uplink);
  } else if (request.uplink_numa_node >= 0) {
    why = fmt::format("NUMA node {}: no core of the node of the uplink {} ({}) is allowed", nodes.front(),
                      request.uplink, request.uplink_numa_node);
  } else {
    why =
        fmt::format("NUMA node {}: it has the most allowed cores, {}", nodes.front(),
                    request.uplink.empty() ? "and no uplink is configured"
                                           : fmt::format("and the node of the uplink {} is not known", request.uplink));
  }
  return nodes;
}

std::uint32_t auto_count(const std::vector<Core>& cores, int home_node, std::string& why) {
  const auto home = static_cast<std::uint32_t>(
      std::count_if(cores.begin(), cores.end(), [&](const Core& core) { return core.numa_node == home_node; }));
  if (cores.size() <= 3) {
    why = fmt::format("1 worker: {} allowed core{}", cores.size(), cores.size() == 1 ? "" : "s");
    return 1;
  }
  const std::uint32_t count = std::clamp(home / 2, 1u, std::uint32_t{datapath::kMaxWorkers});
  why = fmt::format("{} worker{}: half of the {} allowed cores of the node, at most {}", count, count == 1 ? "" : "s",
                    home, datapath::kMaxWorkers);
  return count;
}

net::Result<std::vector<std::uint32_t>> choose(const CpuMap& cpus, const std::vector<Core>& cores,
                                               const PlacementRequest& request, api::Topology& topology) {
  std::string why_node;
  std::string why_count;
  const std::vector<int> nodes = order_nodes(cores, request, why_node);
  std::uint32_t count = request.count;
  if (count == 0) {
    count = auto_count(cores, nodes.front(), why_count);
  } else {
    why_count = fmt::format("{} worker{}: workers.count", count, count == 1 ? "" : "s");
  }
  const std::size_t most = std::min<std::size_t>(cores.size() > 1 ? cores.size() - 1 : 1, datapath::kMaxWorkers);
  if (count > most) {
    return net::invalid_argument(
        fmt::format("workers.count: {}; allowed: 1..{} ({} allowed cores, CPUs {}; one is left "
                    "for control)",
                    count, most, cores.size(), cpu_list(allowed_cpus(cpus))));
  }
  std::vector<std::uint32_t> chosen;
  bool several_nodes = false;
  for (const int node : nodes) {
    for (auto core = cores.rbegin(); core != cores.rend() && chosen.size() < count; ++core) {
      if (core->numa_node != node) continue;
      chosen.push_back(core->cpu);
      several_nodes |= node != nodes.front();
    }
  }
  topology.add_reasons(why_count);
  topology.add_reasons(why_node);
  if (several_nodes) topology.add_reasons("that node has too few cores: the other workers are on the nodes after it");
  return chosen;
}

net::Result<std::vector<std::uint32_t>> pin(const CpuMap& cpus, const PlacementRequest& request,
                                            api::Topology& topology) {
  const std::string allowed = cpu_list(allowed_cpus(cpus));
  if (request.cpus.size() > datapath::kMaxWorkers) {
    return net::invalid_argument(
        fmt::format("workers.cpus: {} CPUs; allowed: at most {}", request.cpus.size(), datapath::kMaxWorkers));
  }
  if (request.count != 0 && request.count != request.cpus.size()) {
    return net::invalid_argument(
        fmt::format("workers.count: {}, but workers.cpus names {}; allowed: equal numbers, or "
                    "one of the two",
                    request.count, request.cpus.size()));
  }
  std::map<std::uint32_t, std::uint32_t> cpu_of_core;
  for (const std::uint32_t number : request.cpus) {
    const auto cpu = std::find_if(cpus.begin(), cpus.end(), [&](const Cpu& c) { return c.number == number; });
    if (cpu == cpus.end() || !cpu->allowed) {
      return net::invalid_argument(fmt::format("workers.cpus: CPU {} is not allowed; allowed: {}", number, allowed));
    }
    const auto [other, is_new] = cpu_of_core.emplace(cpu->core, number);
    if (is_new) continue;
    return net::invalid_argument(
        other->second == number
            ? fmt::format("workers.cpus: CPU {} is named twice; allowed: {}", number, allowed)
            : fmt::format("workers.cpus: CPU {} is on the core of CPU {} (SMT siblings); allowed: one CPU a core of {}",
                          number, other->second, allowed));
  }
  topology.add_reasons(
      fmt::format("{} worker{}: pinned by workers.cpus", request.cpus.size(), request.cpus.size() == 1 ? "" : "s"));
  return request.cpus;
}

/// Role and reason of every CPU, and which are left for control.
void describe(const CpuMap& cpus, Placement& placement) {
  std::map<std::uint32_t, std::size_t> worker_of_core;
  for (const Cpu& cpu : cpus) {
    const auto worker = std::find(placement.worker_cpus.begin(), placement.worker_cpus.end(), cpu.number);
    if (worker != placement.worker_cpus.end()) {
      worker_of_core[cpu.core] = static_cast<std::size_t>(worker - placement.worker_cpus.begin());
    }
  }
  for (const Cpu& cpu : cpus) {
    api::TopologyCpu* out = placement.topology.add_cpus();
    out->set_cpu(cpu.number);
    out->set_core(cpu.core);
    out->set_numa_node(cpu.numa_node);
    out->set_allowed(cpu.allowed);
    const auto worker = worker_of_core.find(cpu.core);
    if (!cpu.allowed) {
      out->set_why("not in the allowed CPU set");
    } else if (worker == worker_of_core.end()) {
      out->set_role("control");
      out->set_why("on no worker's core: control and the node's other work");
      placement.control_cpus.push_back(cpu.number);
    } else if (placement.worker_cpus[worker->second] == cpu.number) {
      out->set_role(fmt::format("worker {}{}", worker->second, placement.shared ? " (shared)" : ""));
      out->set_why(placement.shared ? "too few cores: the node's other work runs here too" : "a core of its own");
    } else {
      out->set_why(fmt::format("SMT sibling of worker {}", worker->second));
    }
  }
}

int common_node(const CpuMap& cpus, const std::vector<std::uint32_t>& chosen) {
  std::optional<int> node;
  for (const Cpu& cpu : cpus) {
    if (std::find(chosen.begin(), chosen.end(), cpu.number) == chosen.end()) continue;
    if (node.value_or(cpu.numa_node) != cpu.numa_node) return -1;
    node = cpu.numa_node;
  }
  return node.value_or(-1);
}

}  // namespace

net::Result<Placement> place(const CpuMap& cpus, const PlacementRequest& request) {
  const std::vector<Core> cores = allowed_cores(cpus);
  if (cores.empty()) return net::internal_error("no CPU is allowed for this process");
  Placement placement;
  placement.topology.set_uplink(request.uplink);
  placement.topology.set_uplink_numa_node(request.uplink_numa_node);
  auto chosen =
      request.cpus.empty() ? choose(cpus, cores, request, placement.topology) : pin(cpus, request, placement.topology);
  if (!chosen) return chosen.error();
  placement.worker_cpus = std::move(chosen).value();
  placement.shared = cores.size() <= 2 || placement.worker_cpus.size() == cores.size();
  placement.numa_node = common_node(cpus, placement.worker_cpus);
  if (placement.shared) {
    placement.topology.add_reasons(fmt::format(
        "shared: {} allowed core{} for {} worker{}, control and the node's own work", cores.size(),
        cores.size() == 1 ? "" : "s", placement.worker_cpus.size(), placement.worker_cpus.size() == 1 ? "" : "s"));
  }
  describe(cpus, placement);
  return placement;
}

std::string cpu_list(const std::vector<std::uint32_t>& cpus) {
  std::string text;
  for (std::size_t first = 0; first < cpus.size();) {
    std::size_t last = first;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    text += text.empty() ? "" : ",";
    text += first == last ? fmt::format("{}", cpus[first]) : fmt::format("{}-{}", cpus[first], cpus[last]);
    first = last + 1;
  }
  return text;
}

}  // namespace millrace::control::switchd
