// Kubernetes objects in, what the switch is told out: KUBERNETES.md section 3, row by row.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "tests/agent/cluster.h"

namespace millrace::control::agent::services {
namespace {

using Lines = std::vector<std::string>;
using Change = std::function<void(kube::Service&)>;

const Node kHere{.name = "here", .zone = "z1", .addresses = {ip("192.0.2.1"), ip("2001:db8::1")}};

struct Row {
  std::string name;
  kube::Service service;
  std::vector<kube::EndpointSlice> slices;
  Lines want;
};

kube::Service with(kube::Service service, const Change& change) {
  change(service);
  return service;
}

/// ClusterIP 10.96.0.1:80, node port 30500.
kube::Service node_port(const Change& change = [](kube::Service&) {}) {
  kube::Service service = make_service("web", {"10.96.0.1"}, {tcp_port(80, 30500)});
  service.type = kube::ServiceType::kNodePort;
  return with(service, change);
}

void external_local(kube::Service& service) { service.external_traffic_policy = kube::TrafficPolicy::kLocal; }
void internal_local(kube::Service& service) { service.internal_traffic_policy = kube::TrafficPolicy::kLocal; }

const std::vector<kube::EndpointSlice> kHereAndThere = {
    make_slice("web-1", "web", {"10.244.0.5 at here", "10.244.1.5 at there"})};
const std::vector<kube::EndpointSlice> kOnlyThere = {make_slice("web-1", "web", {"10.244.1.5 at there"})};

std::vector<Row> policy_rows() {
  const std::string both = "10.244.0.5:8080,10.244.1.5:8080";
  const std::string cluster_ip =
      fmt::format("default/web 10.96.0.1:80/tcp pod={0} node={0}+masq external={0}+masq", both);
  return {
      {"ClusterIP: a pod comes as itself, node and world as the node",
       make_service("web", {"10.96.0.1"}, {tcp_port(80)}),
       kHereAndThere,
       {cluster_ip}},
      {"node port, policy Cluster: all come as the node",
       node_port(),
       kHereAndThere,
       {cluster_ip, fmt::format("default/web 192.0.2.1:30500/tcp pod={0}+masq node={0}+masq external={0}+masq", both)}},
      {"node port, policy Local: the world reaches this node's pods as itself",
       node_port(external_local),
       kHereAndThere,
       {cluster_ip,
        fmt::format("default/web 192.0.2.1:30500/tcp pod={0} node={0}+masq external=10.244.0.5:8080", both)}},
      {"node port, policy Local, endpoints elsewhere only: the world is dropped",
       node_port(external_local),
       kOnlyThere,
       {"default/web 10.96.0.1:80/tcp pod=10.244.1.5:8080 node=10.244.1.5:8080+masq external=10.244.1.5:8080+masq",
        "default/web 192.0.2.1:30500/tcp pod=10.244.1.5:8080 node=10.244.1.5:8080+masq external=drop"}},
      {"no endpoint anywhere: reject, under Local too",
       node_port(external_local),
       {},
       {"default/web 10.96.0.1:80/tcp pod=reject node=reject external=reject",
        "default/web 192.0.2.1:30500/tcp pod=reject node=reject external=reject"}},
      {"internalTrafficPolicy Local: this node's endpoints alone",
       with(make_service("web", {"10.96.0.1"}, {tcp_port(80)}), internal_local),
       kHereAndThere,
       {"default/web 10.96.0.1:80/tcp pod=10.244.0.5:8080 node=10.244.0.5:8080+masq external=10.244.0.5:8080+masq"}},
      {"internalTrafficPolicy Local, endpoints elsewhere only: drop",
       with(make_service("web", {"10.96.0.1"}, {tcp_port(80)}), internal_local),
       kOnlyThere,
       {"default/web 10.96.0.1:80/tcp pod=drop node=drop external=drop"}},
  };
}

std::vector<Row> address_rows() {
  return {
      {"external IPs, load balancer addresses and their ranges",
       with(make_service("web", {"10.96.0.1"}, {tcp_port(80)}),
            [](kube::Service& service) {
              service.type = kube::ServiceType::kLoadBalancer;
              service.external_ips = {ip("198.51.100.9"), ip("203.0.113.7")};
              service.load_balancer_ingress = {ip("203.0.113.7")};
              service.load_balancer_ip = ip("203.0.113.8");
              service.load_balancer_source_ranges = {net::Prefix::parse("192.0.2.0/24").value()};
            }),
       {make_slice("web-1", "web", {"10.244.0.5 at here"})},
       {"default/web 10.96.0.1:80/tcp pod=10.244.0.5:8080 node=10.244.0.5:8080+masq external=10.244.0.5:8080+masq",
        "default/web 203.0.113.7:80/tcp pod=10.244.0.5:8080+masq node=10.244.0.5:8080+masq "
        "external=10.244.0.5:8080+masq ranges=1",
        "default/web 203.0.113.8:80/tcp pod=10.244.0.5:8080+masq node=10.244.0.5:8080+masq "
        "external=10.244.0.5:8080+masq ranges=1",
        "default/web 198.51.100.9:80/tcp pod=10.244.0.5:8080+masq node=10.244.0.5:8080+masq "
        "external=10.244.0.5:8080+masq"}},
      {"ranges of the other family let nobody in",
       with(make_service("web", {"10.96.0.1"}, {tcp_port(80)}),
            [](kube::Service& service) {
              service.type = kube::ServiceType::kLoadBalancer;
              service.load_balancer_ingress = {ip("203.0.113.7")};
              service.load_balancer_source_ranges = {net::Prefix::parse("2001:db8::/32").value()};
            }),
       {make_slice("web-1", "web", {"10.244.0.5 at here"})},
       {"default/web 10.96.0.1:80/tcp pod=10.244.0.5:8080 node=10.244.0.5:8080+masq external=10.244.0.5:8080+masq",
        "default/web 203.0.113.7:80/tcp pod=drop node=drop external=drop"}},
      {"session affinity",
       with(make_service("web", {"10.96.0.1"}, {tcp_port(80)}),
            [](kube::Service& service) { service.session_affinity_seconds = 10800; }),
       {make_slice("web-1", "web", {"10.244.0.5 at here"})},
       {"default/web 10.96.0.1:80/tcp pod=10.244.0.5:8080 node=10.244.0.5:8080+masq external=10.244.0.5:8080+masq "
        "affinity=10800"}},
      {"dual stack: a family's endpoints behind its own addresses",
       with(make_service("web", {"10.96.0.1", "fd00:96::1"}, {tcp_port(80, 30500)}),
            [](kube::Service& service) { service.type = kube::ServiceType::kNodePort; }),
       {make_slice("web-4", "web", {"10.244.0.5 at here"}), make_slice("web-6", "web", {"fd00:244::5 at here"})},
       {"default/web 10.96.0.1:80/tcp pod=10.244.0.5:8080 node=10.244.0.5:8080+masq external=10.244.0.5:8080+masq",
        "default/web 192.0.2.1:30500/tcp pod=10.244.0.5:8080+masq node=10.244.0.5:8080+masq "
        "external=10.244.0.5:8080+masq",
        "default/web [fd00:96::1]:80/tcp pod=[fd00:244::5]:8080 node=[fd00:244::5]:8080+masq "
        "external=[fd00:244::5]:8080+masq",
        "default/web [2001:db8::1]:30500/tcp pod=[fd00:244::5]:8080+masq node=[fd00:244::5]:8080+masq "
        "external=[fd00:244::5]:8080+masq"}},
  };
}

/// What a pod gets from ClusterIP 10.96.0.1:80 with these endpoints.
struct EndpointRow {
  std::string name;
  std::vector<kube::EndpointSlice> slices;
  std::string from_pod;
  kube::TrafficPolicy policy = kube::TrafficPolicy::kCluster;
};

std::vector<EndpointRow> endpoint_rows() {
  using kube::TrafficPolicy;
  const auto slice = [](const std::vector<std::string>& endpoints) {
    return std::vector{make_slice("web-1", "web", endpoints)};
  };
  return {
      {"ready ones only", slice({"10.0.0.1", "10.0.0.2 not-ready", "10.0.0.3 not-ready ending"}), "10.0.0.1:8080"},
      {"none ready: those that serve while they end",
       slice({"10.0.0.1 not-ready ending", "10.0.0.2 not-ready", "10.0.0.3 not-ready ending not-serving"}),
       "10.0.0.1:8080"},
      {"Local is decided apart: an ending one here though another is ready elsewhere",
       slice({"10.0.0.1 at here not-ready ending", "10.0.0.2 at there"}), "10.0.0.1:8080", TrafficPolicy::kLocal},
      {"slices of a service are one list, an endpoint in two is one",
       {make_slice("web-1", "web", {"10.0.0.2", "10.0.0.1 not-ready"}), make_slice("web-2", "web", {"10.0.0.1"})},
       "10.0.0.1:8080,10.0.0.2:8080"},
      {"slices of another service, port or family are not this one's",
       {make_slice("web-1", "web", {"10.0.0.1"}), make_slice("x", "other", {"10.0.0.9"}),
        make_slice("web-2", "web", {"10.0.0.8"}, 8080, "metrics"), make_slice("web-6", "web", {"fd00::1"})},
       "10.0.0.1:8080"},
      {"a slice's ports differ by slice",
       {make_slice("web-1", "web", {"10.0.0.1"}, 8080), make_slice("web-2", "web", {"10.0.0.2"}, 9090)},
       "10.0.0.1:8080,10.0.0.2:9090"},
      {"zone hints of every ready endpoint", slice({"10.0.0.1 zone=z1", "10.0.0.2 zone=z2"}), "10.0.0.1:8080"},
      {"one without hints: none count", slice({"10.0.0.1 zone=z1", "10.0.0.2"}), "10.0.0.1:8080,10.0.0.2:8080"},
      {"an endpoint that is not ready needs no hint", slice({"10.0.0.1 zone=z1", "10.0.0.2 not-ready"}),
       "10.0.0.1:8080"},
      {"no hint for this zone: none count", slice({"10.0.0.1 zone=z2", "10.0.0.2 zone=z3"}),
       "10.0.0.1:8080,10.0.0.2:8080"},
      {"node hints come before zone hints", slice({"10.0.0.1 zone=z1 node=there", "10.0.0.2 zone=z2 node=here"}),
       "10.0.0.2:8080"},
      {"hints do not narrow Local", slice({"10.0.0.1 at here zone=z2", "10.0.0.2 at there zone=z1"}), "10.0.0.1:8080",
       TrafficPolicy::kLocal},
  };
}

TEST(ServiceCompiler, compiles_policies_row_by_row) {
  std::vector<Row> rows = policy_rows();
  for (Row& row : address_rows()) rows.push_back(std::move(row));
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Cluster cluster(kHere);
    for (const auto& slice : row.slices) cluster.put(slice);
    cluster.put(row.service);
    EXPECT_EQ(cluster.step().problems, Lines{});
    EXPECT_EQ(lines_of(cluster.in_switch()), row.want);
  }
}

TEST(ServiceCompiler, chooses_endpoints_row_by_row) {
  for (const EndpointRow& row : endpoint_rows()) {
    SCOPED_TRACE(row.name);
    Cluster cluster(kHere);
    kube::Service service = make_service("web", {"10.96.0.1"}, {tcp_port(80)});
    service.internal_traffic_policy = row.policy;
    cluster.put(service);
    for (const auto& slice : row.slices) cluster.put(slice);
    cluster.step();
    ASSERT_EQ(cluster.in_switch().size(), 1u);
    const api::Service& made = cluster.in_switch().begin()->second;
    EXPECT_EQ(rule_text(made, made.frontends(0).from_pod()), row.from_pod);
  }
}

TEST(ServiceCompiler, skips_services_that_are_not_its_own) {
  const std::vector<std::pair<std::string, Change>> rows = {
      {"another proxy", [](auto& s) { s.meta.labels.emplace("service.kubernetes.io/service-proxy-name", "x"); }},
      {"labelled headless", [](auto& s) { s.meta.labels.emplace("service.kubernetes.io/headless", ""); }},
      {"clusterIP None",
       [](auto& s) {
         s.headless = true;
         s.cluster_ips.clear();
       }},
      {"ExternalName", [](auto& s) { s.type = kube::ServiceType::kExternalName; }},
  };
  for (const auto& [name, change] : rows) {
    SCOPED_TRACE(name);
    Cluster cluster(kHere);
    cluster.put(node_port());
    cluster.step();
    EXPECT_EQ(cluster.in_switch().size(), 1u);
    cluster.put(node_port(change));
    cluster.step();
    EXPECT_TRUE(cluster.in_switch().empty()) << "it was there before the change";
  }
}

TEST(ServiceCompiler, finds_pods_by_label_and_follows_them) {
  Cluster cluster(kHere);
  kube::Service service = make_service("web", {"10.96.0.1"}, {tcp_port(80)});
  service.selector = {{"app", "web"}, {"tier", "front"}};
  service.ports[0].target = {.number = 0, .name = "http"};
  cluster.put(service);
  const kube::Labels labels = {{"app", "web"}, {"tier", "front"}, {"x", "y"}};
  const auto http = [](std::uint16_t port, kube::Protocol protocol = kube::Protocol::kTcp) {
    return std::vector<kube::ContainerPort>{{.name = "http", .port = port, .protocol = protocol}};
  };
  cluster.put(make_pod("a", labels, "10.244.0.1", http(8080)));
  cluster.put(make_pod("b", labels, "10.244.0.2", http(9090)));
  cluster.put(make_pod("c", labels, "10.244.0.3"));
  cluster.put(make_pod("d", {{"app", "web"}}, "10.244.0.4", http(8080)));
  cluster.put(make_pod("e", labels, "10.244.0.6", http(53, kube::Protocol::kUdp)));
  kube::Pod elsewhere = make_pod("f", labels, "10.244.0.7", http(8080));
  elsewhere.meta.name_space = "other";
  cluster.put(elsewhere);
  const auto from_pod = [&] {
    cluster.step();
    const api::Service& made = cluster.in_switch().at("default/web");
    return rule_text(made, made.frontends(0).from_pod());
  };
  EXPECT_EQ(from_pod(), "10.244.0.1:8080,10.244.0.2:9090");
  kube::Pod ending = make_pod("a", labels, "10.244.0.1", http(8080));
  ending.meta.deleting = true;
  cluster.put(ending);
  EXPECT_EQ(from_pod(), "10.244.0.2:9090");
  cluster.remove(kube::Kind::kPod, "b");
  EXPECT_EQ(from_pod(), "10.244.0.1:8080") << "the one that ends, as there is no other";
  cluster.put(make_pod("d", labels, "10.244.0.4", http(8080)));
  EXPECT_EQ(from_pod(), "10.244.0.4:8080") << "a label is enough";
  kube::Pod over = make_pod("d", labels, "10.244.0.4", http(8080));
  over.phase = kube::PodPhase::kSucceeded;
  cluster.put(over);
  EXPECT_EQ(from_pod(), "10.244.0.1:8080");
  cluster.put(make_slice("web-1", "web", {"10.9.9.9"}));
  EXPECT_EQ(from_pod(), "10.9.9.9:8080") << "slices count alone";
  cluster.remove(kube::Kind::kEndpointSlice, "web-1");
  cluster.remove(kube::Kind::kPod, "a");
  EXPECT_EQ(from_pod(), "reject");
}

TEST(ServiceCompiler, an_address_that_two_services_want_is_the_first_ones_and_a_cluster_ip_before_all) {
  Cluster cluster(kHere);
  const auto put = [&](const std::string& name, const std::string& own, const std::string& external) {
    kube::Service service = make_service(name, {own}, {tcp_port(80)});
    service.external_ips = {ip(external)};
    cluster.put(service);
  };
  put("b", "10.96.0.2", "203.0.113.1");
  put("a", "10.96.0.1", "10.96.0.2");
  put("c", "10.96.0.3", "203.0.113.1");
  EXPECT_EQ(cluster.step().problems, (Lines{"service default/a: address 10.96.0.2 port 80 is that of service default/b",
                                            "service default/c: address 203.0.113.1 port 80 is that of service "
                                            "default/b"}));
  const auto count = [&](const std::string& name) { return cluster.in_switch().at(name).frontends_size(); };
  EXPECT_EQ(count("default/a"), 1);
  EXPECT_EQ(count("default/b"), 2);
  EXPECT_EQ(count("default/c"), 1);
  cluster.remove(kube::Kind::kService, "b");
  EXPECT_EQ(cluster.step().problems, Lines{});
  EXPECT_EQ(count("default/a"), 2) << "free again";
  EXPECT_EQ(count("default/c"), 2);
}

TEST(ServiceCompiler, sends_a_change_and_nothing_else) {
  Cluster cluster(kHere);
  cluster.put(make_service("a", {"10.96.0.1"}, {tcp_port(80, 0, "http"), tcp_port(443, 0, "tls")}));
  cluster.put(make_service("b", {"10.96.0.2"}, {tcp_port(80)}));
  EXPECT_EQ(cluster.step().upserts.size(), 3u);
  cluster.put(make_slice("a-1", "a", {"10.0.0.1"}, 8080, "http"));
  EXPECT_EQ(cluster.step().upserts.size(), 1u) << "the other port of the same service is as it was";
  cluster.put(make_slice("a-1", "a", {"10.0.0.1"}, 8080, "http"));
  EXPECT_TRUE(cluster.step().empty());
  cluster.put(make_service("a", {"10.96.0.1"}, {tcp_port(80, 0, "http")}));
  EXPECT_EQ(cluster.step().removes, Lines{"default/a:tls"});
  cluster.remove(kube::Kind::kService, "a");
  EXPECT_EQ(cluster.step().removes, Lines{"default/a:http"});
}

TEST(ServiceCompiler, counts_local_endpoints_for_the_health_check) {
  Cluster cluster(kHere);
  kube::Service service = node_port(external_local);
  service.type = kube::ServiceType::kLoadBalancer;
  service.health_check_node_port = 32000;
  cluster.put(service);
  cluster.put(make_slice("web-1", "web", {"10.0.0.1 at here", "10.0.0.2 at here not-ready ending", "10.0.0.3"}));
  cluster.step();
  const kube::ObjectKey key{kube::Kind::kService, "default", "web"};
  ASSERT_TRUE(cluster.compiler().health_checks().contains(key));
  EXPECT_EQ(cluster.compiler().health_checks().at(key), (HealthCheck{32000, 1}));
  service.external_traffic_policy = kube::TrafficPolicy::kCluster;
  cluster.put(service);
  cluster.step();
  EXPECT_TRUE(cluster.compiler().health_checks().empty());
}

TEST(ServiceCompiler, takes_what_fits_and_tells_the_rest) {
  Cluster cluster(kHere);
  kube::Service service = node_port();
  cluster.put(service);
  for (std::uint32_t slice = 0; slice < 6; ++slice) {
    std::vector<std::string> endpoints;
    for (std::uint32_t i = 0; i < 1000; ++i) {
      endpoints.push_back(net::IpAddress::from(net::Ipv4::from_host(0x0a000001 + slice * 1000 + i)).to_string());
    }
    cluster.put(make_slice(fmt::format("web-{}", slice), "web", endpoints));
  }
  const Lines problems = cluster.step().problems;
  EXPECT_EQ(problems, Lines{"service default/web has 6000 endpoints, the first 5000 are used"});
  EXPECT_EQ(cluster.in_switch().at("default/web").backend_sets(0).backends_size(), 5000);
}

/// 10 000 services with 10 endpoints each: all in under 2 s, one change in under 10 ms.
TEST(ServiceCompiler, is_quick_for_ten_thousand_services) {
  const auto ms_since = [](std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  Cluster cluster(kHere);
  const auto slice = [](std::uint32_t service, std::uint32_t version) {
    std::vector<std::string> endpoints;
    for (std::uint32_t i = 0; i < 10; ++i) {
      const net::Ipv4 address = net::Ipv4::from_host(0x0a000000 + service * 16 + i + version);
      endpoints.push_back(address.to_string() + (i % 2 == 0 ? " at here" : " at there"));
    }
    return make_slice(fmt::format("s{}-x", service), fmt::format("s{}", service), endpoints);
  };
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    kube::Service service =
        make_service(fmt::format("s{}", i), {}, {tcp_port(80, static_cast<std::uint16_t>(30000 + i))});
    service.cluster_ips = {net::IpAddress::from(net::Ipv4::from_host(0xac000000 + i))};
    service.type = kube::ServiceType::kNodePort;
    service.external_traffic_policy = kube::TrafficPolicy::kLocal;
    cluster.put(service);
    cluster.put(slice(i, 0));
  }
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(cluster.step().upserts.size(), 10'000u);
  const double all_ms = ms_since(start);
  EXPECT_TRUE(cluster.step().empty());  // frees what the first step returned, before the clock runs
  cluster.put(slice(77, 1));
  start = std::chrono::steady_clock::now();
  EXPECT_EQ(cluster.step().upserts.size(), 1u);
  const double one_ms = ms_since(start);
  RecordProperty("all_ms", std::to_string(all_ms));
  RecordProperty("one_ms", std::to_string(one_ms));
  EXPECT_LT(all_ms, 2000);
  EXPECT_LT(one_ms, 10);
}

}  // namespace
}  // namespace millrace::control::agent::services
