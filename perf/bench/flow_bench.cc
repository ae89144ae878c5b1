// Cycles a packet of the whole way through a worker with flows, over in-memory ports, and of the same way without them.
// README.md says what each figure means; goals.py compares them with DESIGN.md section 8.
#include <benchmark/benchmark.h>

#include <fstream>
#include <memory>
#include <string>

#include "perf/bench/flow_world.h"
#include "perf/bench/stateless.h"
#include "perf/bench/turns.h"

namespace millrace::perf::bench {
namespace {

constexpr std::uint8_t kUdp = net::ip_protocol::kUdp, kTcp = net::ip_protocol::kTcp;
constexpr int k10M = 10'000'000;
/// Ten million flows: lines, index (of both families), and 16 bytes a flow of the generator.
constexpr std::uint64_t kMemoryFor10M = 4ull << 30;

std::uint64_t memory_available_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string name; meminfo >> name;) {
    std::uint64_t kilobytes = 0;
    if (name == "MemAvailable:" && meminfo >> kilobytes) return kilobytes * 1024;
    std::getline(meminfo, name);
  }
  return 0;
}

void report(benchmark::State& state, Turns& turns) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kTurnPackets));
  state.counters["cycles/packet"] = turns.mean();
}

/// Random packets of flows that are all established.
void run_established(benchmark::State& state, const FlowShape& shape, Direction direction = Direction::kBoth) {
  if (shape.flows >= k10M && memory_available_bytes() < kMemoryFor10M) {
    state.SkipWithError("less than 4 GiB of memory are free");
    return;
  }
  FlowWorld& world = established_world(shape);
  Turns turns;
  while (state.KeepRunning()) turns.add(world.turn(world.draw(direction)), kTurnPackets);
  report(state, turns);
}

void stateless(benchmark::State& state, Family family) {
  FlowWorld& world = established_world({.family = family});
  Stateless forwarder(world);
  Turns turns;
  while (state.KeepRunning()) {
    turns.add(world.turn(world.draw(), [&](std::uint64_t) { forwarder.step(); }), kTurnPackets);
  }
  report(state, turns);
}
BENCHMARK_CAPTURE(stateless, ipv4, Family::kIpv4);
BENCHMARK_CAPTURE(stateless, ipv6, Family::kIpv6);

void established(benchmark::State& state, Family family, std::uint8_t protocol) {
  run_established(state, {.flows = static_cast<std::uint32_t>(state.range(0)), .family = family, .protocol = protocol});
}
BENCHMARK_CAPTURE(established, ipv4_udp, Family::kIpv4, kUdp)
    ->ArgName("flows")
    ->Arg(64)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->Arg(k10M);
BENCHMARK_CAPTURE(established, ipv4_tcp, Family::kIpv4, kTcp)->ArgName("flows")->Arg(64)->Arg(10'000)->Arg(1'000'000);
BENCHMARK_CAPTURE(established, ipv6_udp, Family::kIpv6, kUdp)->ArgName("flows")->Arg(64)->Arg(10'000)->Arg(1'000'000);

/// To pods of another node and back, or one direction of it. What a tunnel costs is this less the same by the host
/// port: there, too, one port has all packets of a direction.
void tunnel(benchmark::State& state, Link link, Family family, Direction direction) {
  run_established(state, {.flows = static_cast<std::uint32_t>(state.range(0)), .family = family, .link = link},
                  direction);
}
BENCHMARK_CAPTURE(tunnel, host_in, Link::kHost, Family::kIpv4, Direction::kBack)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, host_out, Link::kHost, Family::kIpv4, Direction::kThere)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, host_both, Link::kHost, Family::kIpv4, Direction::kBoth)
    ->ArgName("flows")
    ->Arg(64)
    ->Arg(10'000)
    ->Arg(1'000'000);
BENCHMARK_CAPTURE(tunnel, vxlan_in, Link::kVxlanOverIpv4, Family::kIpv4, Direction::kBack)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, vxlan_out, Link::kVxlanOverIpv4, Family::kIpv4, Direction::kThere)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, vxlan_both, Link::kVxlanOverIpv4, Family::kIpv4, Direction::kBoth)
    ->ArgName("flows")
    ->Arg(64)
    ->Arg(10'000)
    ->Arg(1'000'000);
BENCHMARK_CAPTURE(tunnel, vxlan_ipv6_in_ipv4_both, Link::kVxlanOverIpv4, Family::kIpv6, Direction::kBoth)
    ->ArgName("flows")
    ->Arg(64);
BENCHMARK_CAPTURE(tunnel, vxlan6_in, Link::kVxlanOverIpv6, Family::kIpv4, Direction::kBack)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, vxlan6_out, Link::kVxlanOverIpv6, Family::kIpv4, Direction::kThere)
    ->ArgName("flows")
    ->Arg(64);
BENCHMARK_CAPTURE(tunnel, plain_in, Link::kPlain, Family::kIpv4, Direction::kBack)->ArgName("flows")->Arg(64);
BENCHMARK_CAPTURE(tunnel, plain_out, Link::kPlain, Family::kIpv4, Direction::kThere)->ArgName("flows")->Arg(64);

/// ClusterIP there, backend back.
void service(benchmark::State& state) {
  run_established(state, {.flows = static_cast<std::uint32_t>(state.range(0)),
                          .nat = Nat::kService,
                          .services = static_cast<unsigned>(state.range(1))});
}
BENCHMARK(service)
    ->ArgNames({"flows", "services"})
    ->Args({10'000, 1})
    ->Args({10'000, 10})
    ->Args({10'000, 1'000})
    ->Args({10'000, 10'000})
    ->Args({1'000'000, 1'000});

void masquerade(benchmark::State& state) {
  run_established(state, {.flows = static_cast<std::uint32_t>(state.range(0)), .nat = Nat::kMasquerade});
}
BENCHMARK(masquerade)->ArgName("flows")->Arg(64)->Arg(10'000)->Arg(1'000'000);

/// Established under policies that isolate every pod both ways.
void policy(benchmark::State& state) {
  run_established(
      state, {.flows = static_cast<std::uint32_t>(state.range(0)), .rules = static_cast<unsigned>(state.range(1))});
}
BENCHMARK(policy)
    ->ArgNames({"flows", "rules"})
    ->Args({64, 10})
    ->Args({10'000, 10})
    ->Args({10'000, 1'000})
    ->Args({10'000, 10'000})
    ->Args({1'000'000, 10})
    ->Args({1'000'000, 10'000});

/// Ten pods talk, and so many are there: nothing is taken off for the polls of those that say nothing.
void silent_pods(benchmark::State& state) {
  FlowWorld& world =
      established_world({.flows = 10'000, .pods = static_cast<unsigned>(state.range(0)), .busy_pods = 10});
  Turns turns;
  while (state.KeepRunning()) turns.add(world.turn(world.draw()), kTurnPackets);
  report(state, turns);
}
BENCHMARK(silent_pods)->ArgName("pods")->Arg(10)->Arg(250)->Arg(4095);

/// A turn that finds no packet polls all ports.
void silent_turn(benchmark::State& state) {
  const auto pods = static_cast<unsigned>(state.range(0));
  FlowWorld& world = established_world({.flows = 10'000, .pods = pods, .busy_pods = 10});
  Turns turns;
  while (state.KeepRunning()) turns.add(world.idle_turn(), pods);
  state.counters["cycles/silent port"] = turns.mean();
}
BENCHMARK(silent_turn)->ArgName("pods")->Arg(4095);

/// All pods talk: bursts of one or two packets from each, sent to as many others.
void busy_pods(benchmark::State& state) {
  const auto pods = static_cast<unsigned>(state.range(0));
  run_established(state, {.flows = 10'000, .pods = pods, .busy_pods = pods});
}
BENCHMARK(busy_pods)->ArgName("pods")->Arg(250)->Arg(4094);

}  // namespace
}  // namespace millrace::perf::bench
