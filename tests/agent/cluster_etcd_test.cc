// Objects of several agents over a real etcd: they see the same, also after it was killed, and know it without it.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "control/agent/cluster/cluster_objects.h"
#include "tests/agent/cluster_agents.h"
#include "tests/etcd/server.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;

constexpr std::chrono::seconds kLong{60};

bool eventually(const std::function<bool()>& is_so) {
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// The objects' part of an agent, as agent.cc puts it together.
class Node {
 public:
  Node(const std::string& name, const etcd::Options& etcd, const std::string& directory) : name_(name) {
    store_ = *Store::open(directory);
    auto options = etcd;
    options.timeout = std::chrono::seconds(2);
    link = *ClusterLink::open({.etcd = options,
                               .prefix = kTestKeys.prefix(),
                               .cache_file = directory + "/cluster.db",
                               .times = {.silence = std::chrono::milliseconds(1000),
                                         .answer = std::chrono::milliseconds(1000),
                                         .first_backoff = std::chrono::milliseconds(20),
                                         .last_backoff = std::chrono::milliseconds(200)}});
    kube::Node self;
    self.meta.name = name;
    cluster = *ClusterObjects::open(*link, *store_, test_ranges(), self);
    link->start();
    cluster->start();
    // What its lease would do; without etcd it is what was there the last time.
    (void)link->txn({{}, {{kTestKeys.print(NodeKey{name}), "{}", 0}}, {}, {}});
  }
  ~Node() {
    cluster->stop();
    link->stop();
  }

  net::Result<std::vector<Applied>> apply(const std::string& text) {
    return cluster->objects().apply(std::move(kube::parse_manifests(text, "m.yaml")->objects), false);
  }
  /// But for the node itself, which each sees on its own.
  std::vector<std::string> shown() const {
    std::vector<std::string> all;
    for (const Kind kind : kube::kKinds) {
      if (kind == Kind::kNode) continue;
      const auto got = cluster->objects().get(kind, "", "");
      for (const auto& json : *got) all.push_back(json.dump());
    }
    return all;
  }
  void attach(const std::string& pod, const std::string& address) {
    Attachment attachment;
    attachment.key = {"net", pod, "eth0"};
    attachment.pod_namespace = "default";
    attachment.pod_name = pod;
    attachment.host_interface = "if-" + pod;
    const auto begun = store_->begin_add(
        attachment, {.blocks = nullptr, .wanted = {}, .delegated = {*net::IpAddress::parse(address)}});
    ASSERT_TRUE(begun.ok() && store_->set_state(begun->id, AttachmentState::kActive).ok());
    ASSERT_TRUE(cluster->objects().note_attachments().ok());
  }
  std::string address_of(const std::string& pod) const {
    const ObjectRef found = cluster->objects().find({Kind::kPod, "default", pod});
    if (!found || std::get<kube::Pod>(*found).addresses.empty()) return "";
    return std::get<kube::Pod>(*found).addresses[0].to_string();
  }

  std::unique_ptr<ClusterLink> link;
  std::unique_ptr<ClusterObjects> cluster;

 private:
  const std::string name_;
  std::unique_ptr<Store> store_;
};

class ClusterEtcd : public testing::Test {
 protected:
  void SetUp() override {
    server_ = etcd::start_server();
    if (!server_) GTEST_SKIP();
  }
  std::unique_ptr<Node> node(const std::string& name) {
    return std::make_unique<Node>(name, server_->options(), directory_.path() + "/" + name);
  }
  std::map<std::string, etcd::KeyValue> items() {
    std::map<std::string, etcd::KeyValue> all;
    const auto client = etcd::open(server_->options());
    const auto range = client->range(kTestKeys.prefix(), 0, 0);
    EXPECT_TRUE(range.ok()) << range.error().message;
    for (const etcd::KeyValue& item : range->items) all[item.key] = item;
    return all;
  }
  const ScratchDirectory directory_;
  std::unique_ptr<etcd::Server> server_;
};

TEST_F(ClusterEtcd, what_one_applies_all_have_and_pods_have_their_addresses_everywhere) {
  auto a = node("a"), b = node("b"), c = node("c");
  ASSERT_TRUE(a->link->wait_until_current(kLong));
  ASSERT_TRUE(a->apply(service_yaml("web", "type: NodePort, selector: {app: web}") + pod_yaml("p", "app: web")).ok());
  EXPECT_NE(a->cluster->objects().find({Kind::kService, "default", "web"}), nullptr) << "here before the answer";
  b->attach("p", "10.244.1.2");
  EXPECT_TRUE(eventually([&] { return c->address_of("p") == "10.244.1.2" && a->shown() == c->shown(); }));
  expect_claims_of_services(items());
}

TEST_F(ClusterEtcd, eight_who_want_one_port_at_once_and_eight_who_are_given_one) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 8; ++i) nodes.push_back(node(fmt::format("n{}", i)));
  for (const auto& each : nodes) ASSERT_TRUE(each->link->wait_until_current(kLong));
  std::atomic<int> won = 0, refused = 0, given = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto one =
          nodes[i]->apply(service_yaml(fmt::format("same{}", i), "type: NodePort", "port: 80, nodePort: 30003"));
      won += one ? 1 : 0;
      refused += !one && one.error().code == net::ErrorCode::kAlreadyExists ? 1 : 0;
      given += nodes[i]->apply(service_yaml(fmt::format("free{}", i), "type: NodePort")) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, 7);
  EXPECT_EQ(given, 8);
  expect_claims_of_services(items());
}

TEST_F(ClusterEtcd, without_etcd_the_cluster_is_known_and_pods_come_and_it_is_told_later) {
  {
    auto a = node("a"), b = node("b");
    ASSERT_TRUE(a->apply(service_yaml("web") + pod_yaml("p", "app: web")).ok());
    b->attach("p", "10.244.1.2");
    ASSERT_TRUE(eventually([&] { return a->address_of("p") == "10.244.1.2"; }));
  }
  server_->kill();
  auto a = node("a");
  EXPECT_EQ(a->address_of("p"), "10.244.1.2");
  EXPECT_NE(a->cluster->objects().find({Kind::kService, "default", "web"}), nullptr);
  const auto refused = a->apply(service_yaml("new"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find(server_->url()), std::string::npos) << refused.error().message;
  a->attach("q", "10.244.0.2");
  EXPECT_EQ(a->address_of("q"), "10.244.0.2");
  server_->start();
  server_->wait_ready();
  ASSERT_TRUE(a->link->wait_until_current(kLong));
  ASSERT_TRUE(a->apply(service_yaml("new")).ok());
  auto b = node("b");
  EXPECT_TRUE(eventually([&] { return b->address_of("q") == "10.244.0.2" && a->shown() == b->shown(); }));
}

/// Three at once, each on a thread of its own, while etcd is killed and comes back.
TEST_F(ClusterEtcd, three_who_change_at_random_while_etcd_is_killed_end_with_one_view_and_it_is_etcds) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (const char* name : {"a", "b", "c"}) nodes.push_back(node(name));
  std::atomic<bool> is_over = false;
  std::atomic<int> done = 0, away = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      const auto below = [&](std::uint32_t count) { return static_cast<std::uint32_t>(random() % count); };
      while (!is_over) {
        const std::string name = fmt::format("n{}", below(6));
        net::Result<void> result;
        if (below(4) == 0) {
          result = nodes[i]->cluster->objects().remove({{below(2) == 0 ? Kind::kService : Kind::kPod, "default", name}},
                                                       false);
        } else {
          const std::string text =
              below(3) == 0
                  ? pod_yaml(name, fmt::format("v: v{}", below(5)))
                  : service_yaml(name, fmt::format("type: NodePort, selector: {{v: v{}}}", below(3)),
                                 below(2) == 0 ? "port: 80" : fmt::format("port: 80, nodePort: {}", 30000 + below(10)));
          auto applied = nodes[i]->apply(text);
          if (!applied) result = applied.error();
        }
        done += result ? 1 : 0;
        away += !result && result.error().code == net::ErrorCode::kUnavailable ? 1 : 0;
      }
    });
  }
  for (int kills = 0; kills < 3; ++kills) {
    const int before = done, refused = away;
    EXPECT_TRUE(eventually([&] { return done > before + 30; }));
    server_->kill();
    EXPECT_TRUE(eventually([&] { return away > refused; }));
    server_->start();
    server_->wait_ready();
  }
  const int before = done;
  EXPECT_TRUE(eventually([&] { return done > before + 30; }));
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& each : nodes) ASSERT_TRUE(each->link->wait_until_current(kLong));
  const auto all = items();
  expect_claims_of_services(all);
  auto fresh = node("fresh");
  ASSERT_TRUE(fresh->link->wait_until_current(kLong));
  for (const auto& each : nodes) EXPECT_EQ(each->shown(), fresh->shown());
  EXPECT_GT(fresh->shown().size(), 3u);
}

}  // namespace
}  // namespace millrace::control::agent::cluster
