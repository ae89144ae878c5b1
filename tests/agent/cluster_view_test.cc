// What the cluster's keys mean for the objects of a node: pods and nodes of others, keys that cannot be read, and what
// this node tells of its own.
#include <gtest/gtest.h>

#include "control/agent/cluster/values.h"
#include "control/agent/derived_objects.h"
#include "tests/agent/cluster_agents.h"
#include "tests/agent/memory_etcd.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;

class View : public testing::Test {
 protected:
  View() : line_(etcd_), agent_("here", line_) {
    line_.subscribe([this](const etcd::Batch& batch) { agent_.on_batch(batch); });
    line_.deliver();
  }
  ~View() override { agent_.publisher->stop(); }

  void put(const Key& key, const std::string& value) {
    etcd_.put(kTestKeys.print(key), value);
    line_.deliver();
  }
  void erase(const Key& key) {
    etcd_.erase(kTestKeys.print(key));
    line_.deliver();
  }
  void put_node(const std::string& name) {
    put(NodeKey{name}, R"({"name": ")" + name + R"(", "addresses": ["192.0.2.7"], "later": {}})");
  }
  void put_pod(const std::string& node, const std::string& pod, const std::string& address, int created = 1,
               int id = 1) {
    put(AttachmentPlace{node, fmt::format("if-{}-{}", pod, id)},
        attachment_value({.pod = {Kind::kPod, "default", pod},
                          .pod_uid = "u",
                          .id = id,
                          .created_unix_ms = static_cast<std::uint64_t>(created),
                          .addresses = {*net::IpAddress::parse(address)}}));
  }
  std::string address_of(const std::string& pod) {
    const auto addresses = agent_.pod(pod).addresses;
    return addresses.empty() ? "" : addresses[0].to_string();
  }
  /// Of the Service's derived slices: "10.244.1.2 on there ready".
  std::vector<std::string> endpoints() {
    std::vector<std::string> all;
    for (const ObjectRef& object : derived_objects(*agent_.objects, Kind::kEndpointSlice, "default")) {
      for (const kube::Endpoint& each : std::get<kube::EndpointSlice>(*object).endpoints) {
        all.push_back(fmt::format("{} on {} {}", each.addresses[0].to_string(), each.node_name,
                                  each.is_ready() ? "ready" : "not ready"));
      }
    }
    return all;
  }

  MemoryEtcd etcd_;
  MemoryLine line_;
  AgentObjects agent_;
};

TEST_F(View, pods_of_other_nodes_have_addresses_and_a_node_and_serve_while_it_is_there) {
  EXPECT_EQ(agent_.apply(service_yaml("web", "selector: {app: web}") + pod_yaml("p", "app: web")),
            "created web, created p");
  put_pod("there", "p", "10.244.1.2");
  using Texts = std::vector<std::string>;
  EXPECT_EQ(endpoints(), Texts{"10.244.1.2 on there not ready"}) << "its node never was there";
  put_node("there");
  EXPECT_EQ(endpoints(), Texts{"10.244.1.2 on there ready"});
  EXPECT_EQ(agent_.pod("p").node_name, "there");
  EXPECT_EQ(agent_.pod("p").meta.uid, "u");
  erase(NodeKey{"there"});
  EXPECT_EQ(endpoints(), Texts{"10.244.1.2 on there not ready"});
  const auto shown = agent_.objects->get(Kind::kPod, "default", "p");
  EXPECT_EQ((*shown)[0]["status"]["conditions"],
            nlohmann::json::parse(R"([{"type": "Ready", "status": "False", "reason": "NodeLost"}])"));
  put_node("there");
  EXPECT_EQ(endpoints(), Texts{"10.244.1.2 on there ready"});
  erase(AttachmentPlace{"there", "if-p-1"});
  EXPECT_EQ(endpoints(), Texts());
  EXPECT_EQ(agent_.pod("p").phase, kube::PodPhase::kPending);
}

TEST_F(View, a_pod_is_where_it_came_last_on_a_node_that_is_there) {
  put_node("a");
  put_pod("a", "p", "10.244.1.2", 5, 9);
  put_pod("a", "p", "10.244.1.3", 6, 10);
  EXPECT_EQ(address_of("p"), "10.244.1.2") << "the first of one node: the other is a further network";
  put_pod("b", "p", "10.244.2.2", 7);
  EXPECT_EQ(address_of("p"), "10.244.1.2") << "b is not there";
  put_node("b");
  EXPECT_EQ(address_of("p"), "10.244.2.2");
  erase(NodeKey{"b"});
  EXPECT_EQ(address_of("p"), "10.244.1.2");
  erase(NodeKey{"a"});
  EXPECT_EQ(address_of("p"), "10.244.2.2");
  agent_.attach("p", "10.244.0.2");
  EXPECT_EQ(address_of("p"), "10.244.0.2") << "this node is there, whatever etcd says";
  EXPECT_EQ(agent_.pod("p").node_name, "here");
  EXPECT_TRUE(agent_.pod("p").is_ready());
}

TEST_F(View, nodes_that_are_there_are_nodes_with_the_blocks_they_hold) {
  const auto node = [&](const char* name) {
    const ObjectRef found = agent_.objects->find({Kind::kNode, "", name});
    return found ? std::optional(std::get<kube::Node>(*found)) : std::nullopt;
  };
  const BlockKey block{*net::Prefix::parse("10.244.1.0/26")};
  put(block, R"({"node": "a", "state": "held"})");
  EXPECT_FALSE(node("a"));
  put_node("a");
  put_node("b");
  EXPECT_EQ(node("a")->pod_cidrs, std::vector{block.prefix});
  EXPECT_EQ(node("a")->addresses[0].ip.to_string(), "192.0.2.7");
  put(block, R"({"node": "b", "state": "held"})");
  EXPECT_TRUE(node("a")->pod_cidrs.empty());
  EXPECT_EQ(node("b")->pod_cidrs, std::vector{block.prefix});
  put(block, R"({"node": "b", "state": "empty"})");
  EXPECT_TRUE(node("b")->pod_cidrs.empty());
  erase(NodeKey{"a"});
  EXPECT_FALSE(node("a"));
  EXPECT_TRUE(node("here"));
}

TEST_F(View, what_cannot_be_read_is_left_out_and_the_one_before_stays) {
  const kube::ObjectKey web{Kind::kService, "default", "web"};
  EXPECT_EQ(agent_.apply(service_yaml("web", "selector: {v: one}")), "created web");
  const auto claims = etcd_.items();
  const std::string deep(100'000, '[');
  for (const std::string& wrong :
       {std::string("no JSON"), std::string("[]"), deep, std::string("{}"), std::string("\xff\xfe"),
        std::string(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": {}})"),
        std::string(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"later": 1}})")}) {
    put(web, wrong);
    EXPECT_EQ(agent_.view->counts().unread, 1u) << wrong.substr(0, 80);
    EXPECT_EQ(agent_.service("web").selector.at("v"), "one");
  }
  put({kube::ObjectKey{Kind::kPod, "default", "x"}}, "{}");
  put(AttachmentPlace{"there", "if0"}, R"({"pod": {"name": "x/y", "namespace": "default"}, "addresses": []})");
  put(AttachmentPlace{"there", "if1"}, R"({"pod": {"name": "x", "namespace": "default"}, "addresses": [1]})");
  EXPECT_EQ(agent_.view->counts().unread, 4u);
  EXPECT_EQ(agent_.objects->find({Kind::kPod, "default", "x"}), nullptr);
  // Who applies it again puts it right.
  EXPECT_EQ(agent_.apply(service_yaml("web", "selector: {v: two}")), "configured web");
  EXPECT_EQ(agent_.apply(pod_yaml("x", "a: b")), "created x");
  EXPECT_EQ(agent_.view->counts().unread, 2u);
  erase(AttachmentPlace{"there", "if0"});
  put_pod("there", "x", "10.244.1.9");
  EXPECT_EQ(agent_.view->counts().unread, 1u);
  expect_claims_of_services(etcd_.items());
}

/// A Service of a later version: nobody here can read it, and its address and port are its own all the same.
TEST_F(View, the_claims_of_a_service_that_cannot_be_read_are_kept) {
  put(kube::ObjectKey{Kind::kService, "default", "later"}, R"({"apiVersion": "v9"})");
  put(NodePortKey{30004}, "default/later");
  put(ClusterIpKey{*net::IpAddress::parse("10.96.0.9")}, "default/later");
  EXPECT_EQ(agent_.apply(service_yaml("a", "type: NodePort", "port: 80, nodePort: 30004")),
            "service/default/a: spec.ports[0].nodePort: 30004 is in use by service default/later");
  EXPECT_EQ(agent_.apply(service_yaml("a", "clusterIP: 10.96.0.9")),
            "service/default/a: spec.clusterIP: 10.96.0.9 is in use by service default/later");
  std::string all;
  for (int i = 0; i < 9; ++i) all += service_yaml(fmt::format("s{}", i), "type: NodePort");
  EXPECT_EQ(agent_.apply(all).substr(0, 10), "created s0") << "nine of the ten ports are free";
  EXPECT_EQ(agent_.apply(service_yaml("last", "type: NodePort")),
            "service/default/last: spec.ports: every port of services.nodePortRange 30000-30009 is in use");
  erase(kube::ObjectKey{Kind::kService, "default", "later"});
  erase(NodePortKey{30004});
  EXPECT_EQ(agent_.apply(service_yaml("last", "type: NodePort")), "created last");
}

/// Somebody deleted a Service with etcdctl: its claims are left, and are whoever's wants them.
TEST_F(View, claims_of_nobody_are_free) {
  put(NodePortKey{30004}, "default/gone");
  put(NodePortKey{30005}, "nonsense");
  EXPECT_EQ(agent_.apply(service_yaml("a", "type: NodePort", "port: 80, nodePort: 30004")), "created a");
  EXPECT_EQ(agent_.apply(service_yaml("b", "type: NodePort", "port: 80, nodePort: 30005")), "created b");
  expect_claims_of_services(etcd_.items());
}

TEST_F(View, an_address_that_two_nodes_give_away_is_counted_while_they_do) {
  put_pod("a", "p", "10.244.1.2");
  put_pod("a", "q", "10.244.1.3");
  EXPECT_EQ(agent_.view->counts().addresses_of_two, 0u);
  put_pod("b", "r", "10.244.1.2");
  put_pod("c", "s", "10.244.1.2");
  EXPECT_EQ(agent_.view->counts().addresses_of_two, 1u);
  erase(AttachmentPlace{"b", "if-r-1"});
  EXPECT_EQ(agent_.view->counts().addresses_of_two, 1u);
  put_pod("c", "s", "10.244.1.4");
  EXPECT_EQ(agent_.view->counts().addresses_of_two, 0u);
}

/// Waits, with the line told what is new, until `is_so`.
bool eventually(MemoryLine& line, const std::function<bool()>& is_so) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    line.deliver();
    std::this_thread::yield();
  }
  return true;
}

TEST_F(View, this_nodes_pods_are_told_to_the_cluster_and_only_its_own_keys_are_touched) {
  put(AttachmentPlace{"here", "if-former"}, "{}");
  put(AttachmentPlace{"here2", "if-former"}, "{}");
  agent_.attach("p", "10.244.0.2");
  agent_.publisher->start();
  const auto texts = [&] {
    std::vector<std::string> keys;
    for (const auto& [key, item] : etcd_.items()) keys.push_back(key);
    return keys;
  };
  using Texts = std::vector<std::string>;
  EXPECT_TRUE(eventually(line_, [&] {
    return texts() == Texts{"/m/attachments/here/if-p", "/m/attachments/here2/if-former"};
  }));
  const auto read = parse_attachment_value(etcd_.items().at("/m/attachments/here/if-p").value);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->pod, (kube::ObjectKey{Kind::kPod, "default", "p"}));
  EXPECT_EQ(read->addresses[0].to_string(), "10.244.0.2");
  // Whoever takes it away, or writes something else there: it is put right.
  erase(AttachmentPlace{"here", "if-p"});
  EXPECT_TRUE(eventually(line_, [&] { return etcd_.items().contains("/m/attachments/here/if-p"); }));
  agent_.detach("p");
  EXPECT_TRUE(eventually(line_, [&] { return texts() == Texts{"/m/attachments/here2/if-former"}; }));
  EXPECT_TRUE(eventually(line_, [&] { return agent_.publisher->status().pending == 0; }));
}

TEST_F(View, what_comes_and_goes_while_etcd_is_away_is_told_when_it_is_back) {
  agent_.publisher->start();
  line_.is_away = true;
  agent_.attach("p", "10.244.0.2");
  agent_.attach("q", "10.244.0.3");
  EXPECT_TRUE(eventually(line_, [&] { return !agent_.publisher->status().message.empty(); }));
  EXPECT_EQ(agent_.publisher->status().pending, 2u);
  EXPECT_EQ(address_of("p"), "10.244.0.2") << "here it works";
  agent_.detach("q");
  line_.is_away = false;
  EXPECT_TRUE(eventually(line_, [&] { return etcd_.items().contains("/m/attachments/here/if-p"); }));
  EXPECT_EQ(etcd_.items().size(), 1u);
}

}  // namespace
}  // namespace millrace::control::agent::cluster
