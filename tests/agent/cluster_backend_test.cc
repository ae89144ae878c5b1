// Objects of a cluster: whoever is first has it, the others see it and allocate again; nothing is told that is not so.
#include <gtest/gtest.h>

#include "tests/agent/cluster_agents.h"
#include "tests/agent/memory_etcd.h"

namespace millrace::control::agent::cluster {
namespace {

using kube::Kind;

/// An agent that has seen what there is when it is made.
struct Agent {
  Agent(const std::string& name, MemoryEtcd& etcd, ServiceRanges ranges = test_ranges())
      : line(etcd), agent(name, line, std::move(ranges)) {
    line.subscribe([this](const etcd::Batch& batch) { agent.on_batch(batch); });
    line.deliver();
  }
  AgentObjects* operator->() { return &agent; }

  MemoryLine line;
  AgentObjects agent;
};

class ClusterObjects : public testing::Test {
 protected:
  ~ClusterObjects() override { expect_claims_of_services(etcd_.items()); }
  MemoryEtcd etcd_;
};

TEST_F(ClusterObjects, what_is_applied_on_one_node_is_on_all_with_the_same_addresses) {
  Agent a("a", etcd_), b("b", etcd_);
  EXPECT_EQ(a->apply(service_yaml("web", "type: NodePort, selector: {app: web}") + pod_yaml("p", "app: web")),
            "created web, created p");
  EXPECT_EQ(a->service("web").cluster_ips.size(), 1u) << "in force here before it is answered";
  EXPECT_TRUE(b->service("web").cluster_ips.empty()) << "not told yet";
  b.line.deliver();
  EXPECT_EQ(a->shown().size(), b->shown().size());
  EXPECT_EQ(b->service("web").cluster_ips, a->service("web").cluster_ips);
  EXPECT_EQ(b->service("web").ports, a->service("web").ports);
  EXPECT_EQ(b->apply(service_yaml("web", "type: NodePort, selector: {app: web}")), "unchanged web");
  EXPECT_EQ(b->remove({{Kind::kService, "default", "web"}}), "");
  a.line.deliver();
  EXPECT_EQ(a->objects->find({Kind::kService, "default", "web"}), nullptr);
  EXPECT_EQ(a->remove({{Kind::kService, "default", "web"}}), "service/default/web: is not there");
  EXPECT_EQ(etcd_.items().size(), 1u) << "the pod: its claims went with the service";
}

TEST_F(ClusterObjects, of_two_who_want_one_node_port_one_has_it) {
  Agent a("a", etcd_), b("b", etcd_);
  EXPECT_EQ(a->apply(service_yaml("first", "type: NodePort", "port: 80, nodePort: 30005")), "created first");
  EXPECT_EQ(b->apply(service_yaml("second", "type: NodePort", "port: 80, nodePort: 30005")),
            "service/default/second: spec.ports[0].nodePort: 30005 is in use by service default/first");
  EXPECT_EQ(b->service("first").ports[0].node_port, 30005) << "it has seen who was first";
}

TEST_F(ClusterObjects, of_two_who_are_given_the_same_one_gets_another) {
  ServiceRanges two = test_ranges();
  two.ipv4 = *net::Prefix::parse("10.96.0.0/30");
  two.last_node_port = 30001;
  Agent a("a", etcd_, two), b("b", etcd_, two), c("c", etcd_, two);
  EXPECT_EQ(a->apply(service_yaml("web", "type: NodePort")), "created web");
  EXPECT_EQ(b->apply(service_yaml("other", "type: NodePort")), "created other");
  EXPECT_NE(b->service("other").cluster_ips, a->service("web").cluster_ips);
  EXPECT_NE(b->service("other").ports[0].node_port, a->service("web").ports[0].node_port);
  EXPECT_EQ(c->apply(service_yaml("third")),
            "service/default/third: spec.clusterIP: every address of services.ipv4 10.96.0.0/30 is in use");
}

TEST_F(ClusterObjects, of_two_who_change_one_object_the_later_sees_the_earlier) {
  Agent a("a", etcd_), b("b", etcd_);
  EXPECT_EQ(a->apply(service_yaml("web")), "created web");
  b.line.deliver();
  // While b's transaction is on its way, a's comes first.
  b.line.before_txn = [&] { EXPECT_EQ(a->apply(service_yaml("web", "selector: {v: a}")), "configured web"); };
  EXPECT_EQ(b->apply(service_yaml("web", "selector: {v: b}")), "configured web");
  EXPECT_EQ(b->service("web").selector.at("v"), "b");
  b.line.before_txn = [&] { EXPECT_EQ(a->remove({{Kind::kService, "default", "web"}}), ""); };
  a.line.deliver();
  EXPECT_EQ(b->remove({{Kind::kService, "default", "web"}}), "service/default/web: is not there");
}

TEST_F(ClusterObjects, who_is_never_first_is_told_so) {
  Agent a("a", etcd_), b("b", etcd_);
  int changes = 0;
  std::function<void()> other = [&] {
    EXPECT_EQ(a->apply(service_yaml("web", fmt::format("selector: {{v: a{}}}", changes++))).substr(0, 1), "c");
    b.line.before_txn = other;
  };
  b.line.before_txn = other;
  EXPECT_EQ(b->apply(service_yaml("web")), "etcd: others changed the same objects 16 times in a row; try again");
  EXPECT_EQ(changes, 16);
}

TEST_F(ClusterObjects, with_etcd_away_nothing_changes_and_the_error_names_it) {
  Agent a("a", etcd_);
  EXPECT_EQ(a->apply(service_yaml("web")), "created web");
  const auto before = a->shown();
  a.line.is_away = true;
  EXPECT_EQ(a->apply(service_yaml("db")), "etcd: http://10.0.0.1:2379: connection refused");
  EXPECT_EQ(a->remove({{Kind::kService, "default", "web"}}), "etcd: http://10.0.0.1:2379: connection refused");
  EXPECT_EQ(a->apply(service_yaml("web")), "unchanged web") << "there is nothing to write";
  EXPECT_EQ(a->shown(), before);
}

TEST_F(ClusterObjects, an_answer_that_is_lost_is_asked_for) {
  Agent a("a", etcd_);
  struct Row {
    const char* name;
    int lost_requests, lost_answers;
    std::string told;
    bool is_there;
  };
  const std::string unknown =
      "etcd: http://10.0.0.1:2379 did not answer; whether it was done is not known: see what is in force when etcd "
      "answers again";
  const Row rows[] = {{"a", 0, 0, "created a", true}, {"b", 1, 0, "created b", true}, {"c", 0, 1, "created c", true},
                      {"d", 2, 0, unknown, false},    {"e", 0, 2, unknown, true},     {"f", 1, 1, unknown, true}};
  for (const Row& row : rows) {
    a.line.lost_requests = row.lost_requests;
    a.line.lost_answers = row.lost_answers;
    EXPECT_EQ(a->apply(service_yaml(row.name, "type: NodePort")), row.told) << row.name;
    a.line.deliver();
    EXPECT_EQ(a->objects->find({Kind::kService, "default", row.name}) != nullptr, row.is_there) << row.name;
  }
  a.line.lost_answers = 1;
  EXPECT_EQ(a->remove({{Kind::kService, "default", "a"}}), "");
  EXPECT_EQ(a->objects->find({Kind::kService, "default", "a"}), nullptr);
}

TEST_F(ClusterObjects, what_this_node_cannot_see_is_not_said_to_be_in_force) {
  Agent a("a", etcd_);
  a.line.is_deaf = true;
  EXPECT_EQ(a->apply(service_yaml("web")),
            "etcd has it as revision 2, but it did not come to this node within 10 s: it comes when this node follows "
            "etcd again; of this request are done: service/default/web");
}

TEST_F(ClusterObjects, services_pass_ports_on_to_one_another_in_one_step) {
  Agent a("a", etcd_), b("b", etcd_);
  const auto port = [](int number) { return fmt::format("port: 80, nodePort: {}", number); };
  EXPECT_EQ(
      a->apply(service_yaml("x", "type: NodePort", port(30001)) + service_yaml("y", "type: NodePort", port(30002)) +
               service_yaml("z", "type: NodePort", port(30003))),
      "created x, created y, created z");
  const std::int64_t before = etcd_.revision();
  EXPECT_EQ(
      a->apply(service_yaml("x", "type: NodePort", port(30002)) + service_yaml("y", "type: NodePort", port(30003)) +
               service_yaml("z", "type: NodePort", port(30004))),
      "configured x, configured y, configured z");
  EXPECT_EQ(etcd_.revision(), before + 1);
  EXPECT_EQ(etcd_.items().at("/m/claims/nodeport/30003").value, "default/y");
  EXPECT_FALSE(etcd_.items().contains("/m/claims/nodeport/30001"));
}

std::string large_request(int services) {
  std::string text;
  for (int i = 0; i < services; ++i) {
    text += fmt::format(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{0}, namespace: big}}\nspec: {{ports: [{{port: "
        "80}}]}}\n"
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{0}, namespace: big}}\nspec: {{containers: [{{name: "
        "c}}]}}\n"
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: n{0}, namespace: big}}\n"
        "spec: {{podSelector: {{}}}}\n",
        i);
  }
  return text + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: big}\n";
}

ServiceRanges wide_ranges() {
  ServiceRanges wide = test_ranges();
  wide.ipv4 = *net::Prefix::parse("10.96.0.0/20");
  return wide;
}

TEST_F(ClusterObjects, a_large_request_is_whole_or_says_what_is_done) {
  Agent a("a", etcd_, wide_ranges());
  EXPECT_EQ(a->apply(large_request(200)).substr(0, 10), "created s0");
  EXPECT_EQ(a->objects->list(Kind::kService).size(), 200u);
  EXPECT_GT(a.line.txns, 5);
  // Namespace, policies, pods, services: what lies in something or is judged by it comes later.
  std::vector<Kind> order;
  for (const etcd::Batch& batch : etcd_.history(1)) {
    std::set<Kind> kinds;
    for (const etcd::Change& change : batch.changes) {
      const auto key = kTestKeys.parse(change.key);
      if (const auto* object = std::get_if<kube::ObjectKey>(&*key)) kinds.insert(object->kind);
    }
    for (const Kind kind : {Kind::kNamespace, Kind::kNetworkPolicy, Kind::kPod, Kind::kService}) {
      if (kinds.contains(kind)) order.push_back(kind);
    }
  }
  EXPECT_EQ(order.front(), Kind::kNamespace);
  EXPECT_LT(std::ranges::find(order.rbegin(), order.rend(), Kind::kPod).base() - order.begin(),
            std::ranges::find(order.rbegin(), order.rend(), Kind::kService).base() - order.begin());
  EXPECT_LE(std::ranges::find(order.rbegin(), order.rend(), Kind::kNetworkPolicy).base() - order.begin() - 1,
            std::ranges::find(order, Kind::kPod) - order.begin());
}

TEST_F(ClusterObjects, a_request_that_ends_half_way_can_be_made_again) {
  Agent a("a", etcd_, wide_ranges());
  a.line.before_txn = [&] { a.line.before_txn = [&] { a.line.is_away = true; }; };
  const std::string told = a->apply(large_request(100));
  EXPECT_EQ(told.find("etcd: http://10.0.0.1:2379: connection refused; of this request are done: namespace/big, "), 0u)
      << told;
  EXPECT_NE(told.find(" and "), std::string::npos) << told;
  a.line.is_away = false;
  const std::string again = a->apply(large_request(100));
  EXPECT_NE(again.find("unchanged big"), std::string::npos) << again;
  EXPECT_NE(again.find("created s99"), std::string::npos) << again;
}

TEST_F(ClusterObjects, a_race_in_the_middle_of_a_large_request_loses_nothing) {
  Agent a("a", etcd_, wide_ranges()), b("b", etcd_, wide_ranges());
  a.line.before_txn = [&] {
    a.line.before_txn = [&] { EXPECT_EQ(b->apply(large_request(3)).substr(0, 10), "created s0"); };
  };
  const std::string told = a->apply(large_request(100));
  EXPECT_EQ(told.substr(0, 10), "unchanged ") << "s0 is b's: " << told;
  EXPECT_NE(told.find("created big"), std::string::npos) << "what was done before the race is told as what was done";
  EXPECT_EQ(a->objects->list(Kind::kService).size(), 100u);
}

}  // namespace
}  // namespace millrace::control::agent::cluster
