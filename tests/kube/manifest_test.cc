// Manifests as tutorials have them, unchanged: what is read from them, and that their canonical form is stable.
#include "control/kube/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace millrace::control::kube {
namespace {

std::string file(const std::string& name) {
  std::ifstream stream(std::string(MANIFESTS) + "/" + name);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Manifests parsed(const std::string& text, const ManifestOptions& options = {}) {
  auto manifests = parse_manifests(text, "m.yaml", options);
  EXPECT_TRUE(manifests.ok()) << (manifests ? "" : manifests.error().message);
  return manifests ? *std::move(manifests) : Manifests();
}

template <typename T>
const T& as(const Manifests& manifests, std::size_t index) {
  return std::get<T>(manifests.objects.at(index).object);
}

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

TEST(Manifest, of_a_pod_and_its_service_with_a_named_target_port) {
  const Manifests m = parsed(file("nginx-pod-and-service.yaml"));
  ASSERT_EQ(m.objects.size(), 2u);
  const Pod& pod = as<Pod>(m, 0);
  EXPECT_EQ(pod.meta.name, "nginx");
  EXPECT_EQ(pod.meta.name_space, "default");
  EXPECT_EQ(pod.meta.labels, (Labels{{"app.kubernetes.io/name", "proxy"}}));
  EXPECT_EQ(pod.ports, (std::vector<ContainerPort>{{"http-web-svc", 80, Protocol::kTcp, 0}}));
  EXPECT_EQ(pod.phase, PodPhase::kPending);
  const Service& service = as<Service>(m, 1);
  EXPECT_EQ(service.type, ServiceType::kClusterIp);
  EXPECT_EQ(service.selector, pod.meta.labels);
  EXPECT_EQ(service.ports,
            (std::vector<ServicePort>{{"name-of-service-port", Protocol::kTcp, 80, {0, "http-web-svc"}, 0}}));
}

TEST(Manifest, with_everything_that_only_containers_need) {
  const Manifests m = parsed(file("guestbook-frontend.yaml"));
  ASSERT_EQ(m.objects.size(), 3u);
  EXPECT_EQ(as<Namespace>(m, 0).meta.labels, (Labels{{"kubernetes.io/metadata.name", "guestbook"}}));
  const Service& service = as<Service>(m, 1);
  EXPECT_EQ(service.type, ServiceType::kNodePort);
  EXPECT_EQ(service.meta.name_space, "guestbook");
  EXPECT_EQ(service.ports, (std::vector<ServicePort>{{"", Protocol::kTcp, 80, {80, ""}, 30500}}));
  const nlohmann::json& kept = m.objects[2].json["spec"]["containers"][0];
  EXPECT_EQ(kept["image"], "gcr.io/google_samples/gb-frontend:v5");
  EXPECT_EQ(kept["resources"]["limits"]["cpu"], 1);
  EXPECT_EQ(kept["securityContext"]["runAsNonRoot"], true) << "yes is a boolean to Kubernetes";
}

TEST(Manifest, of_services_of_all_types_in_a_list) {
  const Manifests m = parsed(file("services-of-all-types.yaml"));
  ASSERT_EQ(m.objects.size(), 5u);
  EXPECT_EQ(as<Service>(m, 0).ports[2], (ServicePort{"dns", Protocol::kUdp, 53, {53, ""}, 0}));
  EXPECT_TRUE(as<Service>(m, 1).headless);
  EXPECT_TRUE(as<Service>(m, 1).ports.empty());
  EXPECT_EQ(as<Service>(m, 2).external_name, "my.database.example.com");

  const Service& balancer = as<Service>(m, 3);
  EXPECT_EQ(balancer.cluster_ips, (std::vector{ip("10.0.171.239")}));
  EXPECT_EQ(balancer.load_balancer_ip, ip("198.51.100.7"));
  EXPECT_EQ(balancer.load_balancer_ingress, (std::vector{ip("192.0.2.127")}))
      << "a proxy answers for the second itself";
  EXPECT_EQ(balancer.load_balancer_source_ranges,
            (std::vector{*net::Prefix::parse("203.0.113.0/24"), *net::Prefix::parse("2001:db8::/32")}));
  EXPECT_EQ(balancer.external_ips, (std::vector{ip("198.51.100.32")}));
  EXPECT_EQ(balancer.external_traffic_policy, TrafficPolicy::kLocal);
  EXPECT_EQ(balancer.health_check_node_port, 32100);

  const Service& dual = as<Service>(m, 4);
  EXPECT_EQ(dual.cluster_ips, (std::vector{ip("fd00:10:96::a"), ip("10.96.0.77")}));
  EXPECT_EQ(dual.ip_families, (std::vector<std::uint8_t>{6, 4}));
  EXPECT_EQ(dual.ip_family_policy, IpFamilyPolicy::kRequireDualStack);
  EXPECT_EQ(dual.session_affinity_seconds, 600u);
  EXPECT_EQ(dual.internal_traffic_policy, TrafficPolicy::kLocal);
  EXPECT_TRUE(dual.publish_not_ready_addresses);
}

TEST(Manifest, of_a_service_without_selector_and_its_endpoints) {
  const Manifests m = parsed(file("service-without-selector.yaml"));
  ASSERT_EQ(m.objects.size(), 3u);
  const EndpointSlice& slice = as<EndpointSlice>(m, 1);
  EXPECT_EQ(slice.service_name(), "my-service");
  EXPECT_EQ(slice.ports, (std::vector<EndpointPort>{{"http", Protocol::kTcp, 9376}}));
  ASSERT_EQ(slice.endpoints.size(), 2u);
  EXPECT_EQ(slice.endpoints[0].addresses, (std::vector{ip("10.4.5.6")}));
  EXPECT_TRUE(slice.endpoints[0].is_ready() && slice.endpoints[0].is_serving());
  EXPECT_EQ(slice.endpoints[0].node_name, "node-1");
  EXPECT_FALSE(slice.endpoints[1].is_ready());
  EXPECT_TRUE(slice.endpoints[1].is_serving() && slice.endpoints[1].is_terminating());
  EXPECT_EQ(slice.endpoints[1].hint_zones, (std::vector<std::string>{"us-west2-a"}));
  EXPECT_EQ(slice.endpoints[1].target, (TargetRef{"Pod", "default", "web-1"}));
  const EndpointSubset& subset = as<Endpoints>(m, 2).subsets.at(0);
  EXPECT_EQ(subset.addresses, (std::vector<EndpointAddress>{{ip("192.0.2.42"), "", {}}}));
  EXPECT_EQ(subset.not_ready_addresses, (std::vector<EndpointAddress>{{ip("192.0.2.43"), "", {}}}));
  EXPECT_EQ(subset.ports, (std::vector<EndpointPort>{{"", Protocol::kTcp, 9376}}));
}

TEST(Manifest, in_json) {
  const Manifests m = parsed(file("nodes.json"));
  ASSERT_EQ(m.objects.size(), 1u);
  const Node& node = as<Node>(m, 0);
  EXPECT_EQ(node.zone(), "eu-1a");
  EXPECT_EQ(node.pod_cidrs.size(), 2u);
  EXPECT_EQ(node.addresses, (std::vector<NodeAddress>{{"InternalIP", ip("192.0.2.1")}}));
}

TEST(Manifest, with_a_deployment_skips_it_when_asked_to_and_says_what_makes_its_pods) {
  const Manifests m = parsed(file("web-deployment.yaml"), {.name_space = "", .skip_unrelated = true});
  ASSERT_EQ(m.objects.size(), 1u);
  EXPECT_EQ(to_string(key_of(m.objects[0].object)), "service/shop/hello");
  EXPECT_EQ(
      m.skipped,
      (std::vector<std::string>{
          "m.yaml:1: Deployment hello skipped: Millrace starts no containers; make its pods with: millrace pod add "
          "NAME --namespace shop --label run=hello --port http:8080 --port 53/UDP",
          "m.yaml:21: ConfigMap settings skipped"}));
}

TEST(Manifest, takes_the_namespace_that_was_asked_for) {
  const Manifests m = parsed("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c}]}\n",
                             {.name_space = "shop", .skip_unrelated = false});
  ASSERT_EQ(m.objects.size(), 1u);
  EXPECT_EQ(m.objects[0].json["metadata"]["namespace"], "shop");
}

TEST(Manifest, follows_aliases) {
  const Manifests m = parsed(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: &l {app: web}, annotations: *l}\n"
      "spec: {containers: [{name: c}]}\n");
  ASSERT_EQ(m.objects.size(), 1u);
  EXPECT_EQ(as<Pod>(m, 0).meta.annotations, (Labels{{"app", "web"}}));
}

TEST(Manifest, has_the_status_of_a_pod) {
  const Manifests m = parsed(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a, deletionTimestamp: \"2024-01-01T00:00:00Z\"}\n"
      "spec: {containers: [{name: c}], hostNetwork: true, nodeName: n1,\n"
      "  initContainers: [{name: i, ports: [{containerPort: 1}]},\n"
      "                   {name: sidecar, restartPolicy: Always, ports: [{containerPort: 2}]}]}\n"
      "status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}],\n"
      "  conditions: [{type: Ready, status: \"False\"}]}\n");
  const Pod& pod = as<Pod>(m, 0);
  EXPECT_TRUE(pod.meta.deleting && pod.host_network);
  EXPECT_EQ(pod.node_name, "n1");
  EXPECT_EQ(pod.ports, (std::vector<ContainerPort>{{"", 2, Protocol::kTcp, 0}})) << "a sidecar goes on running";
  EXPECT_EQ(pod.addresses, (std::vector{ip("10.0.0.1"), ip("fd00::1")}));
  EXPECT_FALSE(pod.is_ready());
}

TEST(Manifest, has_one_canonical_form_that_reads_as_itself) {
  for (const auto& entry : std::filesystem::directory_iterator(MANIFESTS)) {
    const Manifests first = parsed(file(entry.path().filename()), {.name_space = "", .skip_unrelated = true});
    EXPECT_FALSE(first.objects.empty()) << entry.path();
    for (const Manifest& manifest : first.objects) {
      SCOPED_TRACE(to_string(key_of(manifest.object)));
      const auto again = parse_object(manifest.json);
      ASSERT_TRUE(again.ok()) << again.error().message;
      EXPECT_EQ(again->object, manifest.object);
      EXPECT_EQ(again->json, manifest.json);
      const Manifests from_yaml = parsed(to_yaml(manifest.json));
      ASSERT_EQ(from_yaml.objects.size(), 1u);
      EXPECT_EQ(from_yaml.objects[0].object, manifest.object);
      EXPECT_EQ(from_yaml.objects[0].json, manifest.json) << to_yaml(manifest.json);
    }
  }
}

// A policy for `app` without a value selects what has that label and an empty value: not every pod, also once it was kept.
TEST(Manifest, keeps_a_label_without_a_value) {
  const Manifests m = parsed(R"(
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: , zone: eu}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {selector: {app: }, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c}
spec: {podSelector: {matchLabels: {app: }}, ingress: [{from: [{podSelector: {matchLabels: {app: }}}]}]}
)");
  ASSERT_EQ(m.objects.size(), 3u);
  EXPECT_EQ(as<Pod>(m, 0).meta.labels, (Labels{{"app", ""}, {"zone", "eu"}}));
  EXPECT_EQ(as<Service>(m, 1).selector, (Labels{{"app", ""}}));
  EXPECT_EQ(as<NetworkPolicy>(m, 2).pod_selector.match_labels, (Labels{{"app", ""}}));
  for (const Manifest& manifest : m.objects) {
    const auto again = parse_object(manifest.json);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->object, manifest.object) << manifest.json.dump();
    EXPECT_EQ(again->json, manifest.json);
  }
}

TEST(Manifest, leaves_out_what_only_an_api_server_sets) {
  const Manifests m = parsed(
      "apiVersion: v1\nkind: Service\nmetadata: {name: a, resourceVersion: \"7\", generation: 2, uid: u-1, selfLink: "
      "x,\n"
      "  creationTimestamp: null, managedFields: [], annotations: {kubectl.kubernetes.io/last-applied-configuration: "
      "x}}\n"
      "spec: {ports: [{port: 80}]}\n");
  EXPECT_EQ(m.objects.at(0).json["metadata"].dump(), R"({"name":"a","namespace":"default","uid":"u-1"})");
}

}  // namespace
}  // namespace millrace::control::kube
