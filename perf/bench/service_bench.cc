// Services: how long control takes to build and to change them, and what a new flow pays to have its backend chosen.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nat/service.h"
#include "nat/service_table.h"
#include "net/flow_key.h"
#include "net/parser.h"
#include "perf/bench/cycles.h"

namespace millrace::perf::bench {
namespace {

using Services = std::vector<std::shared_ptr<const nat::Service>>;

constexpr std::uint16_t kPort = 80, kFirstNodePort = 30'000, kNodePorts = 32'768;
constexpr unsigned kBackendsPerService = 10;
constexpr std::size_t kEvictBytes = 64u << 20;  // more than the last-level cache
constexpr unsigned kColdChoices = 64;           // in one cold round

net::Ipv4 frontend_address(unsigned service) { return net::Ipv4::from_host(0x0a600000 + service); }

/// Cycles of one piece of work, measured again and again; the median, so that what interrupts some of them does not
/// count.
class Cycles {
 public:
  template <typename Work>
  void measure(Work work) {
    const std::uint64_t begin = cycles_now();
    work();
    samples_.push_back(cycles_now() - begin);
  }
  double median() {
    const auto middle = samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
    std::nth_element(samples_.begin(), middle, samples_.end());
    return static_cast<double>(*middle);
  }

 private:
  std::vector<std::uint64_t> samples_;
};

/// A ClusterIP and a NodePort over one set.
nat::ServiceSpec spec_of(unsigned service, unsigned backends, std::uint32_t first_backend) {
  nat::ServiceSpec spec;
  spec.name = "bench/service-" + std::to_string(service);
  spec.backend_sets.resize(1);
  for (unsigned i = 0; i < backends; ++i) {
    spec.backend_sets[0].push_back({net::IpAddress::from(net::Ipv4::from_host(first_backend + i)), 8080});
  }
  const nat::FrontendRule direct{.action = nat::FrontendAction::kBalance};
  const nat::FrontendRule masqueraded{.action = nat::FrontendAction::kBalance, .masquerade = true};
  spec.frontends.resize(2);
  spec.frontends[0] = {.address = net::IpAddress::from(frontend_address(service)),
                       .protocol = net::ip_protocol::kTcp,
                       .port = kPort,
                       .rules = {direct, masqueraded, masqueraded},
                       .source_ranges = {}};
  spec.frontends[1] = spec.frontends[0];
  spec.frontends[1].address = net::IpAddress::from(net::Ipv4::from_host(0xc0000201 + service / kNodePorts));
  spec.frontends[1].port = static_cast<std::uint16_t>(kFirstNodePort + service % kNodePorts);
  return spec;
}

std::vector<nat::ServiceSpec> specs_of(unsigned services) {
  std::vector<nat::ServiceSpec> specs;
  for (unsigned i = 0; i < services; ++i) {
    specs.push_back(spec_of(i, kBackendsPerService, 0x0b000000 + i * kBackendsPerService));
  }
  return specs;
}

Services build_all(const std::vector<nat::ServiceSpec>& specs) {
  Services services;
  services.reserve(specs.size());
  for (const nat::ServiceSpec& spec : specs) services.push_back(nat::build_service(spec).value());
  return services;
}

/// All services and their table from nothing; memory of all of it for each backend.
void build(benchmark::State& state) {
  const auto specs = specs_of(static_cast<unsigned>(state.range(0)));
  std::size_t bytes = 0, backends = 0;
  while (state.KeepRunning()) {
    const auto table = nat::ServiceTable::build(build_all(specs)).value();
    state.PauseTiming();
    bytes = table->memory_bytes();
    backends = table->backend_count();
    for (const auto& service : table->services()) bytes += service->memory_bytes();
    state.ResumeTiming();
  }
  state.counters["backends"] = static_cast<double>(backends);
  state.counters["bytes/backend"] = static_cast<double>(bytes) / static_cast<double>(backends);
}
BENCHMARK(build)->ArgName("services")->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);

/// One service with so many backends in one set.
void build_set(benchmark::State& state) {
  const auto spec = spec_of(0, static_cast<unsigned>(state.range(0)), 0x0b000000);
  std::size_t bytes = 0;
  while (state.KeepRunning()) bytes = nat::build_service(spec).value()->memory_bytes();
  state.counters["bytes/backend"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}
BENCHMARK(build_set)
    ->ArgName("backends")
    ->Arg(1)
    ->Arg(10)
    ->Arg(11)
    ->Arg(100)
    ->Arg(1000)
    ->Arg(5000)
    ->Unit(benchmark::kMillisecond);

/// One service changes: it is compiled, the table is made anew, the one before goes.
void change_one(benchmark::State& state) {
  auto specs = specs_of(static_cast<unsigned>(state.range(0)));
  Services services = build_all(specs);
  auto table = nat::ServiceTable::build(services).value();
  unsigned round = 0;
  while (state.KeepRunning()) {
    const unsigned changed = ++round * 7919 % static_cast<unsigned>(services.size());
    specs[changed].backend_sets[0][0].port ^= 1;
    services[changed] = nat::build_service(specs[changed]).value();
    table = nat::ServiceTable::build(services).value();
  }
}
BENCHMARK(change_one)->ArgName("services")->Arg(10)->Arg(10'000)->Arg(65'536)->Unit(benchmark::kMillisecond);

void choose_one(const nat::ServiceTable& table, unsigned service, std::uint64_t hash) {
  nat::ServiceChoice choice;
  const auto source = net::Ipv4::from_host(0x0a000001);
  benchmark::DoNotOptimize(table.choose(source, frontend_address(service), net::ip_protocol::kTcp, kPort,
                                        nat::SourceKind::kPod, hash, choice));
  benchmark::DoNotOptimize(choice.backend->port);
}

/// Cycles of a choice, the backend read, over services and flows at random: what the caches hold, they hold.
void choose(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const auto table = nat::ServiceTable::build(build_all(specs_of(count))).value();
  constexpr unsigned kChoices = 4096;
  Cycles cycles;
  std::uint64_t number = 0;
  while (state.KeepRunning()) {
    cycles.measure([&] {
      for (unsigned i = 0; i < kChoices; ++i) {
        const std::uint64_t hash = net::mix64(++number);
        choose_one(*table, static_cast<unsigned>(hash % count), hash);
      }
    });
  }
  state.counters["cycles/choice"] = cycles.median() / kChoices;
}
BENCHMARK(choose)->ArgName("services")->Arg(1)->Arg(10)->Arg(10'000);

/// The same with nothing of it in any cache: each choice alone, behind the one before.
void choose_cold(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const auto table = nat::ServiceTable::build(build_all(specs_of(count))).value();
  std::vector<std::uint8_t> evict(kEvictBytes);
  Cycles cycles;
  std::uint64_t number = 0;
  while (state.KeepRunning()) {
    for (std::size_t i = 0; i < evict.size(); i += 64) benchmark::DoNotOptimize(++evict[i]);
    for (unsigned i = 0; i < kColdChoices; ++i) {
      const std::uint64_t hash = net::mix64(++number);
      cycles.measure([&] { choose_one(*table, static_cast<unsigned>(hash % count), hash); });
    }
  }
  state.counters["cycles/choice"] = cycles.median();
}
BENCHMARK(choose_cold)->ArgName("services")->Arg(10'000);

/// Asked for every flow after a change: is its backend still one of the service's?
void has_backend(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const auto table = nat::ServiceTable::build(build_all(specs_of(count))).value();
  constexpr unsigned kQuestions = 4096;
  Cycles cycles;
  std::uint64_t number = 0;
  while (state.KeepRunning()) {
    cycles.measure([&] {
      for (unsigned i = 0; i < kQuestions; ++i) {
        const std::uint64_t hash = net::mix64(++number);
        const auto service = static_cast<unsigned>(hash % count);
        const auto backend =
            static_cast<std::uint32_t>(0x0b000000 + service * kBackendsPerService + (hash >> 32) % kBackendsPerService);
        benchmark::DoNotOptimize(table->has_backend(frontend_address(service), net::ip_protocol::kTcp, kPort,
                                                    nat::SourceKind::kPod, net::Ipv4::from_host(backend), 8080));
      }
    });
  }
  state.counters["cycles/question"] = cycles.median() / kQuestions;
}
BENCHMARK(has_backend)->ArgName("services")->Arg(10)->Arg(10'000);

/// No frontend's address: what every new flow to another pod pays.
void no_frontend(benchmark::State& state) {
  const auto count = static_cast<unsigned>(state.range(0));
  const auto table = nat::ServiceTable::build(build_all(specs_of(count))).value();
  constexpr unsigned kChoices = 4096;
  Cycles cycles;
  std::uint64_t number = 0;
  const auto source = net::Ipv4::from_host(0x0a000001);
  while (state.KeepRunning()) {
    cycles.measure([&] {
      for (unsigned i = 0; i < kChoices; ++i) {
        const std::uint64_t hash = net::mix64(++number);
        nat::ServiceChoice choice;
        const auto destination = net::Ipv4::from_host(0x0af40000 + static_cast<std::uint32_t>(hash % 100'000));
        benchmark::DoNotOptimize(
            table->choose(source, destination, net::ip_protocol::kTcp, kPort, nat::SourceKind::kPod, hash, choice));
      }
    });
  }
  state.counters["cycles/choice"] = cycles.median() / kChoices;
}
BENCHMARK(no_frontend)->ArgName("services")->Arg(10)->Arg(10'000);

}  // namespace
}  // namespace millrace::perf::bench
