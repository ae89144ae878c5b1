// Each sentence of what Kubernetes expects of NetworkPolicy as rows: manifests as people write them, and who reaches
// whom.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/kube/manifest.h"
#include "tests/agent/policies/policy_world.h"

namespace millrace::control::agent::policies {
namespace {

constexpr std::uint8_t kTcp = 6, kUdp = 17, kSctp = 132, kIcmp = 1;

kube::Pod pod(const std::string& name_space, const std::string& name, kube::Labels labels, const std::string& address,
              std::vector<kube::ContainerPort> ports = {}) {
  kube::Pod made;
  made.meta.name_space = name_space;
  made.meta.name = name;
  made.meta.labels = std::move(labels);
  made.node_name = "here";
  made.phase = kube::PodPhase::kRunning;
  made.addresses = {ip(address), ip("fd00::" + address.substr(address.rfind('.') + 1))};
  made.ports = std::move(ports);
  return made;
}

kube::Namespace name_space(const std::string& name, kube::Labels labels) {
  kube::Namespace made;
  made.meta.name = name;
  made.meta.labels = std::move(labels);
  made.meta.labels["kubernetes.io/metadata.name"] = name;
  return made;
}

/// Pods by short names; "out" is an address of nobody, "node" that of a pod on its node's network.
const std::map<std::string, std::string> kAddresses = {
    {"a/web", "10.0.0.1"}, {"a/db", "10.0.0.2"}, {"b/web", "10.0.0.3"}, {"b/db", "10.0.0.4"},
    {"c/web", "10.0.0.5"}, {"node", "10.0.0.9"}, {"out", "192.0.2.1"}};

void fill(World& world) {
  world.put(name_space("a", {{"team", "x"}}));
  world.put(name_space("b", {{"team", "y"}}));
  world.put(name_space("c", {}));
  world.put(pod("a", "web", {{"app", "web"}}, "10.0.0.1", {{"http", 8080, kube::Protocol::kTcp, 0}}));
  world.put(pod("a", "db", {{"app", "db"}}, "10.0.0.2", {{"sql", 3306, kube::Protocol::kTcp, 0}}));
  world.put(pod("b", "web", {{"app", "web"}}, "10.0.0.3",
                {{"http", 80, kube::Protocol::kTcp, 0}, {"http", 81, kube::Protocol::kUdp, 0}}));
  world.put(pod("b", "db", {{"app", "db"}}, "10.0.0.4"));
  world.put(pod("c", "web", {{"app", "web"}}, "10.0.0.5", {{"http", 80, kube::Protocol::kTcp, 0}}));
  kube::Pod host = pod("a", "host", {{"app", "web"}}, "10.0.0.9", {{"http", 80, kube::Protocol::kTcp, 0}});
  host.host_network = true;
  world.put(host);
}

struct Asked {
  const char* source;
  const char* destination;
  std::uint8_t protocol;
  std::uint16_t port;
  bool allowed;
};

struct Row {
  const char* name;
  const char* specs;  // of policies p0, p1, ... in namespace a, "---" between them
  std::vector<Asked> asked;
};

const std::vector<Row> kRows = {
    {"1: podSelector {} is all pods of the policy's own namespace",
     "{podSelector: {}, ingress: []}",
     {{"b/web", "a/web", kTcp, 80, false}, {"b/web", "a/db", kTcp, 80, false}, {"a/web", "b/web", kTcp, 80, true}}},
    {"1: a peer's podSelector alone is of the policy's own namespace",
     "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
     {{"a/web", "a/db", kTcp, 80, true}, {"b/web", "a/db", kTcp, 80, false}, {"out", "a/db", kTcp, 80, false}}},
    {"1: namespaceSelector {} is every namespace, and no address of nobody",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
     {{"a/web", "a/db", kTcp, 80, true}, {"c/web", "a/db", kTcp, 80, true}, {"out", "a/db", kTcp, 80, false}}},
    {"1: both selectors in one peer are AND",
     "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}, namespaceSelector: {matchLabels: "
     "{team: y}}}]}]}",
     {{"b/web", "a/db", kTcp, 80, true},
      {"b/db", "a/db", kTcp, 80, false},
      {"c/web", "a/db", kTcp, 80, false},
      {"a/web", "a/db", kTcp, 80, false}}},
    {"1: separate peers are OR",
     "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}, {namespaceSelector: {matchLabels: "
     "{team: y}}}]}]}",
     {{"b/web", "a/db", kTcp, 80, true},
      {"b/db", "a/db", kTcp, 80, true},
      {"a/web", "a/db", kTcp, 80, true},
      {"c/web", "a/db", kTcp, 80, false}}},
    {"1: expressions: In, NotIn, Exists, DoesNotExist",
     "{podSelector: {matchExpressions: [{key: app, operator: In, values: [db, x]}]}, ingress: [{from: "
     "[{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [x]}]}}]}]}\n---\n"
     "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}, ingress: [{from: "
     "[{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}, {namespaceSelector: "
     "{matchExpressions: [{key: team, operator: Exists}]}, podSelector: {matchLabels: {app: db}}}]}]}",
     {{"a/web", "a/db", kTcp, 80, false},
      {"b/web", "a/db", kTcp, 80, true},
      {"c/web", "a/db", kTcp, 80, true},
      {"c/web", "a/web", kTcp, 80, true},
      {"b/web", "a/web", kTcp, 80, false},
      {"b/db", "a/web", kTcp, 80, true}}},
    {"2: policyTypes absent is Ingress alone",
     "{podSelector: {}}",
     {{"b/web", "a/web", kTcp, 80, false}, {"a/web", "b/web", kTcp, 80, true}}},
    {"2: policyTypes absent is Egress, too, if there are rules of it",
     "{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}",
     {{"a/web", "b/web", kTcp, 80, false}, {"b/web", "a/web", kTcp, 80, false}}},
    {"2: Egress alone isolates nothing else",
     "{podSelector: {}, policyTypes: [Egress]}",
     {{"a/web", "b/web", kTcp, 80, false}, {"b/web", "a/web", kTcp, 80, true}}},
    {"2: ingress [{}] allows all",
     "{podSelector: {}, ingress: [{}]}",
     {{"out", "a/web", kTcp, 80, true}, {"b/web", "a/web", kIcmp, 0, true}}},
    {"2: empty from, to and ports restrict nothing",
     "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [], ports: [{port: 80}]}], egress: [{to: [], "
     "ports: []}]}",
     {{"out", "a/web", kTcp, 80, true}, {"out", "a/web", kTcp, 81, false}, {"a/web", "out", kUdp, 9, true}}},
    {"3: policies are a union",
     "{podSelector: {}, ingress: []}\n---\n{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}",
     {{"b/web", "a/web", kTcp, 80, true}, {"b/web", "a/web", kTcp, 81, false}, {"b/web", "a/db", kTcp, 80, false}}},
    {"3: a connection needs the source's egress and the destination's ingress",
     "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}\n---\n"
     "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 81}]}]}",
     {{"a/web", "a/db", kTcp, 80, false},
      {"a/web", "a/db", kTcp, 81, false},
      {"b/web", "a/db", kTcp, 81, true},
      {"a/web", "b/db", kTcp, 80, true}}},
    {"4: a port's protocol is TCP if it is absent",
     "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}",
     {{"b/web", "a/web", kTcp, 80, true}, {"b/web", "a/web", kUdp, 80, false}}},
    {"4: no port is every port of that protocol",
     "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}",
     {{"b/web", "a/web", kUdp, 1, true},
      {"b/web", "a/web", kUdp, 65535, true},
      {"b/web", "a/web", kTcp, 1, false},
      {"b/web", "a/web", kIcmp, 0, false}}},
    {"4: endPort is inclusive",
     "{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 82}]}]}",
     {{"b/web", "a/web", kTcp, 79, false},
      {"b/web", "a/web", kTcp, 80, true},
      {"b/web", "a/web", kTcp, 82, true},
      {"b/web", "a/web", kTcp, 83, false}}},
    {"5: a name is what the isolated pod calls so, for ingress",
     "{podSelector: {}, ingress: [{ports: [{port: http}]}]}",
     {{"b/web", "a/web", kTcp, 8080, true},
      {"b/web", "a/web", kTcp, 80, false},
      {"b/web", "a/db", kTcp, 8080, false},
      {"b/web", "a/db", kTcp, 80, false}}},
    {"5: a name is what each destination calls so, for egress, and the protocol is part of it",
     "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}, {port: "
     "http, protocol: UDP}]}]}",
     {{"a/db", "a/web", kTcp, 8080, true},
      {"a/db", "a/web", kTcp, 80, false},
      {"a/db", "b/web", kTcp, 80, true},
      {"a/db", "b/web", kTcp, 8080, false},
      {"a/db", "b/web", kUdp, 81, true},
      {"a/db", "b/web", kUdp, 80, false},
      {"a/db", "c/web", kTcp, 80, true},
      {"a/db", "b/db", kTcp, 80, false}}},
    {"5: a name to anybody is to the pods that serve it",
     "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}",
     {{"a/db", "b/web", kTcp, 80, true}, {"a/db", "out", kTcp, 80, false}, {"a/db", "node", kTcp, 80, false}}},
    {"5: a name to a block is to the pods in it that serve it",
     "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/29, except: [10.0.0.5/32]}}], "
     "ports: [{port: http}]}]}",
     {{"a/db", "a/web", kTcp, 8080, true},
      {"a/db", "b/web", kTcp, 80, true},
      {"a/db", "c/web", kTcp, 80, false},
      {"a/db", "out", kTcp, 80, false}}},
    {"5: a name nobody serves matches nothing, and is not every port",
     "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: none}]}], egress: [{ports: [{port: "
     "none}]}]}",
     {{"b/web", "a/web", kTcp, 8080, false}, {"a/web", "b/web", kTcp, 80, false}}},
    {"6: except cuts its own block, and another rule allows it again",
     "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.4/30]}}]}, {from: [{ipBlock: "
     "{cidr: 10.0.0.5/32}}]}]}",
     {{"b/web", "a/web", kTcp, 80, true},
      {"b/db", "a/web", kTcp, 80, false},
      {"c/web", "a/web", kTcp, 80, true},
      {"out", "a/web", kTcp, 80, false}}},
    {"7: a rule for SCTP isolates the pod and opens nothing for TCP",
     "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: SCTP}]}]}",
     {{"b/web", "a/web", kSctp, 80, true}, {"b/web", "a/web", kTcp, 80, false}, {"b/web", "a/web", kUdp, 80, false}}},
    {"8: a pod on its node's network is an address and no pod",
     "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}\n---\n{podSelector: {matchLabels: {app: db}}, ingress: "
     "[{from: [{ipBlock: {cidr: 10.0.0.9/32}}]}]}",
     {{"node", "a/web", kTcp, 80, false}, {"node", "a/db", kTcp, 80, true}}},
    {"12: a namespace is selected by its name",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: c}}}]}]}",
     {{"c/web", "a/web", kTcp, 80, true}, {"b/web", "a/web", kTcp, 80, false}}},
};

/// As a manifest has it: the spec is YAML in flow style, which JSON is too.
std::vector<kube::NetworkPolicy> policies_of(const std::string& specs) {
  std::vector<kube::NetworkPolicy> made;
  for (std::size_t from = 0; from != std::string::npos;) {
    const std::size_t to = specs.find("\n---\n", from);
    const std::string spec = specs.substr(from, to == std::string::npos ? to : to - from);
    from = to == std::string::npos ? to : to + 5;
    const auto read = kube::parse_manifests(
        fmt::format(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{}, namespace: a}}\nspec: {}\n",
            made.size(), spec),
        "row");
    EXPECT_TRUE(read.ok()) << (read ? "" : read.error().message);
    if (read) made.push_back(std::get<kube::NetworkPolicy>(read->objects.at(0).object));
  }
  return made;
}

net::IpAddress address_of(const std::string& who, bool v6) {
  const std::string& v4 = kAddresses.at(who);
  if (!v6) return ip(v4);
  return ip(who == "out" ? "2001:db8::1" : "fd00::" + v4.substr(v4.rfind('.') + 1));
}

TEST(PolicyRows, each_sentence_of_what_is_expected) {
  for (const Row& row : kRows) {
    World world;
    fill(world);
    for (const kube::NetworkPolicy& policy : policies_of(row.specs)) world.put(policy);
    world.step();
    const bool names_v4 = std::string(row.specs).find("10.") != std::string::npos;
    for (const Asked& asked : row.asked) {
      for (const bool v6 : {false, true}) {
        if (v6 && names_v4) continue;
        const Question question{address_of(asked.source, v6), address_of(asked.destination, v6), asked.protocol,
                                asked.port};
        EXPECT_EQ(world.allows(question), asked.allowed)
            << row.name << ": " << asked.source << " -> " << asked.destination << " " << int{asked.protocol} << "/"
            << asked.port << (v6 ? " IPv6" : "");
        EXPECT_EQ(world.naive_allows(question), asked.allowed) << row.name << ": the oracle";
      }
    }
  }
}

constexpr const char* kFromTeamY =
    "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: y}}}]}]}";

bool reaches(World& world, const std::string& source, const std::string& destination) {
  return world.allows({ip(kAddresses.at(source)), ip(kAddresses.at(destination)), kTcp, 80});
}

TEST(PolicyChanges, labels_namespaces_deletion_and_reuse_of_addresses_take_effect) {
  World world;
  fill(world);
  const kube::NetworkPolicy policy = policies_of(kFromTeamY).at(0);
  world.put(policy);
  world.step();
  EXPECT_TRUE(reaches(world, "b/web", "a/web"));
  EXPECT_FALSE(reaches(world, "c/web", "a/web"));

  world.put(name_space("c", {{"team", "y"}}));
  world.put(name_space("b", {}));
  world.step();
  EXPECT_FALSE(reaches(world, "b/web", "a/web")) << "its namespace has lost the label";
  EXPECT_TRUE(reaches(world, "c/web", "a/web"));

  world.remove({kube::Kind::kPod, "c", "web"});
  world.step();
  EXPECT_FALSE(reaches(world, "c/web", "a/web")) << "an address that is nobody's";
  world.put(pod("b", "new", {}, "10.0.0.5"));
  world.step();
  EXPECT_FALSE(reaches(world, "c/web", "a/web")) << "the address is another pod's now";

  kube::NetworkPolicy narrow = policy;
  narrow.pod_selector.match_labels["app"] = "db";
  world.put(narrow);
  world.step();
  EXPECT_TRUE(reaches(world, "b/web", "a/web")) << "not selected any more";
  EXPECT_FALSE(reaches(world, "b/web", "a/db"));
  world.put(pod("a", "db", {{"app", "other"}}, "10.0.0.2"));
  world.step();
  EXPECT_TRUE(reaches(world, "b/web", "a/db")) << "the isolated pod has lost the label";

  world.remove(kube::key_of(kube::Object(policy)));
  world.step();
  EXPECT_TRUE(world.tables().state().policies.empty());
  EXPECT_TRUE(world.tables().state().groups.empty());
  EXPECT_EQ(world.tables().state().endpoints.size(), 10u) << "five pods of two addresses";
}

TEST(PolicyChanges, pods_that_are_over_or_without_address_are_no_endpoints) {
  World world;
  fill(world);
  kube::Pod over = pod("b", "over", {}, "10.0.0.7");
  over.phase = kube::PodPhase::kSucceeded;
  world.put(over);
  kube::Pod bare = pod("b", "bare", {}, "10.0.0.8");
  bare.addresses.clear();
  world.put(bare);
  world.step();
  for (const char* address : {"10.0.0.7", "10.0.0.9"}) {
    const auto raw = ip(address);
    EXPECT_FALSE(world.tables().state().endpoints.contains({raw.raw().begin(), raw.raw().end()})) << address;
  }
  EXPECT_TRUE(world.tables().is_open("port-b-over")) << "its port is there still, and has its policies";
}

TEST(PolicyChanges, an_address_of_two_label_sets_is_that_of_the_pod_that_is_attached_here_or_of_nobody) {
  World world;
  fill(world);
  world.put(policies_of(kFromTeamY).at(0));
  kube::Pod elsewhere = pod("c", "elsewhere", {}, kAddresses.at("b/web"));
  elsewhere.node_name = "there";
  world.put(elsewhere);
  world.step();
  EXPECT_TRUE(reaches(world, "b/web", "a/web"));
  kube::Pod moved = pod("b", "web", {{"app", "web"}}, kAddresses.at("b/web"));
  moved.node_name = "there";
  world.put(moved);
  world.step();
  EXPECT_FALSE(reaches(world, "b/web", "a/web")) << "nobody can tell whose it is";
  world.remove({kube::Kind::kPod, "c", "elsewhere"});
  world.step();
  EXPECT_TRUE(reaches(world, "b/web", "a/web"));
}

TEST(PolicyChanges, a_port_made_anew_under_its_old_name_gets_its_policies_again) {
  World world;
  fill(world);
  world.put(policies_of(kFromTeamY).at(0));
  world.step();
  EXPECT_TRUE(is_without_policy(world.step()));
  world.reattach({kube::Kind::kPod, "a", "web"});
  const api::ApplyRequest& request = world.step();
  ASSERT_EQ(request.upsert_port_policies_size(), 1);
  EXPECT_EQ(request.upsert_port_policies(0).port(), "port-a-web");
  EXPECT_EQ(request.upsert_port_policies(0).ingress(0), "a/p0");
}

TEST(PolicyNames, say_what_is_meant) {
  World world;
  fill(world);
  for (const kube::NetworkPolicy& policy : policies_of(
           "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {matchLabels: {app: "
           "web}}}], "
           "ports: [{port: http}]}], egress: [{to: [{namespaceSelector: {matchLabels: {team: y}}}], ports: [{port: "
           "http}]}]}")) {
    world.put(policy);
  }
  world.step();
  std::vector<std::string> policies, groups;
  for (const auto& [name, policy] : world.tables().state().policies) {
    policies.push_back(name);
    EXPECT_EQ(policy.object(), "a/p0");
  }
  for (const auto& [name, group] : world.tables().state().groups) groups.push_back(name);
  EXPECT_EQ(policies, (std::vector<std::string>{"a/p0", "a/p0 http=8080"}));
  EXPECT_EQ(groups,
            (std::vector<std::string>{"all pods in namespaces team=y, http=80", "pods app=web in namespace a"}));
}

TEST(PolicyNames, of_selectors_that_are_longer_than_a_name_are_cut_and_differ) {
  World world;
  fill(world);
  std::string values = "x";
  for (int i = 0; i < 400; ++i) values += fmt::format(", a-rather-long-value-{}", i);
  const std::string spec =
      "{{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: app, "
      "operator: In, values: [{}, {}]}}]}}}}]}}]}}";
  const auto with = [&](const char* last) { return fmt::format(fmt::runtime(spec), values, last); };
  for (const kube::NetworkPolicy& policy : policies_of(with("zz-web") + "\n---\n" + with("zz-db"))) world.put(policy);
  world.step();
  EXPECT_EQ(world.tables().state().groups.size(), 2u);
  for (const auto& [name, group] : world.tables().state().groups) EXPECT_LE(name.size(), 4096u);
}

}  // namespace
}  // namespace millrace::control::agent::policies
