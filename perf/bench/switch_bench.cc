// Cycles a packet of the whole way, from_pod to to_pod: one turn of a worker over in-memory ports.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>

#include "perf/bench/world.h"

namespace millrace::perf::bench {
namespace {

/// Gives every packet to the port it comes from.
void offer(World& world) {
  for (net::Packet* packet : world.packets()) world.port(packet->in_port).offer({&packet, 1});
}

/// Takes back everything the ports transmitted.
std::size_t collect(World& world) {
  std::size_t count = 0;
  std::array<net::Packet*, datapath::kBurst> packets;
  for (unsigned id = 0; id < world.endpoints(); ++id) {
    while (const unsigned taken = world.port(static_cast<net::PortId>(id)).collect(packets)) count += taken;
  }
  return count;
}

void from_pod_to_pod(benchmark::State& state, Family family, bool left_to_offload) {
  const auto endpoints = static_cast<unsigned>(state.range(0));
  // A busy turn: bursts of 64 from two pods, four packets from each of 250, one from each of 4096.
  World world({.endpoints = endpoints,
               .packet_count = endpoints <= 32 ? endpoints * 64 : std::max(endpoints, 1000u),
               .frame_bytes = static_cast<std::uint32_t>(state.range(1)),
               .family = family,
               .checksum_left_to_offload = left_to_offload});
  std::uint64_t cycles = 0, packets = 0;
  for ([[maybe_unused]] auto _ : state) {
    world.rewind();
    offer(world);
    const std::uint64_t begin = cycles_now();
    // What a silent port has may take a few turns to be seen (datapath/poll_order.h).
    for (std::size_t received = 0; received < world.packets().size();) {
      const unsigned count = world.worker().step(begin).received;
      if (count == 0) break;
      received += count;
    }
    cycles += cycles_now() - begin;
    packets += world.packets().size();
    if (collect(world) != world.packets().size()) {
      state.SkipWithError("a packet did not arrive");
      break;
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
}
BENCHMARK_CAPTURE(from_pod_to_pod, ipv4, Family::kIpv4, false)
    ->ArgNames({"endpoints", "bytes"})
    ->Args({2, 64})
    ->Args({250, 64})
    ->Args({250, 1500})
    ->Args({4096, 64});
BENCHMARK_CAPTURE(from_pod_to_pod, ipv6, Family::kIpv6, false)
    ->ArgNames({"endpoints", "bytes"})
    ->Args({2, 64})
    ->Args({250, 64})
    ->Args({250, 1500})
    ->Args({4096, 64});
BENCHMARK_CAPTURE(from_pod_to_pod, ipv4_offload, Family::kIpv4, true)
    ->ArgNames({"endpoints", "bytes"})
    ->Args({250, 64})
    ->Args({250, 1500});

/// A turn that finds nothing: what polling costs for each port.
void idle_turn(benchmark::State& state) {
  World world({.endpoints = static_cast<unsigned>(state.range(0)), .packet_count = 64});
  std::uint64_t cycles = 0, turns = 0;
  for ([[maybe_unused]] auto _ : state) {
    const std::uint64_t begin = cycles_now();
    world.worker().step(begin);
    cycles += cycles_now() - begin;
    ++turns;
  }
  state.counters["cycles/port"] =
      static_cast<double>(cycles) / static_cast<double>(turns) / static_cast<double>(state.range(0));
}
BENCHMARK(idle_turn)->ArgName("endpoints")->Arg(250);

}  // namespace
}  // namespace millrace::perf::bench
