// NetworkPolicy manifests: what is read from them, and the form they are kept in.
#include "control/kube/network_policy.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "control/kube/manifest.h"
#include "tests/kube/policy_text.h"

namespace millrace::control::kube {
namespace {

Manifests parsed(const std::string& text) {
  auto manifests = parse_manifests(text, "m.yaml");
  EXPECT_TRUE(manifests.ok()) << (manifests ? "" : manifests.error().message);
  return manifests ? *std::move(manifests) : Manifests();
}

/// A policy whose spec is `spec`.
Manifest policy(const std::string& spec) {
  Manifests all =
      parsed("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: " + spec + "\n");
  return all.objects.size() == 1 ? std::move(all.objects[0]) : Manifest{NetworkPolicy(), {}};
}

const NetworkPolicy& as_policy(const Manifest& manifest) { return std::get<NetworkPolicy>(manifest.object); }

TEST(NetworkPolicy, recipes_read_as_they_are_meant) {
  std::ifstream stream(std::string(MANIFESTS) + "/network-policies.yaml");
  const Manifests m = parsed({std::istreambuf_iterator<char>(stream), {}});
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"deny-all-ingress", "*; isolates in\n"},
      {"deny-all", "*; isolates in out\n"},
      {"allow-all-ingress",
       "*; isolates in\n"
       "in: from all; on all\n"},
      {"allow-all-egress",
       "*; isolates out\n"
       "out: to all; on all\n"},
      {"together",
       "app=api; isolates in\n"
       "in: from pods app=worker in namespaces team=orders; on all\n"},
      {"separate",
       "app=api; isolates in\n"
       "in: from in namespaces team=orders, pods app=worker; on all\n"},
      {"from-some-namespaces",
       "*; isolates in\n"
       "in: from in namespaces !frozen,kubernetes.io/metadata.name in (back,front); on all\n"},
      {"database",
       "role=database,stage notin (test); isolates in out\n"
       "in: from 172.20.0.0/14 but 172.21.3.0/24 but 172.22.0.0/16, in namespaces team=orders, pods role=frontend; "
       "on TCP 5432\n"
       "out: to 192.0.2.0/25, 2001:db8::/48 but 2001:db8:0:8000::/64; on TCP 873\n"},
      {"range-of-ports",
       "*; isolates out\n"
       "out: to 10.0.0.0/24; on TCP 32000..32768\n"},
      {"dns-and-metrics",
       "tier; isolates in out\n"
       "in: from all; on TCP metrics\n"
       "out: to pods k8s-app=kube-dns in namespaces *; on UDP 53, TCP 53\n"},
      {"only-sctp",
       "*; isolates in\n"
       "in: from all; on SCTP *\n"},
  };
  ASSERT_EQ(m.objects.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const NetworkPolicy& read = as_policy(m.objects[i]);
    EXPECT_EQ(read.meta.name, rows[i].first);
    EXPECT_EQ(read.meta.name_space, "shop");
    EXPECT_EQ(policy_text(read), rows[i].second) << rows[i].first;
  }
  EXPECT_EQ(as_policy(m.objects[7]).meta.labels, (Labels{{"part-of", "database"}}));
}

TEST(NetworkPolicy, fields_may_be_absent_empty_and_in_any_order) {
  struct Row {
    const char* name;
    std::string spec;
    std::string text;
  };
  const std::vector<Row> rows = {
      {"no pod selector is the empty one", "{policyTypes: [Ingress]}", "*; isolates in\n"},
      {"no spec denies what comes to the namespace", "", "*; isolates in\n"},
      {"an empty spec, too", "{}", "*; isolates in\n"},
      {"empty types are absent types", "{podSelector: {}, policyTypes: [], egress: [{}]}",
       "*; isolates in out\nout: to all; on all\n"},
      {"no types and no rules of egress", "{podSelector: {}, egress: []}", "*; isolates in\n"},
      {"a type twice", "{podSelector: {}, policyTypes: [Egress, Egress]}", "*; isolates out\n"},
      {"types without the direction of the rules", "{policyTypes: [Ingress], egress: [{ports: [{port: 1}]}]}",
       "*; isolates in\nout: to all; on TCP 1\n"},
      {"egress alone leaves ingress open", "{policyTypes: [Egress], ingress: [{}]}",
       "*; isolates out\nin: from all; on all\n"},
      {"types behind the rules", "{egress: [{}], policyTypes: [Ingress]}", "*; isolates in\nout: to all; on all\n"},
      {"peers without entries do not restrict", "{ingress: [{from: [], ports: []}]}",
       "*; isolates in\nin: from all; on all\n"},
      {"null is absent", "{podSelector: null, ingress: [{from: null, ports: [{protocol: null, port: 5}]}]}",
       "*; isolates in\nin: from all; on TCP 5\n"},
      {"a selector that is empty is there", "{ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}]}]}",
       "*; isolates in\nin: from pods *, in namespaces *; on all\n"},
      {"a range of one port", "{ingress: [{ports: [{endPort: 443, port: 443}]}]}",
       "*; isolates in\nin: from all; on TCP 443..443\n"},
      {"the last port", "{ingress: [{ports: [{port: 1, endPort: 65535, protocol: SCTP}]}]}",
       "*; isolates in\nin: from all; on SCTP 1..65535\n"},
      {"a port's name of 15", "{ingress: [{ports: [{port: a23456789-12345, protocol: UDP}]}]}",
       "*; isolates in\nin: from all; on UDP a23456789-12345\n"},
      {"everything but one address", "{egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}",
       "*; isolates in out\nout: to 0.0.0.0/0 but 169.254.169.254/32; on all\n"},
      {"bits behind the prefix", "{ingress: [{from: [{ipBlock: {cidr: 10.1.2.3/8, except: [10.9.9.9/16]}}]}]}",
       "*; isolates in\nin: from 10.0.0.0/8 but 10.9.0.0/16; on all\n"},
      {"except one in another",
       "{ingress: [{from: [{ipBlock: {cidr: \"::/0\", except: [\"fd00::/8\", \"fd00::/16\"]}}]}]}",
       "*; isolates in\nin: from ::/0 but fd00::/8 but fd00::/16; on all\n"},
      {"labels without a value",
       "{podSelector: {matchLabels: {a: \"\"}, matchExpressions: [{key: b, operator: In, "
       "values: [\"\", c]}]}}",
       "a=,b in (,c); isolates in\n"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Manifest read = policy(row.spec);
    EXPECT_EQ(policy_text(as_policy(read)), row.text);
    const auto again = parse_object(read.json);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->object, read.object);
    EXPECT_EQ(again->json, read.json);
  }
}

TEST(NetworkPolicy, is_kept_with_the_defaults_of_the_api_server) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", R"({"podSelector":{},"policyTypes":["Ingress"]})"},
      {"{egress: [{ports: [{port: 53}, {protocol: UDP}]}]}",
       R"({"egress":[{"ports":[{"port":53,"protocol":"TCP"},{"protocol":"UDP"}]}],"podSelector":{},)"
       R"("policyTypes":["Ingress","Egress"]})"},
      {"{podSelector: {}, policyTypes: [Egress, Ingress], ingress: [{from: [{podSelector: null, ipBlock: {cidr: "
       "10.1.2.3/8}}]}]}",
       R"({"ingress":[{"from":[{"ipBlock":{"cidr":"10.1.2.3/8"}}]}],"podSelector":{},"policyTypes":["Egress","Ingress"]})"},
  };
  for (const auto& [spec, kept] : rows) EXPECT_EQ(policy(spec).json["spec"].dump(), kept) << spec;
}

TEST(NetworkPolicy, is_printed_as_kubectl_prints_it) {
  EXPECT_EQ(to_yaml(policy("{ingress: [{from: [{namespaceSelector: {}}], ports: [{port: http}]}]}").json),
            "apiVersion: networking.k8s.io/v1\n"
            "kind: NetworkPolicy\n"
            "metadata:\n"
            "  name: p\n"
            "  namespace: default\n"
            "spec:\n"
            "  ingress:\n"
            "  - from:\n"
            "    - namespaceSelector: {}\n"
            "    ports:\n"
            "    - port: http\n"
            "      protocol: TCP\n"
            "  podSelector: {}\n"
            "  policyTypes:\n"
            "  - Ingress\n");
}

TEST(NetworkPolicy, in_a_typed_list_and_with_the_status_of_an_old_server) {
  const Manifests m = parsed(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n"
      "- {metadata: {name: a}, spec: {podSelector: {}}, status: {}}\n- {metadata: {name: b}}\n");
  ASSERT_EQ(m.objects.size(), 2u);
  EXPECT_EQ(to_string(key_of(m.objects[1].object)), "networkpolicy/default/b");
}

}  // namespace
}  // namespace millrace::control::kube
