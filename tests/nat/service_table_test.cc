#include "nat/service_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "nat/maglev.h"
#include "net/flow_key.h"
#include "tests/nat/service_builder.h"

namespace millrace::nat {
namespace {

using Services = std::vector<std::shared_ptr<const Service>>;
using Table = std::shared_ptr<const ServiceTable>;

std::shared_ptr<const Service> build(const ServiceSpec& spec) {
  auto service = build_service(spec);
  EXPECT_TRUE(service.ok()) << service.error().message;
  return *service;
}

Table table_of(const std::vector<ServiceSpec>& specs) {
  Services services;
  for (const ServiceSpec& spec : specs) services.push_back(build(spec));
  auto table = ServiceTable::build(services);
  EXPECT_TRUE(table.ok()) << table.error().message;
  return *table;
}

ServiceSpec web(std::vector<Backend> backends) {
  return {.name = "default/web:http",
          .backend_sets = {std::move(backends)},
          .frontends = {frontend("10.96.0.10", kTcp, 80, balance(0))}};
}

net::Ipv4 v4(const std::string& text) { return net::Ipv4::parse(text).value(); }

/// A packet to 10.96.0.10:80/tcp from a pod.
ServiceChoice choose(const Table& table, std::uint64_t flow_hash, const std::string& source = "10.244.0.1") {
  ServiceChoice choice;
  EXPECT_EQ(table->choose(v4(source), v4("10.96.0.10"), kTcp, 80, SourceKind::kPod, flow_hash, choice),
            FrontendMatch::kFound);
  return choice;
}

// --- which frontend, which rule ---

struct Row {
  const char* name;
  std::string source, destination;
  std::uint8_t protocol;
  std::uint16_t port;
  SourceKind from;
  FrontendMatch match;
  std::string says;  // "balance 10.244.0.5:8080", "balance+masquerade ...", "reject", "drop"
};

/// A ClusterIP of both families, a NodePort with local traffic policy, a load balancer with source ranges.
std::vector<ServiceSpec> cluster() {
  ServiceSpec spec;
  spec.name = "default/web:http";
  spec.backend_sets = {{backend("10.244.0.5", 8080)}, {backend("fd00:244::5", 8080)}, {}};
  spec.frontends = {
      frontend("10.96.0.10", kTcp, 80, balance(0), balance(0, true), balance(0, true)),
      frontend("fd00:96::10", kTcp, 80, balance(1), balance(1, true), balance(1, true)),
      frontend("192.0.2.1", kTcp, 30080, balance(0), balance(0, true), drop()),
      frontend("203.0.113.7", kTcp, 80, balance(0)),
      frontend("2001:db8::7", kTcp, 80, balance(1)),
  };
  spec.frontends[3].source_ranges = {prefix("198.51.100.0/24"), prefix("198.51.100.128/25"), prefix("2001:db8::/32")};
  spec.frontends[4].source_ranges = {prefix("198.51.100.0/24")};
  ServiceSpec empty;
  empty.name = "default/empty";
  empty.backend_sets = {{}};
  empty.frontends = {frontend("10.96.0.11", kUdp, 53, balance(0, true), reject(), drop())};
  return {spec, empty};
}

using enum FrontendMatch;
using enum SourceKind;
const Row kRows[] = {
    {"pod to ClusterIP", "10.244.0.1", "10.96.0.10", kTcp, 80, kPod, kFound, "balance 10.244.0.5:8080"},
    {"node to ClusterIP", "192.0.2.1", "10.96.0.10", kTcp, 80, kNode, kFound, "balance+masquerade 10.244.0.5:8080"},
    {"the same of IPv6", "fd00::1", "fd00:96::10", kTcp, 80, kPod, kFound, "balance fd00:244::5:8080"},
    {"external to a local NodePort", "198.51.100.1", "192.0.2.1", kTcp, 30080, kExternal, kFound, "drop"},
    {"pod to a local NodePort", "10.244.0.1", "192.0.2.1", kTcp, 30080, kPod, kFound, "balance 10.244.0.5:8080"},
    {"another port", "10.244.0.1", "10.96.0.10", kTcp, 81, kPod, kNoPort, ""},
    {"another protocol", "10.244.0.1", "10.96.0.10", kUdp, 80, kPod, kNoPort, ""},
    {"a protocol without ports", "10.244.0.1", "10.96.0.10", 1, 0, kPod, kNoPort, ""},
    {"another port of IPv6", "fd00::1", "fd00:96::10", kTcp, 81, kPod, kNoPort, ""},
    {"no frontend's address", "10.244.0.1", "10.96.0.12", kTcp, 80, kPod, kNone, ""},
    {"no frontend's IPv6 address", "fd00::1", "fd00:96::11", kTcp, 80, kPod, kNone, ""},
    {"the address zero", "10.244.0.1", "0.0.0.0", 0, 0, kPod, kNone, ""},
    {"the IPv6 address zero", "fd00::1", "::", 0, 0, kPod, kNone, ""},
    {"in range", "198.51.100.200", "203.0.113.7", kTcp, 80, kExternal, kFound, "balance 10.244.0.5:8080"},
    {"out of range", "198.51.101.1", "203.0.113.7", kTcp, 80, kExternal, kOutOfRange, "drop"},
    {"a pod out of range", "10.244.0.1", "203.0.113.7", kTcp, 80, kPod, kOutOfRange, "drop"},
    {"ranges of the other family only", "2001:db8::1", "2001:db8::7", kTcp, 80, kExternal, kOutOfRange, "drop"},
    {"no backend", "10.244.0.1", "10.96.0.11", kUdp, 53, kPod, kFound, "reject"},
    {"told to reject", "192.0.2.1", "10.96.0.11", kUdp, 53, kNode, kFound, "reject"},
    {"told to drop", "198.51.100.1", "10.96.0.11", kUdp, 53, kExternal, kFound, "drop"},
};

std::string text_of(const ServiceChoice& choice) {
  if (choice.service == nullptr) return "";
  std::string text = choice.action == FrontendAction::kBalance  ? "balance"
                     : choice.action == FrontendAction::kReject ? "reject"
                                                                : "drop";
  if (choice.masquerade) text += "+masquerade";
  if (choice.backend != nullptr) {
    text += " " + choice.backend->address.to_string() + ":" + std::to_string(choice.backend->port);
  }
  return text;
}

TEST(ServiceTable, FindsTheFrontendAndItsRuleForTheSource) {
  const Table table = table_of(cluster());
  for (const Row& row : kRows) {
    ServiceChoice choice;
    const net::IpAddress source = ip(row.source), destination = ip(row.destination);
    const FrontendMatch match =
        source.is_v4() ? table->choose(source.v4(), destination.v4(), row.protocol, row.port, row.from, 1, choice)
                       : table->choose(source.v6(), destination.v6(), row.protocol, row.port, row.from, 1, choice);
    EXPECT_EQ(match, row.match) << row.name;
    EXPECT_EQ(text_of(choice), row.says) << row.name;
  }
}

TEST(ServiceTable, WithoutServicesFindsNothing) {
  const Table table = table_of({});
  ServiceChoice choice;
  EXPECT_EQ(table->choose(v4("10.0.0.1"), v4("0.0.0.0"), 0, 0, kPod, 0, choice), kNone);
  EXPECT_FALSE(table->has_backend(v4("0.0.0.0"), 0, 0, kPod, v4("0.0.0.0"), 0));
}

TEST(ServiceTable, KnowsTheBackendsOfARule) {
  const Table table = table_of(cluster());
  const auto has = [&](const char* frontend, std::uint16_t port, SourceKind from, const char* address,
                       std::uint16_t backend_port) {
    return table->has_backend(v4(frontend), kTcp, port, from, v4(address), backend_port);
  };
  EXPECT_TRUE(has("10.96.0.10", 80, kPod, "10.244.0.5", 8080));
  EXPECT_FALSE(has("10.96.0.10", 80, kPod, "10.244.0.6", 8080)) << "another address";
  EXPECT_FALSE(has("10.96.0.10", 80, kPod, "10.244.0.5", 8081)) << "another port";
  EXPECT_FALSE(has("10.96.0.10", 81, kPod, "10.244.0.5", 8080)) << "another frontend";
  EXPECT_FALSE(has("192.0.2.1", 30080, kExternal, "10.244.0.5", 8080)) << "a rule that drops";
  EXPECT_TRUE(has("203.0.113.7", 80, kExternal, "10.244.0.5", 8080)) << "source ranges are not asked";
}

// --- which backend ---

TEST(ServiceTable, SpreadsFlowsOverTheBackends) {
  constexpr unsigned kFlows = 200'000;
  for (const unsigned count : {2u, 3u, 10u, 100u}) {
    const Table table = table_of({web(backends_v4(count))});
    // Hashes of a caller who mixes, and of one who only counts.
    for (const bool is_mixed : {true, false}) {
      std::map<const Backend*, unsigned> flows;
      for (std::uint64_t i = 0; i < kFlows; ++i) ++flows[choose(table, is_mixed ? net::mix64(i) : i).backend];
      ASSERT_EQ(flows.size(), count);
      for (const auto& [backend, hits] : flows) {
        // 1 % of the table's own, and five standard deviations of a binomial.
        const double expected = static_cast<double>(kFlows) / count;
        EXPECT_NEAR(hits, expected, 0.01 * expected + 5 * std::sqrt(expected)) << backend->address.to_string();
      }
    }
  }
}

TEST(ServiceTable, ChoosesWhateverTheOrderOfBackendsAndTheOtherServices) {
  std::vector<Backend> backends = backends_v4(37);
  const Table table = table_of({web(backends)});
  std::reverse(backends.begin(), backends.end());
  std::vector<ServiceSpec> more = cluster();
  more[0].frontends.erase(more[0].frontends.begin());
  more[0].name = "default/other";
  more.push_back(web(backends));
  const Table other = table_of(more);
  for (std::uint64_t hash = 0; hash < 5000; ++hash) {
    ASSERT_EQ(*choose(table, hash).backend, *choose(other, hash).backend);
  }
}

TEST(ServiceTable, MovesAtMostTwoPercentOfTheFlowsOfOthersWhenOneOfAHundredGoes) {
  constexpr unsigned kFlows = 100'000;
  std::vector<Backend> backends = backends_v4(100);
  const Table before = table_of({web(backends)});
  const Backend gone = backends[42];
  backends.erase(backends.begin() + 42);
  const Table after = table_of({web(backends)});
  unsigned of_others = 0, moved = 0;
  for (std::uint64_t hash = 0; hash < kFlows; ++hash) {
    const Backend was = *choose(before, hash).backend, is = *choose(after, hash).backend;
    ASSERT_NE(is, gone);
    of_others += was != gone;
    moved += was != gone && was != is;
  }
  EXPECT_LE(moved, of_others * 2 / 100);
  RecordProperty("moved_of_others", static_cast<int>(moved));
}

TEST(ServiceTable, WithAffinityChoosesByTheClientAlone) {
  ServiceSpec spec = web(backends_v4(50));
  spec.affinity_seconds = 60;
  const Table table = table_of({spec});
  std::map<const Backend*, unsigned> clients;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::string client = net::Ipv4::from_host(0x0af40000 + i).to_string();
    const Backend* backend = choose(table, 0, client).backend;
    for (const std::uint64_t hash : {1ull, 77ull, ~0ull}) ASSERT_EQ(choose(table, hash, client).backend, backend);
    ++clients[backend];
  }
  EXPECT_EQ(clients.size(), 50u) << "40 clients a backend are expected";
}

// --- what is shared, what is refused ---

TEST(ServiceTable, CountsABackendOnceInEachDistinctSet) {
  ServiceSpec spec = web(backends_v4(10));
  spec.backend_sets.push_back(backends_v4(10));
  std::reverse(spec.backend_sets[1].begin(), spec.backend_sets[1].end());
  spec.backend_sets.push_back(backends_v4(3));
  spec.backend_sets.push_back({});
  const Table table = table_of({spec});
  EXPECT_EQ(table->backend_count(), 13u);
  EXPECT_EQ(table->service_count(), 1u);
  EXPECT_EQ(table->frontend_count(), 1u);
}

TEST(ServiceTable, KeepsServicesAliveAndSharesThemWithTheNext) {
  Services services = {build(web(backends_v4(3)))};
  const std::weak_ptr<const Service> service = services[0];
  Table first = *ServiceTable::build(services), second = *ServiceTable::build(services);
  services.clear();
  const Backend* backend = choose(first, 1).backend;
  EXPECT_EQ(choose(second, 1).backend, backend) << "the same service, not a copy";
  first.reset();
  EXPECT_FALSE(service.expired());
  EXPECT_EQ(*choose(second, 1).backend, *backend);
  second.reset();
  EXPECT_TRUE(service.expired());
}

TEST(ServiceTable, GivesAServiceOneAffinityIdThroughItsChanges) {
  const auto before = build(web(backends_v4(3))), after = build(web(backends_v4(4)));
  ServiceSpec renamed = web(backends_v4(3));
  renamed.name = "default/web:https";
  EXPECT_EQ(ServiceTable::affinity_id(*before), ServiceTable::affinity_id(*after));
  EXPECT_NE(ServiceTable::affinity_id(*before), ServiceTable::affinity_id(*build(renamed)));
}

TEST(ServiceTable, RefusesAFrontendOfTwoServicesAndNamesBoth) {
  for (const char* address : {"10.96.0.10", "fd00:96::10"}) {
    ServiceSpec one, two;
    one.name = "default/one";
    two.name = "default/two";
    one.frontends = {frontend(address, kUdp, 53, reject())};
    two.frontends = {frontend(address, kTcp, 53, reject()), frontend(address, kUdp, 53, reject())};
    const auto table = ServiceTable::build({build(one), build(two)});
    ASSERT_FALSE(table.ok());
    EXPECT_EQ(table.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_EQ(table.error().message, "service default/two: frontends[1]: " + std::string(address) +
                                         " port 53/udp is a frontend of service default/one already");
  }
}

TEST(ServiceTable, RefusesANameOfTwoServices) {
  ServiceSpec other = web(backends_v4(1));
  other.frontends = {frontend("10.96.0.99", kTcp, 80, balance(0))};
  const auto table = ServiceTable::build({build(web(backends_v4(1))), build(other)});
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().code, net::ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.error().message,
            "services default/web:http and default/web:http have one name, or names of one hash");
}

TEST(ServiceTable, RefusesMoreThanItsLimits) {
  ServiceSpec wide;
  wide.name = "default/wide";
  for (unsigned port = 1; port <= kMaxFrontendsPerService; ++port) {
    wide.frontends.push_back(frontend("10.96.0.10", kTcp, static_cast<std::uint16_t>(port), reject()));
  }
  const struct {
    ServiceSpec spec;
    std::size_t times;  // the limits are looked at first, so one service may stand for many
    std::string message;
  } rows[] = {
      {web({}), kMaxServices + 1, "services: 65537 of all services are more than the limit of 65536"},
      {wide, kMaxFrontends / kMaxFrontendsPerService + 1,
       "frontends: 266240 of all services are more than the limit of 262144"},
      {web(backends_v4(kMaxBackendsPerSet)), kMaxBackends / kMaxBackendsPerSet + 1,
       "backends: 1005000 of all services are more than the limit of 1000000"},
  };
  for (const auto& row : rows) {
    const auto table = ServiceTable::build(Services(row.times, build(row.spec)));
    ASSERT_FALSE(table.ok());
    EXPECT_EQ(table.error().code, net::ErrorCode::kResourceExhausted);
    EXPECT_EQ(table.error().message, row.message);
  }
}

}  // namespace
}  // namespace millrace::nat
