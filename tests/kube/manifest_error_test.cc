// Bad manifests: each row is a manifest and every word of the answer.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/kube/manifest.h"
#include "control/kube/yaml_reader.h"
#include "tests/kube/error_rows.h"

namespace millrace::control::kube {
namespace {

const std::string kKinds = "Namespace, Node, Pod, Service, Endpoints, EndpointSlice, NetworkPolicy";
const std::string kPortName = "1..15 of a-z 0-9 - with a letter, no - first, last or twice";
const std::string kUnicast = "a unicast address, not loopback, not link-local";

/// A Service whose spec is `spec`, from line 4 on.
std::string service(const std::string& spec) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n" + spec;
}
std::string pod(const std::string& spec) { return "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n" + spec; }
std::string slice(const std::string& rest) {
  return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web}\n" + rest;
}

TEST(ManifestError, of_the_file) {
  const std::string deep = "a: " + std::string(70, '[') + std::string(70, ']') + "\n";
  expect_errors({
      {"not YAML", "a: [1\n", "m.yaml:2: not YAML: end of sequence flow not found"},
      {"escape at the end", "a: \"\\", "m.yaml:1: not YAML: unknown escape character: ?"},
      {"escape of what is not ASCII", "a: \"\\\u00e9\"", "m.yaml:1: not YAML: unknown escape character: ?"},
      {"tab", "a:\n\tb: 1\n", "m.yaml:2: not YAML: a tab in the indentation; allowed: spaces"},
      {"comma", "a: 1\n---\nb: 1\n---\n,\n", "m.yaml:5: not YAML: a comma that belongs to nothing"},
      {"comma behind a map", "{},\n", "m.yaml:1: not YAML: a comma that belongs to nothing"},
      {"control character", "a: \x01\n", "m.yaml:1: control character; allowed: text in UTF-8"},
      {"Latin-1", "a: 1\nb: \xe4pfel\n", "m.yaml:2: not UTF-8; allowed: text in UTF-8"},
      {"overlong", "a: \xc0\xaf\n", "m.yaml:1: not UTF-8; allowed: text in UTF-8"},
      {"surrogate", "a: \xed\xa0\x80\n", "m.yaml:1: not UTF-8; allowed: text in UTF-8"},
      {"no object", "- 1\n", "m.yaml:1: is a list, not an object; allowed: a map with apiVersion, kind and metadata"},
      {"twice", "kind: Pod\nspec: {}\nkind: Pod\n",
       "m.yaml:3: the key \"kind\" is there twice; allowed: each key once"},
      {"nesting", deep, "m.yaml:1: is nested too deeply; allowed: 64 levels"},
      {"tag", "kind: !!binary aGk=\n",
       "m.yaml:1: has a YAML tag \"tag:yaml.org,2002:binary\"; allowed: !!str, or none"},
      {"alias of itself", "a: &x [*x]\n",
       "m.yaml:1: an alias in the value of its own anchor; allowed: aliases to what is complete"},
      {"key", "[a]: 1\n", "m.yaml:1: a key is not text; allowed: text"},
  });
}

TEST(ManifestError, of_aliases_that_would_fill_the_memory) {
  std::string text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("a{0}: &a{0} [*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1},*a{1}]\n", i, i - 1);
  }
  const auto manifests = parse_manifests(text, "m.yaml");
  ASSERT_FALSE(manifests.ok());
  EXPECT_EQ(manifests.error().message, "m.yaml:7: too many values; allowed: 8000000");
}

TEST(ManifestError, of_kinds) {
  expect_errors({
      {"no kind", "apiVersion: v1\n", "m.yaml:1: kind: is missing; allowed: " + kKinds},
      {"unknown kind", "apiVersion: v1\nkind: Servise\n", "m.yaml:2: kind: \"Servise\"; allowed: " + kKinds},
      {"kind with meaning for the network", "apiVersion: networking.k8s.io/v1\nkind: Ingress\n",
       "m.yaml:2: kind: \"Ingress\"; allowed: " + kKinds},
      {"other version", "apiVersion: v2\nkind: Service\n", "m.yaml:1: apiVersion: \"v2\"; allowed: v1"},
      {"no version", "kind: EndpointSlice\n", "m.yaml:1: apiVersion: is missing; allowed: discovery.k8s.io/v1"},
      {"list of unknown", "kind: IngressList\nitems: []\n", "m.yaml:1: kind: \"IngressList\"; allowed: " + kKinds},
      {"without meaning", "apiVersion: v1\nkind: Secret\n",
       "m.yaml:2: kind: Secret has no meaning for the network; skip it with --skip-unrelated; allowed: " + kKinds},
      {"workload",
       "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata: {labels: {app: "
       "web}}\n"
       "    spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}\n",
       "m.yaml:2: kind: Deployment: Millrace starts no containers; make its pods with: millrace pod add NAME --label "
       "app=web --port 80, and skip it with --skip-unrelated; allowed: " +
           kKinds},
      {"the same object twice",
       "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: "
       "a}\n",
       "m.yaml:5: namespace/a is there twice, first in line 1; allowed: each object once"},
  });
}

TEST(ManifestError, of_metadata) {
  const auto with = [](const std::string& metadata) {
    return "apiVersion: v1\nkind: Pod\nmetadata:\n" + metadata + "spec: {containers: [{name: c}]}\n";
  };
  expect_errors({
      {"none", "apiVersion: v1\nkind: Namespace\n", "m.yaml:1: metadata: is missing"},
      {"no name", with("  labels: {a: b}\n"),
       "m.yaml:3: metadata.name: is missing; allowed: 1..253 characters, parts of 1..63 of a-z 0-9 - with dots "
       "between, "
       "no - first or last in a part"},
      {"generateName", with("  name: a\n  generateName: b-\n"),
       "m.yaml:5: metadata.generateName: Millrace makes no names; allowed: metadata.name in its place"},
      {"name of a service", "apiVersion: v1\nkind: Service\nmetadata: {name: 1web}\nspec: {ports: [{port: 1}]}\n",
       "m.yaml:3: metadata.name: \"1web\"; allowed: 1..63 of a-z 0-9 -, a letter first, no - last"},
      {"number as a label", with("  name: a\n  labels:\n    version: 1\n"),
       "m.yaml:6: metadata.labels.version: 1 is a number, not text: put it in quotes"},
      {"boolean as a label", with("  name: a\n  labels:\n    on.off/x: yes\n"),
       "m.yaml:6: metadata.labels[on.off/x]: yes is a boolean, not text: put it in quotes"},
      {"label key", with("  name: a\n  labels: {-a: b}\n"),
       "m.yaml:5: metadata.labels.-a: the key cannot be; allowed: [DNS name/]name, the name 1..63 of A-Z a-z 0-9 - _ . "
       "with a letter or digit first and last"},
      {"label value", with("  name: a\n  labels: {a: b c}\n"),
       "m.yaml:5: metadata.labels.a: \"b c\"; allowed: \"\", or 1..63 of A-Z a-z 0-9 - _ . with a letter or digit "
       "first "
       "and last"},
      {"misspelt", with("  name: a\n  lables: {}\n"), "m.yaml:5: metadata.lables: unknown field, is labels meant?"},
      {"namespace of what has none", "apiVersion: v1\nkind: Node\nmetadata: {name: a, namespace: b}\n",
       "m.yaml:3: metadata.namespace: a Node is in no namespace"},
  });
}

TEST(ManifestError, of_a_services_fields) {
  expect_errors({
      {"port", service("  ports:\n  - port: 70000\n"), "m.yaml:6: spec.ports[0].port: 70000; allowed: 1..65535"},
      {"port in quotes", service("  ports:\n  - port: \"80\"\n"),
       "m.yaml:6: spec.ports[0].port: \"80\" is text, not an integer; allowed: 1..65535"},
      {"no port", service("  ports:\n  - name: x\n"), "m.yaml:6: spec.ports[0].port: is missing; allowed: 1..65535"},
      {"protocol", service("  ports: [{port: 1, protocol: tcp}]\n"),
       "m.yaml:5: spec.ports[0].protocol: \"tcp\"; allowed: TCP, UDP, SCTP"},
      {"targetPort", service("  ports: [{port: 1, targetPort: a--b}]\n"),
       "m.yaml:5: spec.ports[0].targetPort: \"a--b\"; allowed: 1..65535, or a name of " + kPortName},
      {"targetPort 0", service("  ports: [{port: 1, targetPort: 0}]\n"),
       "m.yaml:5: spec.ports[0].targetPort: 0; allowed: 1..65535, or a name of " + kPortName},
      {"misspelt", service("  prots: []\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.prots: unknown field, is ports meant?"},
      {"unknown in a port", service("  ports: [{port: 1, weight: 3}]\n"),
       "m.yaml:5: spec.ports[0].weight: unknown field; allowed: name, protocol, port, targetPort, nodePort, "
       "appProtocol"},
      {"type", service("  type: clusterip\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.type: \"clusterip\"; allowed: ClusterIP, NodePort, LoadBalancer, ExternalName"},
      {"clusterIP", service("  clusterIP: none\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.clusterIP: \"none\"; allowed: None, an IPv4 or IPv6 address, or \"\" to be given one"},
      {"external address", service("  externalIPs: [127.0.0.1]\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.externalIPs[0]: 127.0.0.1; allowed: " + kUnicast},
      {"source range",
       service("  type: LoadBalancer\n  loadBalancerSourceRanges: [10.0.0.0/33]\n  ports: [{port: 1}]\n"),
       "m.yaml:6: spec.loadBalancerSourceRanges[0]: \"10.0.0.0/33\"; allowed: an IPv4 or IPv6 prefix, ADDRESS/LENGTH"},
      {"families", service("  ipFamilies: [IPv4, IPv5]\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.ipFamilies[1]: \"IPv5\"; allowed: IPv4, IPv6\nm.yaml:5: spec.ipFamilies[1]: is there twice; "
       "allowed: each once"},
      {"affinity", service("  sessionAffinity: Client\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.sessionAffinity: \"Client\"; allowed: None, ClientIP"},
      {"affinity's time",
       service("  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}\n"
               "  ports: [{port: 1}]\n"),
       "m.yaml:6: spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0; allowed: 1..86400"},
      {"traffic policy", service("  internalTrafficPolicy: local\n  ports: [{port: 1}]\n"),
       "m.yaml:5: spec.internalTrafficPolicy: \"local\"; allowed: Cluster, Local"},
      {"selector", service("  selector: [a]\n  ports: [{port: 1}]\n"), "m.yaml:5: spec.selector: is a list, not a map"},
  });
}

TEST(ManifestError, of_what_holds_between_a_services_fields) {
  const std::string one = "  ports: [{port: 1}]\n";
  expect_errors({
      {"no ports", service("  selector: {a: b}\n"), "m.yaml:4: spec.ports: is missing; allowed: at least one port"},
      {"names", service("  ports:\n  - port: 1\n  - {port: 2, name: b}\n"),
       "m.yaml:6: spec.ports[0].name: is missing; allowed: a name each, as there are several"},
      {"same name", service("  ports:\n  - {port: 1, name: a}\n  - {port: 2, name: a}\n"),
       "m.yaml:7: spec.ports[1].name: \"a\" is there twice; allowed: each name once"},
      {"same port", service("  ports:\n  - {port: 1, name: a}\n  - {port: 1, name: b}\n"),
       "m.yaml:7: spec.ports[1].port: TCP 1 is there twice; allowed: each port of a protocol once"},
      {"nodePort of a ClusterIP", service("  ports: [{port: 1, nodePort: 30001}]\n"),
       "m.yaml:5: spec.ports[0].nodePort: with type ClusterIP; allowed: none, or type NodePort or LoadBalancer"},
      {"same nodePort",
       service(
           "  type: NodePort\n  ports: [{port: 1, name: a, nodePort: 30001}, {port: 2, name: b, nodePort: 30001}]\n"),
       "m.yaml:6: spec.ports[1].nodePort: TCP 30001 is there twice; allowed: each port of a protocol once"},
      {"kubelet", service("  type: LoadBalancer\n  ports: [{port: 10250}]\n"),
       "m.yaml:6: spec.ports[0].port: 10250 is the kubelet's, which a load balancer may not show to the world; "
       "allowed: "
       "another port"},
      {"headless NodePort", service("  type: NodePort\n  clusterIP: None\n" + one),
       "m.yaml:6: spec.clusterIP: None with type NodePort; allowed: an address, or type ClusterIP"},
      {"address of a name", service("  type: ExternalName\n  externalName: a.b\n  clusterIP: 10.96.0.1\n"),
       "m.yaml:7: spec.clusterIP: with type ExternalName; allowed: none"},
      {"no name", service("  type: ExternalName\n"),
       "m.yaml:4: spec.externalName: is missing; allowed: the name that the Service stands for"},
      {"two of one family", service("  ipFamilyPolicy: PreferDualStack\n  clusterIPs: [10.96.0.1, 10.96.0.2]\n" + one),
       "m.yaml:6: spec.clusterIPs: two of one family; allowed: at most one a family"},
      {"order of addresses",
       service("  ipFamilyPolicy: PreferDualStack\n  clusterIP: 10.96.0.1\n  clusterIPs: [\"fd00::1\", 10.96.0.1]\n" +
               one),
       "m.yaml:7: spec.clusterIPs: the first is not clusterIP; allowed: clusterIP first"},
      {"family of the address", service("  clusterIP: 10.96.0.1\n  ipFamilies: [IPv6]\n" + one),
       "m.yaml:6: spec.ipFamilies: the address 10.96.0.1 is none of IPv6; allowed: the families of clusterIPs, in "
       "their "
       "order"},
      {"two families, one stack", service("  ipFamilies: [IPv6, IPv4]\n" + one),
       "m.yaml:5: spec.ipFamilies: two families; allowed: one, or ipFamilyPolicy PreferDualStack or RequireDualStack"},
      {"policy of what is inside", service("  externalTrafficPolicy: Local\n" + one),
       "m.yaml:5: spec.externalTrafficPolicy: with type ClusterIP and no externalIPs; allowed: none, or a Service that "
       "can be reached from outside"},
      {"ranges of no balancer", service("  loadBalancerSourceRanges: [10.0.0.0/8]\n" + one),
       "m.yaml:5: spec.loadBalancerSourceRanges: with type ClusterIP; allowed: none, or type LoadBalancer"},
      {"health check of no use", service("  type: NodePort\n  healthCheckNodePort: 30001\n" + one),
       "m.yaml:6: spec.healthCheckNodePort: is of no use here; allowed: none, or type LoadBalancer with "
       "externalTrafficPolicy Local"},
      {"affinity's time without affinity", service("  sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}\n" + one),
       "m.yaml:5: spec.sessionAffinityConfig: without sessionAffinity ClientIP; allowed: none, or sessionAffinity: "
       "ClientIP"},
  });
}

TEST(ManifestError, of_endpoints) {
  expect_errors({
      {"no address type", slice("endpoints: []\n"), "m.yaml:1: addressType: is missing; allowed: IPv4, IPv6, FQDN"},
      {"family", slice("addressType: IPv4\nendpoints:\n- addresses: [\"fd00::1\"]\n"),
       "m.yaml:6: endpoints[0].addresses[0]: fd00::1; allowed: an address of the addressType, IPv4"},
      {"family, whatever the order", slice("endpoints:\n- addresses: [10.0.0.1]\naddressType: IPv6\n"),
       "m.yaml:5: endpoints[0].addresses[0]: 10.0.0.1; allowed: an address of the addressType, IPv6"},
      {"no address", slice("addressType: IPv4\nendpoints: [{conditions: {}}]\n"),
       "m.yaml:5: endpoints[0].addresses: is missing; allowed: 1..100 addresses"},
      {"link-local", slice("addressType: IPv4\nendpoints: [{addresses: [169.254.1.1]}]\n"),
       "m.yaml:5: endpoints[0].addresses[0]: 169.254.1.1; allowed: " + kUnicast},
      {"condition", slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: \"true\"}}]\n"),
       "m.yaml:5: endpoints[0].conditions.ready: \"true\" is text, not true or false"},
      {"ports of one name", slice("addressType: IPv4\nports: [{port: 1}, {port: 2}]\n"),
       "m.yaml:5: ports[1].name: \"\" is there twice; allowed: each name once"},
      {"subset", "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{ports: [{port: 1}]}]\n",
       "m.yaml:4: subsets[0].addresses: is missing; allowed: addresses or notReadyAddresses"},
      {"subset's port",
       "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 10.0.0.1}], ports: [{}]}]\n",
       "m.yaml:4: subsets[0].ports[0].port: is missing; allowed: 1..65535"},
  });
}

TEST(ManifestError, of_pods_and_nodes) {
  expect_errors({
      {"no containers", pod("  nodeName: a\n"),
       "m.yaml:4: spec.containers: is missing; allowed: at least one container"},
      {"misspelt in a container", pod("  containers: [{name: c, imagePullPolic: Always}]\n"),
       "m.yaml:5: spec.containers[0].imagePullPolic: unknown field, is imagePullPolicy meant?"},
      {"misspelt in the pod", pod("  containers: [{name: c}]\n  hostnetwork: true\n"),
       "m.yaml:6: spec.hostnetwork: unknown field, is hostNetwork meant?"},
      {"name of a port", pod("  containers: [{name: c, ports: [{containerPort: 1, name: UPPER}]}]\n"),
       "m.yaml:5: spec.containers[0].ports[0].name: \"UPPER\"; allowed: " + kPortName},
      {"port", pod("  containers: [{name: c, ports: [{containerPort: -1}]}]\n"),
       "m.yaml:5: spec.containers[0].ports[0].containerPort: -1; allowed: 1..65535"},
      {"two containers of one name", pod("  containers: [{name: c}, {name: c}]\n"),
       "m.yaml:5: spec.containers[1].name: \"c\" is there twice; allowed: each name once"},
      {"prefix of a node", "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDR: 10.0.0.0}\n",
       "m.yaml:4: spec.podCIDR: \"10.0.0.0\"; allowed: an IPv4 or IPv6 prefix, ADDRESS/LENGTH"},
      {"address of a node",
       "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus: {addresses: [{type: InternalIP, address: n1}]}\n",
       "m.yaml:4: status.addresses[0].address: \"n1\"; allowed: an IPv4 or IPv6 address"},
  });
}

TEST(ManifestError, tells_twenty_and_counts_the_rest) {
  std::string ports = "  ports:\n";
  for (int i = 0; i < 25; ++i) ports += fmt::format("  - {{port: {}, name: p{}}}\n", 70000 + i, i);
  const auto manifests = parse_manifests(service(ports), "m.yaml");
  ASSERT_FALSE(manifests.ok());
  const std::string& message = manifests.error().message;
  EXPECT_TRUE(message.ends_with("m.yaml:25: spec.ports[19].port: 70019; allowed: 1..65535\nand 5 errors more"))
      << message;
}

TEST(ManifestError, of_json_from_the_wire_has_no_line) {
  const auto object = parse_object(nlohmann::json::parse(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":0}]}})"));
  ASSERT_FALSE(object.ok());
  EXPECT_EQ(object.error().message, "spec.ports[0].port: 0; allowed: 1..65535");
}

TEST(ManifestError, of_another_namespace_than_was_asked_for) {
  const auto manifests = parse_manifests(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: b\nspec: {containers: [{name: c}]}\n", "m.yaml",
      {.name_space = "c", .skip_unrelated = false});
  ASSERT_FALSE(manifests.ok());
  EXPECT_EQ(manifests.error().message,
            "m.yaml:5: metadata.namespace: \"b\"; allowed: c, as the namespace that was asked for");
}

}  // namespace
}  // namespace millrace::control::kube
