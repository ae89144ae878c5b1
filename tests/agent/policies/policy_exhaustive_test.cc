// A small cluster and every policy of a grammar over it, alone and with every other one: each question about each,
// against the naive evaluator. Four pods in two namespaces, two ports, three protocols and ICMP.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/agent/policies/policy_world.h"

namespace millrace::control::agent::policies {
namespace {

const std::vector<std::uint8_t> kProtocols = {6, 17, 132, 1};
const std::vector<std::uint16_t> kPorts = {80, 81};
const std::vector<std::string> kPodAddresses = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"};

kube::LabelSelector labelled(const std::string& key, const std::string& value) {
  kube::LabelSelector selector;
  selector.match_labels[key] = value;
  return selector;
}

/// x/a, x/b, y/a, y/b; port 80 is "web" in the pods a, 81 in the pods b. y/b is attached elsewhere.
void put_pods(World& world) {
  unsigned number = 0;
  for (const std::string ns : {"x", "y"}) {
    kube::Namespace name_space;
    name_space.meta.name = ns;
    name_space.meta.labels = {{"kubernetes.io/metadata.name", ns}, {"ns", ns}};
    world.put(name_space);
    for (const std::string name : {"a", "b"}) {
      kube::Pod pod;
      pod.meta.name_space = ns;
      pod.meta.name = name;
      pod.meta.labels = {{"pod", name}};
      pod.node_name = number == 3 ? "there" : "here";
      pod.phase = kube::PodPhase::kRunning;
      pod.addresses = {ip(kPodAddresses[number++])};
      pod.ports = {{"web", static_cast<std::uint16_t>(name == "a" ? 80 : 81), kube::Protocol::kTcp, 0}};
      world.put(pod);
    }
  }
}

/// What `from` or `to` of the one rule may be: nothing said, and each kind of peer.
std::vector<std::vector<kube::PolicyPeer>> peer_lists() {
  const kube::LabelSelector all, a = labelled("pod", "a"), x = labelled("ns", "x");
  kube::PolicyPeer block;
  block.ip_block = kube::IpBlock{prefix("10.0.0.0/29"), {prefix("10.0.0.2/32")}};
  return {{},
          {{.pod_selector = all, .namespace_selector = {}, .ip_block = {}}},
          {{.pod_selector = a, .namespace_selector = {}, .ip_block = {}}},
          {{.pod_selector = {}, .namespace_selector = all, .ip_block = {}}},
          {{.pod_selector = {}, .namespace_selector = x, .ip_block = {}}},
          {{.pod_selector = a, .namespace_selector = x, .ip_block = {}}},
          {{.pod_selector = a, .namespace_selector = {}, .ip_block = {}},
           {.pod_selector = {}, .namespace_selector = x, .ip_block = {}}},
          {block}};
}

std::vector<std::vector<kube::PolicyPort>> port_lists() {
  const auto tcp = kube::Protocol::kTcp;
  return {{},
          {{.protocol = tcp, .port = 80, .name = "", .end_port = 0}},
          {{.protocol = tcp, .port = 80, .name = "", .end_port = 81}},
          {{.protocol = tcp, .port = 0, .name = "web", .end_port = 0}},
          {{.protocol = kube::Protocol::kUdp, .port = 0, .name = "", .end_port = 0}},
          {{.protocol = kube::Protocol::kSctp, .port = 81, .name = "", .end_port = 0}}};
}

/// All policies: whom they choose, which directions, and no rule or one of each peer and port.
std::vector<kube::NetworkPolicy> all_policies() {
  std::vector<std::vector<kube::PolicyRule>> rule_lists = {{}};
  for (const auto& peers : peer_lists()) {
    for (const auto& ports : port_lists()) rule_lists.push_back({{peers, ports}});
  }
  std::vector<kube::NetworkPolicy> made;
  for (const kube::LabelSelector& chosen : {kube::LabelSelector{}, labelled("pod", "a")}) {
    for (const bool ingress : {false, true}) {
      for (const bool egress : {false, true}) {
        if (!ingress && !egress) continue;
        for (const auto& rules : rule_lists) {
          kube::NetworkPolicy policy;
          policy.pod_selector = chosen;
          policy.isolates_ingress = ingress;
          policy.isolates_egress = egress;
          policy.ingress = policy.egress = rules;
          made.push_back(policy);
        }
      }
    }
  }
  return made;
}

/// Every pair of addresses, one of nobody's among them, at every port. Counts both answers.
void expect_as_the_text_says(World& world, const std::string& where, std::size_t (&seen)[2]) {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : kPodAddresses) addresses.push_back(ip(text));
  addresses.push_back(ip("10.0.0.6"));
  for (const net::IpAddress& source : addresses) {
    for (const net::IpAddress& destination : addresses) {
      if (source == destination) continue;
      for (const std::uint8_t protocol : kProtocols) {
        for (const std::uint16_t port : kPorts) {
          const Question asked{source, destination, protocol, port};
          const bool want = world.naive_allows(asked);
          ++seen[want];
          ASSERT_EQ(world.allows(asked), want) << fmt::format(
              "{}: {} -> {} protocol {} port {}", where, source.to_string(), destination.to_string(), protocol, port);
        }
      }
    }
  }
}

TEST(PolicyExhaustive, every_policy_alone) {
  std::size_t seen[2] = {};
  const std::vector<kube::NetworkPolicy> policies = all_policies();
  World world;
  put_pods(world);
  for (std::size_t i = 0; i < policies.size(); ++i) {
    kube::NetworkPolicy policy = policies[i];
    policy.meta.name_space = "x";
    policy.meta.name = "one";
    world.put(policy);
    world.step();
    expect_as_the_text_says(world, fmt::format("policy {}", i), seen);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(policies.size(), 2u * 3 * (1 + 8 * 6));
  EXPECT_GT(seen[0], 10'000u);
  EXPECT_GT(seen[1], 10'000u);
}

// One after the other takes the other's place, in both namespaces: also what a change leaves behind is in question.
TEST(PolicyExhaustive, every_pair_of_rules_in_two_namespaces) {
  std::size_t seen[2] = {};
  std::vector<kube::NetworkPolicy> policies;
  for (const kube::NetworkPolicy& policy : all_policies()) {
    if (policy.isolates_ingress && policy.isolates_egress && !policy.pod_selector.empty()) policies.push_back(policy);
  }
  World world;
  put_pods(world);
  for (std::size_t i = 0; i < policies.size(); ++i) {
    for (std::size_t k = 0; k < policies.size(); ++k) {
      for (const auto& [ns, index] : {std::pair{"x", i}, {"y", k}}) {
        kube::NetworkPolicy policy = policies[index];
        policy.meta.name_space = ns;
        policy.meta.name = "one";
        world.put(policy);
      }
      world.step();
      expect_as_the_text_says(world, fmt::format("policies {} and {}", i, k), seen);
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_EQ(policies.size(), 49u);
  EXPECT_GT(seen[0], 10'000u);
  EXPECT_GT(seen[1], 10'000u);
}

}  // namespace
}  // namespace millrace::control::agent::policies
