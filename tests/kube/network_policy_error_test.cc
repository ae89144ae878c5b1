// NetworkPolicies that the API server refuses: each row is a spec and every word of the answer.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/kube/manifest.h"
#include "control/kube/network_policy.h"
#include "tests/kube/error_rows.h"

namespace millrace::control::kube {
namespace {

const std::string kPort = "1..65535, or a name of 1..15 of a-z 0-9 - with a letter, no - first, last or twice";
const std::string kPrefix = "an IPv4 or IPv6 prefix, ADDRESS/LENGTH";
const std::string kLabelKey =
    "[DNS name/]name, the name 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last";
const std::string kLabelValue = "\"\", or 1..63 of A-Z a-z 0-9 - _ . with a letter or digit first and last";

/// A policy whose spec is `spec`, from line 5 on.
std::string policy(const std::string& spec) {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n" + spec;
}
/// The port is in line 7.
std::string port(const std::string& fields) { return policy("  ingress:\n  - ports:\n    - {" + fields + "}\n"); }
/// The peer starts in line 7.
std::string peer(const std::string& lines) { return policy("  egress:\n  - to:\n    - " + lines); }
/// The requirement is in line 7.
std::string requirement(const std::string& fields) {
  return policy("  podSelector:\n    matchExpressions:\n    - {" + fields + "}\n");
}

TEST(NetworkPolicyError, of_ports) {
  const std::string at = "m.yaml:7: spec.ingress[0].ports[0].";
  expect_errors({
      {"endPort below port", port("port: 8080, endPort: 80"),
       at + "endPort: 80 is below port 8080; allowed: 8080..65535"},
      {"endPort below port, in any order", port("endPort: 1, port: 2"),
       at + "endPort: 1 is below port 2; allowed: 2..65535"},
      {"endPort of a name", port("port: http, endPort: 80"),
       at + "endPort: with a port by its name; allowed: none, or port as a number"},
      {"endPort alone", port("endPort: 80"), at + "endPort: without port; allowed: none, or port as a number"},
      {"endPort too high", port("port: 80, endPort: 65536"), at + "endPort: 65536; allowed: 1..65535"},
      {"endPort 0", port("port: 80, endPort: 0"), at + "endPort: 0; allowed: 1..65535"},
      {"endPort as a name", port("port: 80, endPort: http"),
       at + "endPort: \"http\" is text, not an integer; allowed: 1..65535"},
      {"port 0", port("port: 0"), at + "port: 0; allowed: " + kPort},
      {"port too high", port("port: 65536"), at + "port: 65536; allowed: " + kPort},
      {"port below 0", port("port: -1"), at + "port: -1; allowed: " + kPort},
      {"port in quotes", port("port: \"80\""), at + "port: \"80\"; allowed: " + kPort},
      {"no name", port("port: \"\""), at + "port: \"\"; allowed: " + kPort},
      {"name of 16", port("port: a234567890123456"), at + "port: \"a234567890123456\"; allowed: " + kPort},
      {"name in capitals", port("port: HTTP"), at + "port: \"HTTP\"; allowed: " + kPort},
      {"name with - twice", port("port: a--b"), at + "port: \"a--b\"; allowed: " + kPort},
      {"name with - last", port("port: a-"), at + "port: \"a-\"; allowed: " + kPort},
      {"not whole", port("port: 1.5"), at + "port: 1.5 is a number, not an integer or a name; allowed: " + kPort},
      {"protocol", port("protocol: ICMP"), at + "protocol: \"ICMP\"; allowed: TCP, UDP, SCTP"},
      {"protocol in small letters", port("protocol: tcp, port: 80"), at + "protocol: \"tcp\"; allowed: TCP, UDP, SCTP"},
      {"misspelt", port("port: 80, endport: 90"), at + "endport: unknown field, is endPort meant?"},
      {"a number for a port", policy("  ingress:\n  - ports:\n    - 80\n"),
       "m.yaml:7: spec.ingress[0].ports[0]: 80 is a number, not a map"},
  });
}

TEST(NetworkPolicyError, of_ip_blocks) {
  const std::string at = "m.yaml:7: spec.egress[0].to[0].ipBlock.";
  const auto block = [](const std::string& fields) { return peer("ipBlock: {" + fields + "}\n"); };
  expect_errors({
      {"no cidr", block("except: [10.0.0.0/8]"), at + "cidr: is missing; allowed: " + kPrefix},
      {"empty cidr", block("cidr: \"\""), at + "cidr: is missing; allowed: " + kPrefix},
      {"address", block("cidr: 10.0.0.1"), at + "cidr: \"10.0.0.1\"; allowed: " + kPrefix},
      {"too long", block("cidr: 10.0.0.0/33"), at + "cidr: \"10.0.0.0/33\"; allowed: " + kPrefix},
      {"too long for IPv6", block("cidr: \"::/129\""), at + "cidr: \"::/129\"; allowed: " + kPrefix},
      {"a mask", block("cidr: 10.0.0.0/255.0.0.0"), at + "cidr: \"10.0.0.0/255.0.0.0\"; allowed: " + kPrefix},
      {"zeros before", block("cidr: 010.0.0.0/8"), at + "cidr: \"010.0.0.0/8\"; allowed: " + kPrefix},
      {"number", block("cidr: 10"), at + "cidr: 10 is a number, not a prefix: put it in quotes"},
      {"IPv4 as IPv6", block("cidr: \"::ffff:10.0.0.0/104\""),
       at + "cidr: \"::ffff:10.0.0.0/104\" is IPv4 written as IPv6; allowed: the IPv4 prefix, ADDRESS/LENGTH"},
      {"outside", block("cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16]"),
       at + "except[1]: \"11.0.0.0/16\"; allowed: a smaller prefix inside cidr, 10.0.0.0/8"},
      {"outside, in any order", block("except: [11.0.0.0/16], cidr: 10.0.0.0/8"),
       at + "except[0]: \"11.0.0.0/16\"; allowed: a smaller prefix inside cidr, 10.0.0.0/8"},
      {"all of it", block("cidr: 10.0.0.0/8, except: [10.0.0.0/8]"),
       at + "except[0]: \"10.0.0.0/8\"; allowed: a smaller prefix inside cidr, 10.0.0.0/8"},
      {"all of it, by another address", block("cidr: 10.1.0.0/8, except: [10.2.0.0/8]"),
       at + "except[0]: \"10.2.0.0/8\"; allowed: a smaller prefix inside cidr, 10.0.0.0/8"},
      {"more than it", block("cidr: 10.0.0.0/8, except: [10.0.0.0/7]"),
       at + "except[0]: \"10.0.0.0/7\"; allowed: a smaller prefix inside cidr, 10.0.0.0/8"},
      {"of the other family", block("cidr: 0.0.0.0/0, except: [\"fd00::/8\"]"),
       at + "except[0]: \"fd00::/8\"; allowed: a smaller prefix inside cidr, 0.0.0.0/0"},
      {"except is an address", block("cidr: 10.0.0.0/8, except: [10.0.0.1]"),
       at + "except[0]: \"10.0.0.1\"; allowed: " + kPrefix},
      {"except is no list", block("cidr: 10.0.0.0/8, except: 10.0.0.1/32"),
       at + "except: \"10.0.0.1/32\" is text, not a list"},
      {"of a bad cidr nothing is said", block("cidr: ten, except: [11.0.0.0/16]"),
       at + "cidr: \"ten\"; allowed: " + kPrefix},
      {"misspelt", block("cidr: 10.0.0.0/8, expect: []"), at + "expect: unknown field, is except meant?"},
  });
}

TEST(NetworkPolicyError, of_peers) {
  const std::string nothing =
      "says no peer; allowed: podSelector, namespaceSelector or both, or ipBlock; {} selects all";
  expect_errors({
      {"nothing", peer("{}\n"), "m.yaml:7: spec.egress[0].to[0]: " + nothing},
      {"a selector without a value", peer("podSelector:\n"), "m.yaml:7: spec.egress[0].to[0]: " + nothing},
      {"null", peer("null\n"), "m.yaml:7: spec.egress[0].to[0]: is empty, not a map"},
      {"block and pods", peer("podSelector: {}\n      ipBlock: {cidr: 10.0.0.0/8}\n"),
       "m.yaml:8: spec.egress[0].to[0].ipBlock: with a selector; allowed: ipBlock alone, as a peer of its own"},
      {"block and namespaces", peer("ipBlock: {cidr: 10.0.0.0/8}\n      namespaceSelector: {}\n"),
       "m.yaml:7: spec.egress[0].to[0].ipBlock: with a selector; allowed: ipBlock alone, as a peer of its own"},
      {"misspelt", peer("ipblock: {cidr: 10.0.0.0/8}\n"),
       "m.yaml:7: spec.egress[0].to[0].ipblock: unknown field, is ipBlock meant?"},
      {"from in egress", policy("  egress:\n  - from: []\n"),
       "m.yaml:6: spec.egress[0].from: unknown field; allowed: to, ports"},
      {"to in ingress", policy("  ingress:\n  - to: []\n"),
       "m.yaml:6: spec.ingress[0].to: unknown field; allowed: from, ports"},
      {"a map of peers", policy("  ingress:\n  - from: {podSelector: {}}\n"),
       "m.yaml:6: spec.ingress[0].from: is a map, not a list"},
  });
}

TEST(NetworkPolicyError, of_selectors) {
  const std::string at = "m.yaml:7: spec.podSelector.matchExpressions[0].";
  expect_errors({
      {"In without values", requirement("key: a, operator: In"),
       at + "values: none with operator In; allowed: at least one"},
      {"NotIn with an empty list", requirement("key: a, operator: NotIn, values: []"),
       at + "values: none with operator NotIn; allowed: at least one"},
      {"Exists with values", requirement("key: a, operator: Exists, values: [b]"),
       at + "values: with operator Exists; allowed: none, or operator In or NotIn"},
      {"DoesNotExist with values", requirement("values: [b], key: a, operator: DoesNotExist"),
       at + "values: with operator DoesNotExist; allowed: none, or operator In or NotIn"},
      {"operator of another selector", requirement("key: a, operator: Gt, values: [\"1\"]"),
       at + "operator: \"Gt\"; allowed: In, NotIn, Exists, DoesNotExist"},
      {"operator in small letters", requirement("key: a, operator: in, values: [b]"),
       at + "operator: \"in\"; allowed: In, NotIn, Exists, DoesNotExist"},
      {"no operator", requirement("key: a, values: [b]"),
       at + "operator: is missing; allowed: In, NotIn, Exists, DoesNotExist"},
      {"no key", requirement("operator: Exists"), at + "key: is missing; allowed: " + kLabelKey},
      {"empty key", requirement("key: \"\", operator: Exists"), at + "key: \"\"; allowed: " + kLabelKey},
      {"key", requirement("key: a/b/c, operator: Exists"), at + "key: \"a/b/c\"; allowed: " + kLabelKey},
      {"value", requirement("key: a, operator: In, values: [b, -c]"),
       at + "values[1]: \"-c\"; allowed: " + kLabelValue},
      {"value of 64", requirement("key: a, operator: In, values: [" + std::string(64, 'v') + "]"),
       at + "values[0]: \"" + std::string(40, 'v') + "...\"; allowed: " + kLabelValue},
      {"number", requirement("key: a, operator: In, values: [1]"),
       at + "values[0]: 1 is a number, not text: put it in quotes"},
      {"one value", requirement("key: a, operator: In, values: b"), at + "values: \"b\" is text, not a list"},
      {"matchLabels' key", policy("  podSelector:\n    matchLabels:\n      -a: b\n"),
       "m.yaml:7: spec.podSelector.matchLabels.-a: the key cannot be; allowed: " + kLabelKey},
      {"matchLabels' value", policy("  podSelector:\n    matchLabels: {a: b c}\n"),
       "m.yaml:6: spec.podSelector.matchLabels.a: \"b c\"; allowed: " + kLabelValue},
      {"labels of a Service's selector", policy("  podSelector: {app: web}\n"),
       "m.yaml:5: spec.podSelector.app: unknown field; allowed: matchLabels, matchExpressions"},
      {"of a peer", peer("namespaceSelector:\n        matchLabels: {a: 1}\n"),
       "m.yaml:8: spec.egress[0].to[0].namespaceSelector.matchLabels.a: 1 is a number, not text: put it in quotes"},
  });
}

TEST(NetworkPolicyError, of_the_spec) {
  expect_errors({
      {"type", policy("  policyTypes: [Ingress, egress]\n"),
       "m.yaml:5: spec.policyTypes[1]: \"egress\"; allowed: Ingress, Egress"},
      {"three types", policy("  policyTypes: [Ingress, Egress, Ingress]\n"),
       "m.yaml:5: spec.policyTypes: 3 entries; allowed: at most 2"},
      {"a type alone", policy("  policyTypes: Ingress\n"),
       "m.yaml:5: spec.policyTypes: \"Ingress\" is text, not a list"},
      {"rule without a value", policy("  ingress:\n  - null\n"), "m.yaml:6: spec.ingress[0]: is empty, not a map"},
      {"rules as a map", policy("  ingress: {}\n"), "m.yaml:5: spec.ingress: is a map, not a list"},
      {"misspelt", policy("  ingres: []\n"), "m.yaml:5: spec.ingres: unknown field, is ingress meant?"},
      {"name", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: A}\n",
       "m.yaml:3: metadata.name: \"A\"; allowed: 1..253 characters, parts of 1..63 of a-z 0-9 - with dots between, no "
       "- "
       "first or last in a part"},
      {"no metadata", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n", "m.yaml:1: metadata: is missing"},
      {"old version", "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: a}\n",
       "m.yaml:1: apiVersion: \"extensions/v1beta1\"; allowed: networking.k8s.io/v1"},
      {"every error is told",
       policy("  podSelector: {matchLabels: {a: \"-\"}}\n  ingress:\n  - ports: [{port: 0}, {protocol: x}]\n"),
       "m.yaml:5: spec.podSelector.matchLabels.a: \"-\"; allowed: " + kLabelValue +
           "\nm.yaml:7: spec.ingress[0].ports[0].port: 0; allowed: " + kPort +
           "\nm.yaml:7: spec.ingress[0].ports[1].protocol: \"x\"; allowed: TCP, UDP, SCTP"},
  });
}

/// `count` times `entry` in a list.
std::string list(std::size_t count, const std::string& entry) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + entry;
  return text + "]";
}

TEST(NetworkPolicyError, of_more_than_the_limits) {
  struct Limit {
    std::string path;
    std::size_t most;
    std::string before, entry, after;
  };
  const std::vector<Limit> limits = {
      {"spec.ingress", kMaxPolicyRules, "{ingress: ", "{}", "}"},
      {"spec.egress", kMaxPolicyRules, "{egress: ", "{}", "}"},
      {"spec.ingress[0].from", kMaxPolicyPeers, "{ingress: [{from: ", "{podSelector: {}}", "}]}"},
      {"spec.egress[0].ports", kMaxPolicyPorts, "{egress: [{ports: ", "{port: 1}", "}]}"},
      {"spec.ingress[0].from[0].ipBlock.except", kMaxPolicyExcepts,
       "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ", "10.1.0.0/16", "}}]}]}"},
      {"spec.podSelector.matchExpressions", kMaxSelectorTerms,
       "{podSelector: {matchExpressions: ", "{key: a, operator: Exists}", "}}"},
      {"spec.podSelector.matchExpressions[0].values", kMaxSelectorValues,
       "{podSelector: {matchExpressions: [{key: a, operator: In, values: ", "v", "}]}}"},
  };
  for (const Limit& limit : limits) {
    SCOPED_TRACE(limit.path);
    const auto of = [&](std::size_t count) {
      return parse_manifests(policy("  " + limit.before + list(count, limit.entry) + limit.after + "\n"), "m.yaml");
    };
    const auto most = of(limit.most);
    EXPECT_TRUE(most.ok()) << most.error().message;
    const auto more = of(limit.most + 1);
    ASSERT_FALSE(more.ok());
    EXPECT_EQ(more.error().message,
              fmt::format("m.yaml:5: {}: {} entries; allowed: at most {}", limit.path, limit.most + 1, limit.most));
  }
  std::string labels;
  for (std::size_t i = 0; i <= kMaxSelectorTerms; ++i) labels += fmt::format("{}k{}: v", i == 0 ? "" : ", ", i);
  const auto labelled = parse_manifests(policy("  podSelector: {matchLabels: {" + labels + "}}\n"), "m.yaml");
  ASSERT_FALSE(labelled.ok());
  EXPECT_EQ(labelled.error().message, "m.yaml:5: spec.podSelector.matchLabels: 101 entries; allowed: at most 100");
}

}  // namespace
}  // namespace millrace::control::kube
