// A cluster of 1000 nodes, 50 000 pods and 5000 Services over a real etcd: how long the first state takes, and one
// change. The figures are printed; the limits are those of a machine that does other things, too.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/agent/cluster/cluster_objects.h"
#include "control/agent/cluster/values.h"
#include "control/agent/policies/compiler.h"
#include "control/agent/services/compiler.h"
#include "tests/agent/cluster_agents.h"
#include "tests/etcd/server.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;
using Clock = std::chrono::steady_clock;

constexpr int kNodes = 1000, kPods = 50'000, kServices = 5000;
constexpr std::chrono::seconds kFirstState{120}, kOneChange{10};  // wanted: 30 and 1

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string pod_json(int number, const std::string& tier) {
  return fmt::format(R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p{0}","namespace":"default","labels":)"
                     R"({{"app":"s{1}","tier":"{2}"}}}},"spec":{{"containers":[{{"name":"c","ports":)"
                     R"([{{"containerPort":8080,"name":"http"}}]}}]}}}})",
                     number, number % kServices, tier);
}

/// Puts all of it, a transaction of as many as there may be at once.
void generate(etcd::Client& client) {
  etcd::Txn txn;
  const auto flush = [&] {
    const auto done = client.txn(txn);
    ASSERT_TRUE(done.ok()) << done.error().message;
    txn.puts.clear();
  };
  const auto put = [&](const Key& key, std::string value) {
    txn.puts.push_back({kTestKeys.print(key), std::move(value), 0});
    if (txn.puts.size() == etcd::kTxnOperations) flush();
  };
  for (int i = 0; i < kNodes; ++i) put(NodeKey{fmt::format("node{}", i)}, R"({"addresses":["192.0.2.7"]})");
  for (int i = 0; i < kPods; ++i) {
    const kube::ObjectKey key{Kind::kPod, "default", fmt::format("p{}", i)};
    put(key, pod_json(i, "one"));
    const auto address = net::IpAddress::from(net::Ipv4::from_host(0x0a000000u + static_cast<std::uint32_t>(i)));
    put(AttachmentPlace{fmt::format("node{}", i % kNodes), fmt::format("if{}", i)},
        attachment_value({.pod = key, .pod_uid = "", .id = i + 1, .created_unix_ms = 1, .addresses = {address}}));
  }
  for (int i = 0; i < kServices; ++i) {
    const auto address = net::IpAddress::from(net::Ipv4::from_host(0x0a600001u + static_cast<std::uint32_t>(i)));
    put(kube::ObjectKey{Kind::kService, "default", fmt::format("s{}", i)},
        fmt::format(R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s{0}","namespace":"default"}},"spec":)"
                    R"({{"type":"ClusterIP","clusterIP":"{1}","clusterIPs":["{1}"],"selector":{{"app":"s{0}"}},)"
                    R"("ports":[{{"port":80,"targetPort":"http"}}]}}}})",
                    i, address.to_string()));
    put(ClusterIpKey{address}, fmt::format("default/s{}", i));
  }
  flush();
}

/// Services and policies as the keepers compile them, without a switch behind them.
class Compilers final : public ObjectGate {
 public:
  explicit Compilers(ObjectStore& objects) : services_({"here", "", {}}) {
    objects.set_gate(this);
    objects.on_change([this](const ObjectChanges& changes) {
      for (const ObjectChange& change : changes) services_.note(change);
      upserts += services_.take_changes().upserts.size();
    });
  }
  net::Result<void> check(const ObjectChanges&) override { return {}; }
  net::Result<void> follow(const ObjectChanges& changes, const std::vector<LocalPort>&) override {
    for (const ObjectChange& change : changes) policies_.note(change);
    endpoints += static_cast<std::size_t>(policies_.take_changes().upsert_endpoints_size());
    return {};
  }
  std::atomic<std::size_t> upserts = 0, endpoints = 0;

 private:
  services::Compiler services_;
  policies::Compiler policies_;
};

TEST(ClusterScale, the_first_state_and_one_change) {
  const auto server = etcd::start_server();
  if (!server) GTEST_SKIP();
  const auto client = etcd::open(server->options());
  ASSERT_NO_FATAL_FAILURE(generate(*client));
  const ScratchDirectory directory;
  const auto store = *Store::open(directory.path());
  kube::Node self;
  self.meta.name = "here";
  ServiceRanges ranges = test_ranges();
  ranges.ipv4 = *net::Prefix::parse("10.96.0.0/12");

  const auto run = [&](const char* what, const char* tier) {
    auto options = server->options();
    options.timeout = std::chrono::seconds(30);
    const auto start = Clock::now();
    auto link = *ClusterLink::open(
        {.etcd = options, .prefix = kTestKeys.prefix(), .cache_file = directory.file("cluster.db"), .times = {}});
    auto cluster = *ClusterObjects::open(*link, *store, ranges, self);
    Compilers compilers(cluster->objects());
    link->start();
    ASSERT_TRUE(link->wait_until_current(kFirstState));
    std::printf("%s: %.2f s for %zu keys\n", what, seconds_since(start), link->mirror().status().keys);
    EXPECT_EQ(cluster->objects().list(Kind::kPod).size(), static_cast<std::size_t>(kPods));
    EXPECT_EQ(compilers.endpoints, static_cast<std::size_t>(kPods));
    EXPECT_EQ(compilers.upserts, static_cast<std::size_t>(kServices));
    cluster->start();

    struct Row {
      const char* name;
      std::function<bool()> change;
    };
    const auto etcd_put = [&](const Key& key, const std::string& value) {
      const auto written = client->put({kTestKeys.print(key), value, 0});
      return written && link->wait_for_revision(*written, kOneChange);
    };
    const Row rows[] = {
        {"another node's pod has other labels",
         [&] {
           return etcd_put(kube::ObjectKey{Kind::kPod, "default", "p7"}, pod_json(7, tier));
         }},
        {"a node goes",
         [&] {
           const auto gone = client->txn({{}, {}, {{kTestKeys.print(NodeKey{"node9"})}}, {}});
           return gone && link->wait_for_revision(gone->revision, kOneChange);
         }},
        {"it is back", [&] { return etcd_put(NodeKey{"node9"}, "{}"); }},
        {"a Service is applied here",
         [&] {
           auto manifests = kube::parse_manifests(service_yaml("new", "selector: {app: s1}"), "m.yaml");
           return cluster->objects().apply(std::move(manifests->objects), false).ok();
         }},
        {"and deleted",
         [&] {
           return cluster->objects().remove({{Kind::kService, "default", "new"}}, false).ok();
         }},
    };
    for (const Row& row : rows) {
      const auto began = Clock::now();
      EXPECT_TRUE(row.change()) << row.name;
      std::printf("  %s: %.1f ms\n", row.name, 1000 * seconds_since(began));
      EXPECT_LT(seconds_since(began), std::chrono::duration<double>(kOneChange).count()) << row.name;
    }
    cluster->stop();
    link->stop();
    cluster->objects().set_gate(nullptr);
  };
  run("first start", "two");
  run("start with what was known the last time", "three");
}

}  // namespace
}  // namespace millrace::control::agent::cluster
