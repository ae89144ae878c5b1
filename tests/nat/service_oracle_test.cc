// Compiled services against a naive evaluator: a scan over the specs, as they are, for every packet.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "nat/service_table.h"
#include "tests/nat/service_builder.h"

namespace millrace::nat {
namespace {

constexpr std::uint64_t kSeed = 20'260'301;
constexpr unsigned kRounds = 60;
constexpr unsigned kPacketsPerRound = 3000;
constexpr std::uint16_t kPorts[] = {1, 53, 80, 443, 65'535};
constexpr std::uint8_t kProtocols[] = {kTcp, kUdp, kSctp};

struct Packet {
  net::IpAddress source, destination;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  SourceKind from = SourceKind::kPod;
};

struct Verdict {
  FrontendMatch match = FrontendMatch::kNone;
  FrontendAction action = FrontendAction::kReject;
  bool masquerade = false;
  const ServiceSpec* service = nullptr;
  std::vector<Backend> eligible;
};

Verdict evaluate(const std::vector<ServiceSpec>& specs, const Packet& packet) {
  bool is_address_known = false;
  for (const ServiceSpec& spec : specs) {
    for (const FrontendSpec& frontend : spec.frontends) {
      if (frontend.address != packet.destination) continue;
      is_address_known = true;
      if (frontend.protocol != packet.protocol || frontend.port != packet.port) continue;
      const FrontendRule& rule = frontend.rules[static_cast<int>(packet.from)];
      Verdict verdict{.match = FrontendMatch::kFound, .action = rule.action, .service = &spec, .eligible = {}};
      if (rule.action == FrontendAction::kBalance) verdict.eligible = spec.backend_sets[rule.backend_set];
      verdict.masquerade = !verdict.eligible.empty() && rule.masquerade;
      if (rule.action == FrontendAction::kBalance && verdict.eligible.empty()) verdict.action = FrontendAction::kReject;
      bool is_in_range = frontend.source_ranges.empty();
      for (const net::Prefix& range : frontend.source_ranges) is_in_range |= range.contains(packet.source);
      if (!is_in_range) verdict.match = FrontendMatch::kOutOfRange;
      return verdict;
    }
  }
  return {.match = is_address_known ? FrontendMatch::kNoPort : FrontendMatch::kNone, .eligible = {}};
}

/// Specs and packets out of so few addresses and ports that they meet.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  unsigned below(unsigned limit) { return static_cast<unsigned>(engine_() % limit); }
  std::uint64_t bits() { return engine_(); }
  template <typename T, std::size_t kSize>
  T one_of(const T (&values)[kSize]) {
    return values[below(kSize)];
  }

  /// One of 4 * 16: the bytes that differ lie in the middle and at the end.
  net::IpAddress address(std::uint8_t family) {
    net::IpAddress result = ip(family == 4 ? "10.0.0.1" : "fd00::1");
    result.bytes[family == 4 ? 1 : 7] = static_cast<std::uint8_t>(below(4));
    result.bytes[family == 4 ? 3 : 15] = static_cast<std::uint8_t>(1 + below(16));
    return result;
  }
  std::uint8_t family() { return below(2) == 0 ? 4 : 6; }

  std::vector<Backend> backends() {
    std::set<Backend> result;
    const std::uint8_t of_family = family();
    const unsigned count = below(4) == 0 ? 0 : 1 + below(30);
    while (result.size() < count) result.insert({address(of_family), one_of(kPorts)});
    std::vector<Backend> shuffled(result.begin(), result.end());
    std::shuffle(shuffled.begin(), shuffled.end(), engine_);
    return shuffled;
  }

  FrontendRule rule(const ServiceSpec& spec, std::uint8_t of_family) {
    const auto set = static_cast<std::uint16_t>(below(static_cast<unsigned>(spec.backend_sets.size())));
    const auto& backends = spec.backend_sets[set];
    const bool fits = backends.empty() || backends[0].address.family == of_family;
    if (fits) return balance(set, below(2) == 0);
    return below(2) == 0 ? reject() : drop();
  }

  FrontendSpec frontend(const ServiceSpec& spec) {
    FrontendSpec result;
    result.address = address(family());
    result.protocol = one_of(kProtocols);
    result.port = one_of(kPorts);
    for (FrontendRule& each : result.rules) each = rule(spec, result.address.family);
    for (unsigned ranges = below(3) == 0 ? 1 + below(5) : 0; ranges > 0; --ranges) {
      const net::IpAddress inside = address(family());
      result.source_ranges.push_back(net::Prefix::of(inside, static_cast<std::uint8_t>(below(inside.bits() + 1))));
    }
    return result;
  }

  std::vector<ServiceSpec> services() {
    std::vector<ServiceSpec> specs(1 + below(30));
    std::set<std::tuple<net::IpAddress, std::uint8_t, std::uint16_t>> taken;
    for (ServiceSpec& spec : specs) {
      spec.name = "service-" + std::to_string(&spec - specs.data());
      spec.affinity_seconds = below(3) == 0 ? 60 : 0;
      for (unsigned sets = 1 + below(5); sets > 0; --sets) spec.backend_sets.push_back(backends());
      for (unsigned frontends = below(8); frontends > 0; --frontends) {
        FrontendSpec candidate = frontend(spec);
        if (!taken.emplace(candidate.address, candidate.protocol, candidate.port).second) continue;
        spec.frontends.push_back(std::move(candidate));
      }
    }
    return specs;
  }

  /// Every other one goes to a frontend there is.
  Packet packet(const std::vector<ServiceSpec>& specs) {
    const std::uint8_t of_family = family();
    Packet result{address(of_family), address(of_family), one_of(kProtocols), one_of(kPorts),
                  static_cast<SourceKind>(below(kSourceKinds))};
    const auto& frontends = specs[below(static_cast<unsigned>(specs.size()))].frontends;
    if (below(2) == 0 || frontends.empty()) return result;
    const FrontendSpec& frontend = frontends[below(static_cast<unsigned>(frontends.size()))];
    result.source = address(frontend.address.family);
    result.destination = frontend.address;
    result.protocol = frontend.protocol;
    result.port = frontend.port;
    return result;
  }

 private:
  std::mt19937_64 engine_;
};

FrontendMatch choose(const ServiceTable& table, const Packet& p, std::uint64_t hash, ServiceChoice& choice) {
  if (p.source.is_v4()) {
    return table.choose(p.source.v4(), p.destination.v4(), p.protocol, p.port, p.from, hash, choice);
  }
  return table.choose(p.source.v6(), p.destination.v6(), p.protocol, p.port, p.from, hash, choice);
}

template <typename Address>
const Backend* foresee(const ServiceTable& table, const ServiceQuestion<Address>& question) {
  const Backend* backend = nullptr;
  table.foresee(std::span(&question, 1), std::span(&backend, 1));
  return backend;
}

const Backend* foresee(const ServiceTable& table, const Packet& p, std::uint64_t hash) {
  if (p.source.is_v4()) {
    return foresee<net::Ipv4>(table, {p.source.v4(), p.destination.v4(), hash, p.port, p.protocol, p.from});
  }
  return foresee<net::Ipv6>(table, {p.source.v6(), p.destination.v6(), hash, p.port, p.protocol, p.from});
}

bool has_backend(const ServiceTable& table, const Packet& p, const Backend& b) {
  if (p.source.is_v4()) {
    return table.has_backend(p.destination.v4(), p.protocol, p.port, p.from, b.address.v4(), b.port);
  }
  return table.has_backend(p.destination.v6(), p.protocol, p.port, p.from, b.address.v6(), b.port);
}

bool contains(const std::vector<Backend>& backends, const Backend& backend) {
  return std::find(backends.begin(), backends.end(), backend) != backends.end();
}

class ServiceOracle : public testing::Test {
 protected:
  void compare(const ServiceTable& table, const std::vector<ServiceSpec>& specs, const Packet& packet) {
    const Verdict want = evaluate(specs, packet);
    ++seen_[static_cast<int>(want.match)];
    ServiceChoice got;
    const std::uint64_t hash = random_.bits();
    ASSERT_EQ(choose(table, packet, hash, got), want.match);
    if (want.match == FrontendMatch::kFound) {
      ASSERT_EQ(name_of(*got.service), want.service->name);
      ASSERT_EQ(got.action, want.action);
      ASSERT_EQ(got.masquerade, want.masquerade);
      ASSERT_EQ(got.has_affinity, want.service->affinity_seconds != 0 && !want.eligible.empty());
      ASSERT_EQ(got.backend != nullptr, !want.eligible.empty());
      ASSERT_EQ(foresee(table, packet, hash), got.backend);
      ASSERT_TRUE(got.backend == nullptr || contains(want.eligible, *got.backend));
      ServiceChoice again;
      choose(table, packet, want.service->affinity_seconds != 0 ? ~hash : hash, again);
      ASSERT_EQ(again.backend, got.backend);
    } else if (want.match == FrontendMatch::kOutOfRange) {
      ASSERT_EQ(name_of(*got.service), want.service->name);
      ASSERT_EQ(got.backend, nullptr);
    } else {
      ASSERT_EQ(foresee(table, packet, hash), nullptr);
    }
    for (const Backend& backend : want.eligible) ASSERT_TRUE(has_backend(table, packet, backend));
    const Backend any{random_.address(packet.source.family), random_.one_of(kPorts)};
    ASSERT_EQ(has_backend(table, packet, any), contains(want.eligible, any));
  }

  Random random_{kSeed};
  unsigned seen_[4] = {};
};

TEST_F(ServiceOracle, AgreesWithTheCompiledTable) {
  for (unsigned round = 0; round < kRounds; ++round) {
    const std::vector<ServiceSpec> specs = random_.services();
    std::vector<std::shared_ptr<const Service>> services;
    for (const ServiceSpec& spec : specs) {
      const auto service = build_service(spec);
      ASSERT_TRUE(service.ok()) << service.error().message;
      services.push_back(*service);
    }
    const auto table = ServiceTable::build(services);
    ASSERT_TRUE(table.ok()) << table.error().message;
    for (unsigned i = 0; i < kPacketsPerRound; ++i) {
      const Packet packet = random_.packet(specs);
      compare(**table, specs, packet);
      if (HasFatalFailure()) {
        FAIL() << "round " << round << ": " << packet.source.to_string() << " -> "
               << frontend_text(packet.destination, packet.protocol, packet.port) << " from kind "
               << static_cast<int>(packet.from);
      }
    }
  }
  for (const unsigned count : seen_) EXPECT_GT(count, kRounds * kPacketsPerRound / 100) << "every match is met";
}

}  // namespace
}  // namespace millrace::nat
