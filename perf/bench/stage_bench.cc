// Cycles a packet of each stage by itself, on packets whose headers lie in the cache, as they do behind the parser's
// prefetch.
#include <benchmark/benchmark.h>

#include "datapath/answer.h"
#include "datapath/forward.h"
#include "datapath/guard.h"
#include "datapath/rewrite.h"
#include "net/checksum.h"
#include "net/parser.h"
#include "perf/bench/world.h"

namespace millrace::perf::bench {
namespace {

constexpr unsigned kPackets = 256;

WorldShape shape(Family family, std::uint32_t frame_bytes, unsigned endpoints = 250) {
  return {.endpoints = endpoints, .packet_count = kPackets, .frame_bytes = frame_bytes, .family = family};
}

/// Runs `stage` over all packets of a world, rewound before each round; reports "cycles/packet".
template <typename Stage>
void run(benchmark::State& state, const WorldShape& world_shape, Stage stage) {
  World world(world_shape);
  std::uint64_t cycles = 0, packets = 0;
  for ([[maybe_unused]] auto _ : state) {
    world.rewind();
    const std::uint64_t begin = cycles_now();
    for (net::Packet* packet : world.packets()) stage(world, *packet);
    cycles += cycles_now() - begin;
    packets += world.packets().size();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
  state.counters["cycles/packet"] = static_cast<double>(cycles) / static_cast<double>(packets);
}

void parse(benchmark::State& state, Family family) {
  run(state, shape(family, 64), [](World&, net::Packet& packet) {
    benchmark::DoNotOptimize(net::parse(packet.head(), packet.length_bytes, packet.headers));
  });
}
BENCHMARK_CAPTURE(parse, ipv4, Family::kIpv4);
BENCHMARK_CAPTURE(parse, ipv6, Family::kIpv6);

void checksum(benchmark::State& state) {
  run(state, shape(Family::kIpv4, static_cast<std::uint32_t>(state.range(0))),
      [](World&, net::Packet& packet) { benchmark::DoNotOptimize(net::checksum(packet.head())); });
}
BENCHMARK(checksum)->ArgName("bytes")->Arg(64)->Arg(1500);

void guard(benchmark::State& state, Family family) {
  run(state, shape(family, 64), [](World& world, net::Packet& packet) {
    const datapath::Snapshot& snapshot = world.snapshot();
    benchmark::DoNotOptimize(datapath::guard(packet, snapshot.ports[packet.in_port], snapshot));
  });
}
BENCHMARK_CAPTURE(guard, ipv4, Family::kIpv4);
BENCHMARK_CAPTURE(guard, ipv6, Family::kIpv6);

void answer(benchmark::State& state, Family family) {
  run(state, shape(family, 64),
      [](World& world, net::Packet& packet) { benchmark::DoNotOptimize(datapath::answer(packet, world.snapshot())); });
}
BENCHMARK_CAPTURE(answer, ipv4, Family::kIpv4);
BENCHMARK_CAPTURE(answer, ipv6, Family::kIpv6);

void route(benchmark::State& state, Family family) {
  run(state, shape(family, 64, static_cast<unsigned>(state.range(0))), [](World& world, net::Packet& packet) {
    const datapath::RouteTable& routes = world.snapshot().routes;
    benchmark::DoNotOptimize(packet.headers.l3 == net::L3::kIpv4 ? routes.lookup(net::ipv4(packet).destination)
                                                                 : routes.lookup(net::ipv6(packet).destination));
  });
}
BENCHMARK_CAPTURE(route, ipv4, Family::kIpv4)->ArgName("endpoints")->Arg(250)->Arg(4096);
BENCHMARK_CAPTURE(route, ipv6, Family::kIpv6)->ArgName("endpoints")->Arg(250)->Arg(4096);

/// Checksum check (and completion, when it was left to offload) and MACs.
void rewrite(benchmark::State& state, Family family, bool left_to_offload) {
  WorldShape world_shape = shape(family, static_cast<std::uint32_t>(state.range(0)));
  world_shape.checksum_left_to_offload = left_to_offload;
  run(state, world_shape, [](World& world, net::Packet& packet) {
    const datapath::Snapshot& snapshot = world.snapshot();
    datapath::rewrite(packet, snapshot.ports[packet.in_port], snapshot.gateway);
  });
}
BENCHMARK_CAPTURE(rewrite, ipv4, Family::kIpv4, false)->ArgName("bytes")->Arg(64)->Arg(1500);
BENCHMARK_CAPTURE(rewrite, ipv4_offload, Family::kIpv4, true)->ArgName("bytes")->Arg(64)->Arg(1500);
BENCHMARK_CAPTURE(rewrite, ipv6_offload, Family::kIpv6, true)->ArgName("bytes")->Arg(64)->Arg(1500);

}  // namespace
}  // namespace millrace::perf::bench
