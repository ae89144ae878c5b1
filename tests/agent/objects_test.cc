// Kubernetes objects in the agent: allocation, whole requests or nothing, what is seen beyond what is stored, restarts.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>

#include "control/agent/object_manager.h"
#include "control/agent/schema.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

using kube::Kind;

const ServiceRanges kRanges{.ipv4 = *net::Prefix::parse("10.96.0.0/24"),
                            .ipv6 = *net::Prefix::parse("fd00:10:96::/112"),
                            .first_node_port = 30000,
                            .last_node_port = 30099};

class Objects : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open(ServiceRanges ranges = kRanges) {
    objects_.reset();
    store_.reset();
    store_ = *Store::open(directory_.path());
    kube::Node self;
    self.meta.name = "n1";
    auto opened = ObjectManager::open(*store_, ranges, self);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    objects_ = *std::move(opened);
  }

  net::Result<std::vector<Applied>> apply(const std::string& text, bool dry_run = false) {
    auto manifests = kube::parse_manifests(text, "m.yaml");
    EXPECT_TRUE(manifests.ok()) << (manifests ? "" : manifests.error().message);
    return objects_->apply(std::move(manifests->objects), dry_run);
  }
  /// What the request did, as text: "created web, unchanged db", or the error.
  std::string outcome(const std::string& text, bool dry_run = false) {
    const auto applied = apply(text, dry_run);
    if (!applied) return applied.error().message;
    constexpr const char* kWords[] = {"created", "configured", "unchanged"};
    std::string words;
    for (const Applied& one : *applied) {
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", kWords[static_cast<int>(one.outcome)], one.key.name);
    }
    return words;
  }
  kube::Service service(const std::string& name) {
    const ObjectRef found = objects_->find({Kind::kService, "default", name});
    EXPECT_NE(found, nullptr) << name;
    return found ? std::get<kube::Service>(*found) : kube::Service();
  }

  const ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ObjectManager> objects_;
};

std::string yaml(const std::string& name, const std::string& spec, const std::string& port = "port: 80") {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {" + spec +
         (spec.empty() ? "" : ", ") + "ports: [{" + port + "}]}\n";
}
std::string pod_yaml(const std::string& name, const std::string& labels) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", labels: {" + labels +
         "}}\nspec: {containers: [{name: c, ports: [{containerPort: 8080, name: http}]}]}\n";
}

TEST_F(Objects, a_service_gets_an_address_and_keeps_it) {
  EXPECT_EQ(outcome(yaml("web", "")), "created web");
  const auto first = service("web").cluster_ips;
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(kRanges.ipv4->contains(first[0]));
  EXPECT_EQ(outcome(yaml("web", "")), "unchanged web");
  EXPECT_EQ(outcome(yaml("web", "selector: {app: web}")), "configured web");
  EXPECT_EQ(service("web").cluster_ips, first);
  open();
  EXPECT_EQ(service("web").cluster_ips, first) << "after a restart";
  ASSERT_TRUE(objects_->remove({{Kind::kService, "default", "web"}}, false).ok());
  EXPECT_EQ(objects_->find({Kind::kService, "default", "web"}), nullptr);
  EXPECT_EQ(outcome(yaml("web", "")), "created web");
  EXPECT_EQ(service("web").cluster_ips, first) << "the same name has the same address while nobody else has it";
}

TEST_F(Objects, two_services_never_have_one_address_and_the_range_ends_with_a_clear_error) {
  std::string text;
  for (int i = 0; i < 254; ++i) text += yaml(fmt::format("s{}", i), "");
  ASSERT_TRUE(apply(text).ok());
  std::set<net::IpAddress> addresses;
  for (const auto& one : objects_->list<kube::Service>()) addresses.insert(one->cluster_ips.at(0));
  EXPECT_EQ(addresses.size(), 254u);
  EXPECT_FALSE(addresses.contains(*net::IpAddress::parse("10.96.0.0")));
  EXPECT_FALSE(addresses.contains(*net::IpAddress::parse("10.96.0.255")));
  const auto more = apply(yaml("more", ""));
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_EQ(more.error().message,
            "service/default/more: spec.clusterIP: every address of services.ipv4 10.96.0.0/24 is in use");
}

TEST_F(Objects, refuses_what_cannot_be_and_says_who_has_it) {
  ASSERT_EQ(outcome(yaml("dns", "clusterIP: 10.96.0.10") + yaml("np", "type: NodePort", "port: 80, nodePort: 30050")),
            "created dns, created np");
  struct Row {
    const char* name;
    std::string text;
    std::string error;
  };
  const std::vector<Row> rows = {
      {"address in use", yaml("b", "clusterIP: 10.96.0.10"),
       "service/default/b: spec.clusterIP: 10.96.0.10 is in use by service default/dns"},
      {"address out of range", yaml("b", "clusterIP: 10.97.0.1"),
       "service/default/b: spec.clusterIP: 10.97.0.1; allowed: None, an address of 10.96.0.0/24 but the first and the "
       "last, or \"\" to be given one"},
      {"broadcast", yaml("b", "clusterIP: 10.96.0.255"),
       "service/default/b: spec.clusterIP: 10.96.0.255; allowed: None, an address of 10.96.0.0/24 but the first and "
       "the "
       "last, or \"\" to be given one"},
      {"another address", yaml("dns", "clusterIP: 10.96.0.11"),
       "service/default/dns: spec.clusterIP: 10.96.0.11; allowed: 10.96.0.10, which it has until it is deleted"},
      {"node port in use", yaml("b", "type: NodePort", "port: 1, nodePort: 30050"),
       "service/default/b: spec.ports[0].nodePort: 30050 is in use by service default/np"},
      {"node port of another protocol in use", yaml("b", "type: NodePort", "port: 1, protocol: UDP, nodePort: 30050"),
       "service/default/b: spec.ports[0].nodePort: 30050 is in use by service default/np"},
      {"node port out of range", yaml("b", "type: NodePort", "port: 1, nodePort: 80"),
       "service/default/b: spec.ports[0].nodePort: 80; allowed: 30000..30099 (services.nodePortRange)"},
      {"two of one request", yaml("b", "clusterIP: 10.96.0.9") + yaml("c", "clusterIP: 10.96.0.9"),
       "service/default/c: spec.clusterIP: 10.96.0.9 is in use by service default/b"},
  };
  for (const Row& row : rows) EXPECT_EQ(outcome(row.text), row.error) << row.name;
  EXPECT_EQ(objects_->list(Kind::kService).size(), 2u);
}

TEST_F(Objects, a_request_is_done_as_a_whole_or_not_at_all) {
  ASSERT_TRUE(apply(yaml("a", "clusterIP: 10.96.0.5")).ok());
  int calls = 0;
  objects_->on_change([&](const ObjectChanges&) { ++calls; });
  EXPECT_FALSE(apply(yaml("new", "") + yaml("b", "clusterIP: 10.96.0.5")).ok());
  EXPECT_EQ(objects_->find({Kind::kService, "default", "new"}), nullptr);
  EXPECT_FALSE(objects_->remove({{Kind::kService, "default", "a"}, {Kind::kService, "default", "b"}}, false).ok());
  EXPECT_NE(objects_->find({Kind::kService, "default", "a"}), nullptr);
  EXPECT_EQ(outcome(yaml("new", ""), true), "created new");
  EXPECT_EQ(objects_->find({Kind::kService, "default", "new"}), nullptr) << "a dry run keeps nothing";
  EXPECT_EQ(calls, 0);
  open();
  EXPECT_EQ(objects_->list(Kind::kService).size(), 1u);
}

TEST_F(Objects, an_address_that_is_asked_for_comes_before_one_that_is_given) {
  // Whatever address "free" would get, somebody asks for it in the same request, behind it.
  ASSERT_TRUE(apply(yaml("free", "")).ok());
  const std::string address = service("free").cluster_ips[0].to_string();
  ASSERT_TRUE(objects_->remove({{Kind::kService, "default", "free"}}, false).ok());
  EXPECT_EQ(outcome(yaml("free", "") + yaml("asks", "clusterIP: " + address)), "created free, created asks");
  EXPECT_NE(service("free").cluster_ips[0].to_string(), address);
}

TEST_F(Objects, node_ports_are_given_kept_and_released) {
  ASSERT_TRUE(apply(yaml("a", "type: NodePort")).ok());
  const std::uint16_t port = service("a").ports[0].node_port;
  EXPECT_GE(port, 30016) << "the lower band is for those who ask";
  EXPECT_LE(port, 30099);
  ASSERT_TRUE(apply(yaml("a", "type: NodePort, selector: {a: b}")).ok());
  EXPECT_EQ(service("a").ports[0].node_port, port);
  ASSERT_TRUE(apply(yaml("a", "type: ClusterIP")).ok());
  EXPECT_EQ(service("a").ports[0].node_port, 0);
  EXPECT_EQ(outcome(yaml("b", "type: NodePort", fmt::format("port: 1, nodePort: {}", port))), "created b");
}

TEST_F(Objects, a_load_balancer_has_what_its_manifest_gives_it) {
  const std::string spec = "type: LoadBalancer, externalTrafficPolicy: Local, loadBalancerIP: 192.0.2.7";
  ASSERT_TRUE(apply(yaml("lb", spec) + "status: {loadBalancer: {ingress: [{ip: 192.0.2.8}]}}\n").ok());
  const kube::Service first = service("lb");
  EXPECT_EQ(first.load_balancer_ip, net::IpAddress::parse("192.0.2.7").value());
  EXPECT_EQ(first.load_balancer_ingress, (std::vector{*net::IpAddress::parse("192.0.2.8")}));
  EXPECT_NE(first.health_check_node_port, 0);
  EXPECT_NE(first.ports[0].node_port, 0);
  EXPECT_NE(first.health_check_node_port, first.ports[0].node_port);
  EXPECT_EQ(outcome(yaml("lb", spec)), "unchanged lb") << "a manifest without status does not take the address away";
  EXPECT_EQ(outcome(yaml("bare", "type: LoadBalancer, allocateLoadBalancerNodePorts: false")), "created bare");
  EXPECT_EQ(service("bare").ports[0].node_port, 0);
}

TEST_F(Objects, families_follow_the_policy) {
  ASSERT_TRUE(apply(yaml("dual", "ipFamilyPolicy: RequireDualStack")).ok());
  EXPECT_EQ(service("dual").ip_families, (std::vector<std::uint8_t>{4, 6}));
  ASSERT_EQ(service("dual").cluster_ips.size(), 2u);
  EXPECT_TRUE(kRanges.ipv6->contains(service("dual").cluster_ips[1]));
  ASSERT_TRUE(apply(yaml("six", "ipFamilies: [IPv6]")).ok());
  EXPECT_EQ(service("six").cluster_ips.at(0).family, 6);
  ASSERT_TRUE(apply(yaml("headless", "clusterIP: None")).ok());
  EXPECT_TRUE(service("headless").cluster_ips.empty());

  ServiceRanges only_v4 = kRanges;
  only_v4.ipv6.reset();
  open(only_v4);
  EXPECT_EQ(outcome(yaml("x", "ipFamilyPolicy: RequireDualStack")),
            "service/default/x: spec.ipFamilyPolicy: RequireDualStack, but services.ipv6 is none");
  EXPECT_EQ(outcome(yaml("x", "ipFamilies: [IPv6]")),
            "service/default/x: spec.ipFamilies: IPv6, but services.ipv6 is none");
  EXPECT_EQ(outcome(yaml("x", "ipFamilyPolicy: PreferDualStack")), "created x");
}

TEST_F(Objects, listeners_hear_each_change_once_after_it_can_be_seen) {
  std::vector<std::string> heard;
  objects_->on_change([&](const ObjectChanges& changes) {
    for (const ObjectChange& change : changes) {
      EXPECT_EQ(objects_->find(change.key), change.after);
      heard.push_back(
          fmt::format("{}{} {}", change.before ? "-" : "", change.after ? "+" : "", kube::to_string(change.key)));
    }
  });
  ASSERT_TRUE(apply(yaml("a", "") + yaml("b", "")).ok());
  ASSERT_TRUE(apply(yaml("a", "") + yaml("b", "selector: {x: y}")).ok());
  ASSERT_TRUE(objects_->remove({{Kind::kService, "default", "a"}}, false).ok());
  EXPECT_EQ(heard, (std::vector<std::string>{"+ service/default/a", "+ service/default/b", "-+ service/default/b",
                                             "- service/default/a"}));
}

TEST_F(Objects, a_pod_has_the_addresses_of_its_attachment) {
  ASSERT_TRUE(apply(pod_yaml("web", "app: web")).ok());
  const kube::ObjectKey key{Kind::kPod, "default", "web"};
  EXPECT_EQ(std::get<kube::Pod>(*objects_->find(key)).phase, kube::PodPhase::kPending);

  Attachment attachment;
  attachment.key = {"net", "c1", "eth0"};
  attachment.pod_namespace = "default";
  attachment.pod_name = "web";
  attachment.host_interface = "mr1";
  const auto address = *net::IpAddress::parse("10.244.0.9");
  auto begun = store_->begin_add(attachment, {.blocks = nullptr, .wanted = {}, .delegated = {address}});
  ASSERT_TRUE(begun.ok()) << begun.error().message;
  ASSERT_TRUE(store_->set_state(begun->id, AttachmentState::kActive).ok());
  ASSERT_TRUE(objects_->note_attachments().ok());

  const auto pod = std::get<kube::Pod>(*objects_->find(key));
  EXPECT_EQ(pod.addresses, (std::vector{address}));
  EXPECT_TRUE(pod.is_ready());
  EXPECT_EQ(pod.node_name, "n1");
  EXPECT_EQ(pod.ports.at(0).name, "http");
  const auto shown = objects_->get(Kind::kPod, "default", "web");
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ((*shown)[0]["status"]["podIP"], "10.244.0.9");
  EXPECT_EQ((*shown)[0]["status"]["phase"], "Running");
  EXPECT_TRUE(kube::parse_object((*shown)[0]).ok()) << "what is shown can be applied";

  const auto refused = objects_->remove({key}, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "pod/default/web: is attached to the switch; delete it with: millrace pod del web --namespace default");
  ASSERT_TRUE(objects_->remove_pod("default", "web").ok());
  EXPECT_TRUE(std::get<kube::Pod>(*objects_->find(key)).meta.labels.empty()) << "an attached pod is one without labels";
}

TEST_F(Objects, namespaces_in_use_and_the_node_are_seen) {
  ASSERT_TRUE(
      apply("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {ports: [{port: 1}]}\n").ok());
  const auto names = [&] {
    std::vector<std::string> all;
    for (const auto& one : objects_->list<kube::Namespace>()) all.push_back(one->meta.name);
    return all;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"default", "shop"}));
  EXPECT_EQ(objects_->list<kube::Node>().at(0)->meta.name, "n1");
  ASSERT_TRUE(apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n").ok());
  const auto in_use = objects_->remove({{Kind::kNamespace, "", "shop"}}, false);
  ASSERT_FALSE(in_use.ok());
  EXPECT_EQ(in_use.error().message, "namespace/shop: service/shop/a is in it; delete it first, or with it");
  EXPECT_TRUE(objects_->remove({{Kind::kNamespace, "", "shop"}, {Kind::kService, "shop", "a"}}, false).ok());
  EXPECT_EQ(names(), (std::vector<std::string>{"default"}));
}

TEST_F(Objects, a_network_policy_is_kept_over_a_restart_and_heard_of) {
  std::vector<std::string> heard;
  const auto listen = [&] {
    objects_->on_change([&](const ObjectChanges& changes) {
      for (const ObjectChange& change : changes) heard.push_back(kube::to_string(change.key));
    });
  };
  const auto deny = [](const std::string& types) {
    return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\n"
           "spec: {podSelector: {}, policyTypes: [" +
           types + "]}\n";
  };
  listen();
  EXPECT_EQ(outcome(deny("Ingress")), "created deny");
  EXPECT_EQ(heard, (std::vector<std::string>{"namespace/shop", "networkpolicy/shop/deny"}));
  open();
  listen();
  EXPECT_EQ(outcome(deny("Ingress")), "unchanged deny");
  const auto policies = objects_->list<kube::NetworkPolicy>();
  ASSERT_EQ(policies.size(), 1u);
  EXPECT_TRUE(policies[0]->isolates_ingress && !policies[0]->isolates_egress);
  EXPECT_EQ(outcome(deny("Egress")), "configured deny");
  EXPECT_FALSE(objects_->list<kube::NetworkPolicy>().at(0)->isolates_ingress);
  EXPECT_TRUE(objects_->remove({{Kind::kNetworkPolicy, "shop", "deny"}}, false).ok());
  EXPECT_TRUE(objects_->list<kube::NetworkPolicy>().empty());
  EXPECT_EQ(heard.size(), 5u) << "the change; the deletion of policy and namespace";
}

TEST_F(Objects, endpoints_that_follow_from_a_selector_are_shown_and_not_stored) {
  ASSERT_TRUE(apply(yaml("web", "selector: {app: web}", "port: 80, targetPort: http") + pod_yaml("web-0", "app: web") +
                    "status: {phase: Running, podIP: 10.244.0.9}\n")
                  .ok());
  const auto slices = objects_->get(Kind::kEndpointSlice, "default", "");
  ASSERT_TRUE(slices.ok());
  ASSERT_EQ(slices->size(), 1u);
  const nlohmann::json slice = slices->front();
  const std::string name = slice["metadata"]["name"];
  EXPECT_EQ(slice["endpoints"][0]["addresses"][0], "10.244.0.9");
  EXPECT_EQ(slice["endpoints"][0]["targetRef"]["name"], "web-0");
  EXPECT_EQ(slice["ports"][0]["port"], 8080);
  EXPECT_EQ(slice["metadata"]["creationTimestamp"],
            (*objects_->get(Kind::kService, "default", "web"))[0]["metadata"]["creationTimestamp"]);
  EXPECT_EQ(*objects_->get(Kind::kEndpointSlice, "default", name), *slices);
  const auto endpoints = objects_->get(Kind::kEndpoints, "", "");
  ASSERT_TRUE(endpoints.ok());
  EXPECT_EQ((*endpoints)[0]["metadata"]["name"], "web");
  EXPECT_EQ((*endpoints)[0]["subsets"][0]["addresses"][0]["ip"], "10.244.0.9");
  EXPECT_TRUE(objects_->list(Kind::kEndpointSlice).empty());
  EXPECT_TRUE(objects_->get(Kind::kEndpointSlice, "other", "")->empty());

  const auto again = kube::parse_object(slice);
  ASSERT_TRUE(again.ok()) << again.error().message;
  const auto refused = objects_->apply({*again}, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(
      refused.error().message,
      fmt::format("endpointslice/default/{}: metadata.labels: endpointslice.kubernetes.io/managed-by is millrace: it "
                  "follows from the Service's selector and is not stored; allowed: without the label, and then it "
                  "stays whatever pods there are",
                  name));
  const auto kept = objects_->remove({{Kind::kEndpointSlice, "default", name}}, false);
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.error().message,
            fmt::format("endpointslice/default/{}: follows from the selector of service default/web", name));
  EXPECT_EQ(objects_->remove({{Kind::kEndpoints, "default", "none"}}, false).error().code, net::ErrorCode::kNotFound);
}

TEST_F(Objects, what_an_earlier_version_knew_of_pods_becomes_pods) {
  objects_.reset();
  store_.reset();
  const ScratchDirectory old;
  {
    auto database = Database::open(old.file("agent.db"));
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(migrate(*database, 2).ok());
    ASSERT_TRUE(database
                    ->execute("INSERT INTO pod_objects VALUES (7, 'shop', 'web-0'), (8, 'shop', 'bare');"
                              "INSERT INTO pod_labels VALUES (7, 'app', 'web'), (7, 'a.b/c', '');"
                              "INSERT INTO pod_ports VALUES (7, 1, 'dns', 53, 'UDP'), (7, 0, '', 80, 'TCP');")
                    .ok());
  }
  auto store = Store::open(old.path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  auto objects = ObjectManager::open(**store, kRanges, {});
  ASSERT_TRUE(objects.ok()) << objects.error().message;
  const auto pods = (*objects)->list<kube::Pod>();
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods[0]->meta.name, "bare");
  EXPECT_EQ(pods[1]->meta.labels, (kube::Labels{{"app", "web"}, {"a.b/c", ""}}));
  EXPECT_EQ(pods[1]->ports, (std::vector<kube::ContainerPort>{{"", 80, kube::Protocol::kTcp, 0},
                                                              {"dns", 53, kube::Protocol::kUdp, 0}}));
}

}  // namespace
}  // namespace millrace::control::agent
