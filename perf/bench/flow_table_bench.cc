// The flow table by itself: cycles a key of a burst, hot and cold, and of everything that changes it.
// MILLRACE_BENCH_FLOWS_10M=1 adds ten million flows (2.8 GB of IPv4 lines and index, twice that for IPv6).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "nat/flow_table.h"
#include "perf/bench/cycles.h"

namespace millrace::perf::bench {
namespace {

using nat::FlowLineV4;
using nat::FlowLineV6;
using nat::FlowTimer;

constexpr std::size_t kBursts = 4096;  // of keys drawn before the clock starts; read in order, as packets are
constexpr std::size_t kHotFlows = 64;

template <typename Line>
class Silent : public nat::FlowObserver<Line> {
 public:
  void flow_ends(const Line&) noexcept override {}
};

template <typename Key>
Key key_of(std::uint32_t number) {
  Key key;
  auto* const bytes = reinterpret_cast<unsigned char*>(&key);
  for (unsigned at = 0; at < 4; ++at) bytes[sizeof key.source - 1 - at] = static_cast<unsigned char>(number >> 8 * at);
  bytes[sizeof key.source] = 10;
  key.source_port = static_cast<std::uint16_t>(number * 7);
  key.destination_port = 443;
  key.protocol = 6;
  return key;
}

template <typename Line>
struct Filled {
  using Key = typename Line::Key;

  explicit Filled(std::size_t flow_count, FlowTimer timer = FlowTimer::kTcpEstablished, double load = 1)
      : flows(static_cast<std::uint32_t>(flow_count)),
        table(std::max(nat::kMinFlowLimit, static_cast<std::size_t>(static_cast<double>(flow_count) / load)), 42,
              nat::Timeouts{}, silent) {
    for (std::uint32_t number = 0; number < flows; ++number) add(number, timer, 0);
  }
  Line* add(std::uint32_t number, FlowTimer timer, nat::TickMs now) {
    Line* line = nullptr;
    const Key key = key_of<Key>(number);
    table.insert(key, key.reversed(), timer, now, line);
    return line;
  }
  /// Keys of random flows among the first `among`, in both directions.
  std::vector<Key> draw(std::size_t count, std::size_t among) {
    std::mt19937 random(1);
    std::vector<Key> keys;
    for (std::size_t i = 0; i < count; ++i) {
      const Key key = key_of<Key>(static_cast<std::uint32_t>(random() % among));
      keys.push_back(random() % 2 == 0 ? key : key.reversed());
    }
    return keys;
  }

  std::uint32_t flows;
  Silent<Line> silent;
  nat::FlowTable<Line> table;
};

void report(benchmark::State& state, std::uint64_t cycles, std::uint64_t count, const char* unit) {
  state.SetItemsProcessed(static_cast<std::int64_t>(count));
  state.counters[std::string("cycles/") + unit] = static_cast<double>(cycles) / static_cast<double>(count);
}

void flow_counts(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"flows", "burst"});
  for (const int flows : {1'000, 100'000, 1'000'000}) benchmark->Args({flows, 32});
  benchmark->Args({1'000'000, 64});
  if (std::getenv("MILLRACE_BENCH_FLOWS_10M") != nullptr) benchmark->Args({10'000'000, 32});
}

enum class Keys { kRandom, kHot, kMissing };
enum class Then { kNothing, kPacket };

/// A burst's lookup; with Then::kPacket also what each packet does to its line.
template <typename Line>
void flow_find(benchmark::State& state, Keys which, Then then) {
  using Key = typename Line::Key;
  const auto flows = static_cast<std::size_t>(state.range(0));
  const auto burst = static_cast<std::size_t>(state.range(1));
  Filled<Line> filled(flows);
  std::vector<Key> keys = filled.draw(kBursts * burst, which == Keys::kHot ? kHotFlows : flows);
  if (which == Keys::kMissing) {
    for (Key& key : keys) key.protocol = 17;
  }
  std::array<Line*, nat::kFindBurst> lines;
  std::uint64_t cycles = 0, count = 0, found = 0;
  nat::TickMs now = 0;
  std::size_t next = 0;
  for (auto _ : state) {
    const std::span<const Key> one(keys.data() + next * burst, burst);
    next = (next + 1) % kBursts;
    if (next == 0) now += 50;  // ten million packets a second, about
    const std::uint64_t begin = cycles_now();
    filled.table.find(one, {lines.data(), burst});
    if (then == Then::kPacket) {
      for (std::size_t i = 0; i < burst; ++i) {
        filled.table.touch(*lines[i], now);
        lines[i]->packets += 1;
        lines[i]->bytes += 64;
      }
    }
    cycles += cycles_now() - begin;
    benchmark::DoNotOptimize(lines);
    count += burst;
    for (std::size_t i = 0; i < burst; ++i) found += lines[i] != nullptr;
  }
  if (found != (which == Keys::kMissing ? 0 : count)) state.SkipWithError("lookups went wrong");
  report(state, cycles, count, "key");
}
void flow_find_ipv4(benchmark::State& state, Keys which, Then then) { flow_find<FlowLineV4>(state, which, then); }
void flow_find_ipv6(benchmark::State& state, Keys which, Then then) { flow_find<FlowLineV6>(state, which, then); }
BENCHMARK_CAPTURE(flow_find_ipv4, hot, Keys::kHot, Then::kNothing)->Apply(flow_counts);
BENCHMARK_CAPTURE(flow_find_ipv4, random, Keys::kRandom, Then::kNothing)->Apply(flow_counts);
BENCHMARK_CAPTURE(flow_find_ipv4, random_counted, Keys::kRandom, Then::kPacket)->Apply(flow_counts);
BENCHMARK_CAPTURE(flow_find_ipv4, missing, Keys::kMissing, Then::kNothing)->Apply(flow_counts);
BENCHMARK_CAPTURE(flow_find_ipv6, hot, Keys::kHot, Then::kNothing)->Apply(flow_counts);
BENCHMARK_CAPTURE(flow_find_ipv6, random, Keys::kRandom, Then::kNothing)->Apply(flow_counts);

/// A flow made and another, made long before, ended: a table that stays as full as it is.
template <typename Line>
void flow_insert_erase(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Filled<Line> filled(flows, FlowTimer::kTcpHandshake, 0.9);
  std::uint32_t next = flows;
  std::uint64_t cycles = 0, count = 0, lost = 0;
  for (auto _ : state) {
    const std::uint64_t begin = cycles_now();
    for (unsigned i = 0; i < 32; ++i, ++next) {
      lost += filled.add(next, FlowTimer::kTcpHandshake, 1) == nullptr;
      const Line* const old = filled.table.find(key_of<typename Line::Key>(next - flows));
      if (old != nullptr) filled.table.erase(*old);
    }
    cycles += cycles_now() - begin;
    count += 32;
  }
  if (lost != 0 || filled.table.size() != flows) state.SkipWithError("flows went wrong");
  report(state, cycles, count, "flow");
}
BENCHMARK(flow_insert_erase<FlowLineV4>)->ArgName("flows")->Arg(900)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(flow_insert_erase<FlowLineV6>)->ArgName("flows")->Arg(100'000)->Arg(1'000'000);

/// A table full of flows of which each insert gives one up: half-open ones, or closed ones.
void flow_insert_under_pressure(benchmark::State& state, FlowTimer timer) {
  const auto limit = static_cast<std::uint32_t>(state.range(0));
  Filled<FlowLineV4> filled(limit, timer);
  std::uint32_t next = limit;
  std::uint64_t cycles = 0, count = 0, lost = 0;
  for (auto _ : state) {
    const nat::TickMs now = 1 + next / 1000;
    const std::uint64_t begin = cycles_now();
    for (unsigned i = 0; i < 32; ++i) lost += filled.add(next++, timer, now) == nullptr;
    cycles += cycles_now() - begin;
    count += 32;
  }
  if (lost != 0) state.SkipWithError("inserts failed");
  report(state, cycles, count, "flow");
}
BENCHMARK_CAPTURE(flow_insert_under_pressure, half_open, FlowTimer::kTcpHandshake)
    ->ArgName("limit")
    ->Arg(100'000)
    ->Arg(1'000'000);
BENCHMARK_CAPTURE(flow_insert_under_pressure, closed, FlowTimer::kTcpClosed)
    ->ArgName("limit")
    ->Arg(100'000)
    ->Arg(1'000'000);

/// A sweep that ends nothing, slot by slot in slices of 256.
void flow_sweep_idle(benchmark::State& state) {
  Filled<FlowLineV4> filled(static_cast<std::size_t>(state.range(0)));
  std::uint64_t cycles = 0, count = 0, ended = 0;
  for (auto _ : state) {
    const std::uint64_t begin = cycles_now();
    ended += filled.table.sweep(1000, 256);
    cycles += cycles_now() - begin;
    count += 256;
  }
  if (ended != 0) state.SkipWithError("flows ended");
  report(state, cycles, count, "slot");
  state.counters["bytes/flow"] =
      static_cast<double>(filled.table.memory_bytes()) / static_cast<double>(filled.table.limit());
}
BENCHMARK(flow_sweep_idle)->ArgName("flows")->Arg(1024)->Arg(100'000)->Arg(1'000'000)->Arg(1 << 20);

/// A sweep in which every flow's time is over.
void flow_sweep_ending(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  std::uint64_t cycles = 0, count = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto filled = std::make_unique<Filled<FlowLineV4>>(flows, FlowTimer::kTcpClosed);
    state.ResumeTiming();
    while (filled->table.size() > 0) {
      const std::uint64_t begin = cycles_now();
      count += filled->table.sweep(60'000, 256);
      cycles += cycles_now() - begin;
    }
    state.PauseTiming();
    filled.reset();
    state.ResumeTiming();
  }
  report(state, cycles, count, "flow");
}
BENCHMARK(flow_sweep_ending)
    ->ArgName("flows")
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::perf::bench
