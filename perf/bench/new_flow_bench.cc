// What flows cost beyond their packets: their begin, their end, a whole connection, a change of the snapshot, memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <vector>

#include "datapath/begin_flow.h"
#include "perf/bench/flow_world.h"
#include "perf/bench/turns.h"

namespace millrace::perf::bench {
namespace {

using net::TcpHeader;
using Send = FlowWorld::Send;

constexpr std::uint8_t kUdp = net::ip_protocol::kUdp, kTcp = net::ip_protocol::kTcp;
constexpr unsigned kServices = 1'000;

/// How fast the time stamp counter counts, from construction on.
class Clock {
 public:
  double cycles_a_second() const {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
    return static_cast<double>(cycles_now() - begin_cycles_) / passed.count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::uint64_t begin_cycles_ = cycles_now();
};

/// Packets of so many consecutive flows.
void fill(std::span<Send> packets, std::uint32_t first_flow, std::uint32_t flows, Send packet) {
  for (Send& each : packets) {
    each = packet;
    each.flow = first_flow++ % flows;
  }
}

/// Every packet is the first of a flow. Masquerade: each with an outside port of its own. Before all are used they end,
/// which is not measured here, nor is the first time, which takes the table's memory from the operating system.
void new_flow(benchmark::State& state, Nat nat, std::uint8_t protocol, unsigned rules = 0) {
  constexpr std::uint32_t kFlows = 32'768;
  FlowWorld world({.flows = kFlows,
                   .nat = nat,
                   .services = nat == Nat::kNone ? 0 : kServices,
                   .protocol = protocol,
                   .rules = rules});
  std::array<Send, kTurnPackets> packets;
  Turns turns;
  std::uint32_t next = 0;
  const auto run = [&] {
    fill(packets, next, kFlows, {.tcp_flags = TcpHeader::kSyn});
    const std::uint64_t cycles = world.turn(packets);
    next += kTurnPackets;
    if (next == kFlows) {
      world.end_all();
      next = 0;
    }
    return cycles;
  };
  do run();
  while (next != 0);
  while (state.KeepRunning()) turns.add(run(), kTurnPackets);
  state.counters["cycles/packet"] = turns.mean();
}
BENCHMARK_CAPTURE(new_flow, udp, Nat::kNone, kUdp);
BENCHMARK_CAPTURE(new_flow, tcp_service, Nat::kService, kTcp);
BENCHMARK_CAPTURE(new_flow, tcp_service_masquerade, Nat::kServiceAndMasquerade, kTcp);
BENCHMARK_CAPTURE(new_flow, udp_service_masquerade, Nat::kServiceAndMasquerade, kUdp);
BENCHMARK_CAPTURE(new_flow, udp_10_rules, Nat::kNone, kUdp, 10);
BENCHMARK_CAPTURE(new_flow, udp_10k_rules, Nat::kNone, kUdp, 10'000);
BENCHMARK_CAPTURE(new_flow, tcp_service_masquerade_10k_rules, Nat::kServiceAndMasquerade, kTcp, 10'000);

/// Whole connections of TCP by a ClusterIP, seven packets each: SYN, SYN-ACK, ACK, data, FIN, FIN-ACK, ACK. Tuples come
/// again once all were used: the connection before has ended in TIME_WAIT, and its end is part of the next one's begin.
void connections(benchmark::State& state, Nat nat) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  FlowWorld world({.flows = flows, .nat = nat, .services = kServices, .protocol = kTcp});
  constexpr std::uint32_t kData = 10;  // bytes of payload that each frame has
  const std::array<Send, 7> steps = {{
      {.is_first = true, .tcp_flags = TcpHeader::kSyn},
      {.is_reply = true, .tcp_flags = TcpHeader::kSyn | TcpHeader::kAck, .acknowledgment = 1 + kData},
      {.tcp_flags = TcpHeader::kAck, .sequence = 1, .acknowledgment = 1 + kData},
      {.tcp_flags = TcpHeader::kAck | TcpHeader::kPsh, .sequence = 1, .acknowledgment = 1 + kData},
      {.tcp_flags = TcpHeader::kAck | TcpHeader::kFin, .sequence = 1 + kData, .acknowledgment = 1 + kData},
      {.is_reply = true,
       .tcp_flags = TcpHeader::kAck | TcpHeader::kFin,
       .sequence = 1 + kData,
       .acknowledgment = 2 + 2 * kData},
      {.tcp_flags = TcpHeader::kAck, .sequence = 2 + 2 * kData, .acknowledgment = 2 + 2 * kData},
  }};
  std::array<Send, kTurnPackets> packets;
  Turns turns;
  std::uint32_t next = 0;
  const auto run = [&] {
    std::uint64_t cycles = 0;
    for (const Send& step : steps) {
      fill(packets, next, flows, step);
      cycles += world.turn(packets);
    }
    next = (next + kTurnPackets) % flows;
    return cycles;
  };
  for (std::uint32_t i = 0; i < flows; i += kTurnPackets) run();
  const Clock clock;
  while (state.KeepRunning()) turns.add(run(), kTurnPackets);
  state.counters["cycles/connection"] = turns.mean();
  state.counters["connections/s"] = clock.cycles_a_second() / turns.mean();
  const std::uint64_t ended = world.counters().flows.ended.get();
  const std::uint64_t expected = world.counters().flows.created.get() - flows;
  if (ended != expected) state.SkipWithError("connections did not end");
}
BENCHMARK_CAPTURE(connections, service, Nat::kService)->ArgName("tuples")->Arg(8'192)->Arg(262'144);
BENCHMARK_CAPTURE(connections, service_masquerade, Nat::kServiceAndMasquerade)
    ->ArgName("tuples")
    ->Arg(8'192)
    ->Arg(262'144);

/// The first packet of an established flow behind a change of the snapshot: its route is asked for again, and policy.
void renewal(benchmark::State& state, Nat nat, std::uint32_t flows = kTurnPackets * 8, unsigned rules = 0) {
  FlowWorld& world =
      established_world({.flows = flows, .nat = nat, .services = nat == Nat::kNone ? 0 : kServices, .rules = rules});
  std::array<Send, kTurnPackets> packets;
  Turns turns;
  std::uint32_t next = 0;
  while (state.KeepRunning()) {
    if (next % world.shape().flows == 0) world.republish();
    fill(packets, next, world.shape().flows, {});
    turns.add(world.turn(packets), kTurnPackets);
    next += kTurnPackets;
  }
  state.counters["cycles/packet"] = turns.mean();
}
BENCHMARK_CAPTURE(renewal, direct, Nat::kNone);
BENCHMARK_CAPTURE(renewal, service, Nat::kService);
BENCHMARK_CAPTURE(renewal, policy_1M_flows_10k_rules, Nat::kNone, 1'048'576, 10'000);

/// A change of policy with a million flows, under load: packets of random flows while all of them are asked about
/// again. Turns right behind the change, when nearly every packet finds an old line, over turns of the same when none
/// does: below 1 / 0.7 a worker at 70 % of what it can do keeps up without a queue.
void policy_update(benchmark::State& state) {
  constexpr unsigned kTurnsAfter = 64;
  FlowWorld& world = established_world({.flows = 1'048'576, .rules = 10'000});
  Turns before, after;
  while (state.KeepRunning()) {
    world.renew_all();
    for (unsigned i = 0; i < kTurnsAfter; ++i) before.add(world.turn(world.draw()), kTurnPackets);
    world.republish();
    for (unsigned i = 0; i < kTurnsAfter; ++i) after.add(world.turn(world.draw()), kTurnPackets);
  }
  state.counters["cycles/packet"] = after.mean();
  state.counters["cycles/packet before"] = before.mean();
  state.counters["load"] = after.mean() / before.mean();
}
BENCHMARK(policy_update);

/// What a packet does to a line that is at hand, with and without the question whether the line is of this epoch: the
/// one thing that a change of policy asks of a packet when there was none.
void line_update(benchmark::State& state, bool asks_epoch) {
  std::vector<nat::FlowLineV4> lines(datapath::kBurst);
  std::uint32_t epoch = 1;
  for (nat::FlowLineV4& line : lines) line.epoch = epoch;
  Turns turns;
  std::uint64_t stale = 0;
  while (state.KeepRunning()) {
    constexpr unsigned kRounds = 64;
    benchmark::DoNotOptimize(epoch);
    const std::uint64_t begin = cycles_now();
    for (unsigned round = 0; round < kRounds; ++round) {
      for (nat::FlowLineV4& line : lines) {
        if (asks_epoch && line.epoch != epoch) [[unlikely]]
          stale += 1;
        line.packets += 1;
        line.bytes += 64;
      }
      benchmark::ClobberMemory();
    }
    turns.add(cycles_now() - begin, kRounds * lines.size());
  }
  if (stale != 0) state.SkipWithError("a line is of another epoch");
  state.counters["cycles/packet"] = turns.mean();
}
BENCHMARK_CAPTURE(line_update, plain, false);
BENCHMARK_CAPTURE(line_update, epoch_asked, true);

/// Bytes a flow of a full table: two lines, index and ages.
template <typename Line>
void memory(benchmark::State& state) {
  class Observer final : public nat::FlowObserver<Line> {
    void flow_ends(const Line&) noexcept override {}
  } observer;
  const auto limit = static_cast<std::size_t>(state.range(0));
  std::size_t bytes = 0;
  while (state.KeepRunning()) bytes = nat::FlowTable<Line>(limit, 1, {}, observer).memory_bytes();
  state.counters["bytes/flow"] = static_cast<double>(bytes) / static_cast<double>(limit);
}
BENCHMARK(memory<nat::FlowLineV4>)->Name("memory/ipv4")->ArgName("flows")->Arg(1'000'000)->Iterations(1);
BENCHMARK(memory<nat::FlowLineV6>)->Name("memory/ipv6")->ArgName("flows")->Arg(1'000'000)->Iterations(1);

}  // namespace
}  // namespace millrace::perf::bench
