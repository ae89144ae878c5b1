// Which CPUs the workers get on machines of many shapes. A machine is hwloc's synthetic description; its CPUs are
// numbered so that "numa:2 core:4 pu:2" has node 0 = CPUs 0-7, node 1 = 8-15 and SMT siblings 0+1, 2+3 ...
#include "control/switch/placement.h"

#include <gtest/gtest.h>

#include <sstream>

namespace millrace::control::switchd {
namespace {

struct PlacementCase {
  std::string name;
  std::string machine;
  std::vector<std::uint32_t> allowed{};  // empty: all
  PlacementRequest request{};
  std::vector<std::uint32_t> workers{};  // CPU of worker 0, 1 ...
  bool shared = false;
  std::string control{};  // CPU list
  std::string error{};    // instead of all that
};

void PrintTo(const PlacementCase& row, std::ostream* out) { *out << row.name; }

PlacementRequest count(std::uint32_t n) { return {.count = n}; }
PlacementRequest cpus(std::vector<std::uint32_t> list) { return {.cpus = std::move(list)}; }
PlacementRequest uplink(int node, std::uint32_t n = 0) {
  return {.count = n, .uplink = "eth0", .uplink_numa_node = node};
}

const std::string kTwoNodes = "numa:2 core:4 pu:2";

const std::vector<PlacementCase> kCases = {
    {.name = "one CPU: the worker shares it",
     .machine = "numa:1 core:1 pu:1",
     .workers = {0},
     .shared = true,
     .control = ""},
    {.name = "one core with two threads: its sibling is not used",
     .machine = "numa:1 core:1 pu:2",
     .workers = {0},
     .shared = true,
     .control = ""},
    {.name = "two cores: one worker that shares",
     .machine = "numa:1 core:2 pu:1",
     .workers = {1},
     .shared = true,
     .control = "0"},
    {.name = "three cores: one worker", .machine = "numa:1 core:3 pu:1", .workers = {2}, .control = "0-1"},
    {.name = "four cores: half of them", .machine = "numa:1 core:4 pu:1", .workers = {3, 2}, .control = "0-1"},
    {.name = "eight cores with threads: one worker a core",
     .machine = "numa:1 core:8 pu:2",
     .workers = {14, 12, 10, 8},
     .control = "0-7"},
    {.name = "a hundred cores: at most 32 workers",
     .machine = "numa:1 core:100 pu:1",
     .workers =
         [] {
           std::vector<std::uint32_t> list;
           for (std::uint32_t cpu = 99; cpu > 67; --cpu) list.push_back(cpu);
           return list;
         }(),
     .control = "0-67"},

    {.name = "no uplink: the first of equal nodes", .machine = kTwoNodes, .workers = {6, 4}, .control = "0-3,8-15"},
    {.name = "uplink on node 1: its cores",
     .machine = kTwoNodes,
     .request = uplink(1),
     .workers = {14, 12},
     .control = "0-11"},
    {.name = "uplink of unknown node: as without one",
     .machine = kTwoNodes,
     .request = uplink(-1),
     .workers = {6, 4},
     .control = "0-3,8-15"},
    {.name = "uplink's node not allowed: the other",
     .machine = kTwoNodes,
     .allowed = {0, 1, 2, 3, 4, 5, 6, 7},
     .request = uplink(1),
     .workers = {6, 4},
     .control = "0-3"},
    {.name = "no uplink: the node with more allowed cores",
     .machine = kTwoNodes,
     .allowed = {0, 2, 8, 10, 12, 14},
     .workers = {14, 12},
     .control = "0,2,8,10"},
    {.name = "more than the node has: on to the next",
     .machine = kTwoNodes,
     .request = uplink(1, 6),
     .workers = {14, 12, 10, 8, 6, 4},
     .control = "0-3"},

    {.name = "allowed: one CPU of sixteen",
     .machine = kTwoNodes,
     .allowed = {11},
     .workers = {11},
     .shared = true,
     .control = ""},
    {.name = "allowed: the second thread of each core",
     .machine = kTwoNodes,
     .allowed = {1, 3, 5, 7},
     .workers = {7, 5},
     .control = "1,3"},
    {.name = "allowed: both threads of two cores",
     .machine = kTwoNodes,
     .allowed = {4, 5, 6, 7},
     .workers = {6},
     .shared = true,
     .control = "4-5"},

    {.name = "count of all but one",
     .machine = "numa:1 core:4 pu:1",
     .request = count(3),
     .workers = {3, 2, 1},
     .control = "0"},
    {.name = "count of all cores",
     .machine = "numa:1 core:4 pu:1",
     .request = count(4),
     .error = "workers.count: 4; allowed: 1..3 (4 allowed cores, CPUs 0-3; one is left for control)"},
    {.name = "count of threads, not cores",
     .machine = "numa:1 core:4 pu:2",
     .request = count(5),
     .error = "workers.count: 5; allowed: 1..3 (4 allowed cores, CPUs 0-7; one is left for control)"},
    {.name = "count beyond the switch",
     .machine = "numa:1 core:100 pu:1",
     .request = count(33),
     .error = "workers.count: 33; allowed: 1..32 (100 allowed cores, CPUs 0-99; one is left for control)"},

    {.name = "pinned", .machine = kTwoNodes, .request = cpus({3, 9}), .workers = {3, 9}, .control = "0-1,4-7,10-15"},
    {.name = "pinned to every core: they share",
     .machine = "numa:1 core:2 pu:1",
     .request = cpus({0, 1}),
     .workers = {0, 1},
     .shared = true,
     .control = ""},
    {.name = "pinned to siblings",
     .machine = kTwoNodes,
     .request = cpus({8, 9}),
     .error = "workers.cpus: CPU 9 is on the core of CPU 8 (SMT siblings); allowed: one CPU a core of 0-15"},
    {.name = "pinned twice",
     .machine = kTwoNodes,
     .request = cpus({8, 8}),
     .error = "workers.cpus: CPU 8 is named twice; allowed: 0-15"},
    {.name = "pinned outside the allowed set",
     .machine = kTwoNodes,
     .allowed = {0, 1, 2, 5},
     .request = cpus({4}),
     .error = "workers.cpus: CPU 4 is not allowed; allowed: 0-2,5"},
    {.name = "pinned to a CPU that is not there",
     .machine = kTwoNodes,
     .request = cpus({16}),
     .error = "workers.cpus: CPU 16 is not allowed; allowed: 0-15"},
    {.name = "pinned with another count",
     .machine = kTwoNodes,
     .request = {.count = 3, .cpus = {0, 2}},
     .error = "workers.count: 3, but workers.cpus names 2; allowed: equal numbers, or one of the two"},
};

class PlacementTable : public testing::TestWithParam<PlacementCase> {};

TEST_P(PlacementTable, Holds) {
  const PlacementCase& row = GetParam();
  const auto machine = read_synthetic(row.machine, row.allowed);
  ASSERT_TRUE(machine.ok()) << machine.error().message;
  const auto placement = place(*machine, row.request);
  if (!row.error.empty()) {
    ASSERT_FALSE(placement.ok());
    EXPECT_EQ(placement.error().message, row.error);
    return;
  }
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_EQ(placement->worker_cpus, row.workers);
  EXPECT_EQ(placement->shared, row.shared);
  EXPECT_EQ(cpu_list(placement->control_cpus), row.control);
}

INSTANTIATE_TEST_SUITE_P(Machines, PlacementTable, testing::ValuesIn(kCases), [](const auto& row) {
  std::string id;
  for (const char c : row.param.name) id += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return id;
});

/// What `millrace topology` is given: one line a CPU.
std::string drawn(const api::Topology& topology) {
  std::ostringstream text;
  for (const api::TopologyCpu& cpu : topology.cpus()) {
    text << cpu.cpu() << " core " << cpu.core() << " node " << cpu.numa_node() << " [" << cpu.role() << "] "
         << cpu.why() << '\n';
  }
  for (const std::string& reason : topology.reasons()) text << reason << '\n';
  return text.str();
}

TEST(PlacementTopology, SaysForEveryCpuWhatItIsAndWhy) {
  const auto machine = read_synthetic(kTwoNodes, {0, 1, 2, 3, 8, 9, 10, 11, 12, 13});
  const auto placement = place(*machine, uplink(1));
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(drawn(placement->topology),
            "0 core 0 node 0 [control] on no worker's core: control and the node's other work\n"
            "1 core 0 node 0 [control] on no worker's core: control and the node's other work\n"
            "2 core 1 node 0 [control] on no worker's core: control and the node's other work\n"
            "3 core 1 node 0 [control] on no worker's core: control and the node's other work\n"
            "4 core 2 node 0 [] not in the allowed CPU set\n"
            "5 core 2 node 0 [] not in the allowed CPU set\n"
            "6 core 3 node 0 [] not in the allowed CPU set\n"
            "7 core 3 node 0 [] not in the allowed CPU set\n"
            "8 core 4 node 1 [control] on no worker's core: control and the node's other work\n"
            "9 core 4 node 1 [control] on no worker's core: control and the node's other work\n"
            "10 core 5 node 1 [control] on no worker's core: control and the node's other work\n"
            "11 core 5 node 1 [control] on no worker's core: control and the node's other work\n"
            "12 core 6 node 1 [worker 0] a core of its own\n"
            "13 core 6 node 1 [] SMT sibling of worker 0\n"
            "14 core 7 node 1 [] not in the allowed CPU set\n"
            "15 core 7 node 1 [] not in the allowed CPU set\n"
            "1 worker: half of the 3 allowed cores of the node, at most 32\n"
            "NUMA node 1: the uplink eth0 is on it\n");
  EXPECT_EQ(placement->numa_node, 1);
}

TEST(PlacementTopology, WorkersOnTwoNodesHaveNoNodeInCommon) {
  const auto machine = read_synthetic(kTwoNodes, {});
  EXPECT_EQ(place(*machine, cpus({0, 8}))->numa_node, -1);
  EXPECT_EQ(place(*machine, cpus({8, 10}))->numa_node, 1);
}

TEST(PlacementMachine, ThisOneCanBeReadAndPlacedOn) {
  const auto machine = read_machine();
  ASSERT_TRUE(machine.ok()) << machine.error().message;
  const auto placement = place(*machine, {});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_GE(placement->worker_cpus.size(), 1u);
}

TEST(PlacementMachine, AVirtualInterfaceHasNoNode) {
  EXPECT_EQ(numa_node_of_interface("lo"), -1);
  EXPECT_EQ(numa_node_of_interface(""), -1);
  EXPECT_EQ(numa_node_of_interface("no-such-one"), -1);
}

}  // namespace
}  // namespace millrace::control::switchd
