// What a change costs in a large cluster: 5,000 pods, 1,000 policies of 10 rules. Figures are printed; the limits are
// far above them, for machines that do other things, and far below what compiling everything anew takes.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>

#include "tests/agent/policies/policy_world.h"

namespace millrace::control::agent::policies {
namespace {

constexpr int kNamespaces = 50, kPods = 5'000, kPolicies = 1'000, kRules = 10, kLocalPods = 250;

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

kube::Object make_pod(int i) {
  kube::Pod pod;
  pod.meta.name_space = fmt::format("ns-{}", i % kNamespaces);
  pod.meta.name = fmt::format("pod-{}", i);
  pod.meta.labels = {{"app", fmt::format("app-{}", i % 500)}, {"pod", fmt::format("{}", i)}};
  pod.addresses = {ip(fmt::format("10.{}.{}.1", i / 250, i % 250))};
  pod.phase = kube::PodPhase::kRunning;
  pod.ports = {{"http", static_cast<std::uint16_t>(8000 + i % 3), kube::Protocol::kTcp, 0}};
  return pod;
}

kube::NetworkPolicy make_policy(int i) {
  kube::NetworkPolicy policy;
  policy.meta.name_space = fmt::format("ns-{}", i % kNamespaces);
  policy.meta.name = fmt::format("policy-{}", i);
  policy.isolates_egress = true;
  for (int r = 0; r < kRules; ++r) {
    kube::PolicyRule& rule = (r % 2 == 0 ? policy.ingress : policy.egress).emplace_back();
    kube::PolicyPeer& peer = rule.peers.emplace_back();
    peer.pod_selector.emplace().match_labels = {{"app", fmt::format("app-{}", (i * kRules + r) % 500)}};
    if (r % 3 == 0) peer.namespace_selector.emplace();
    kube::PolicyPort& port = rule.ports.emplace_back();
    if (r % 5 == 0) {
      port.name = "http";
    } else {
      port.port = static_cast<std::uint16_t>(1000 + r);
    }
  }
  return policy;
}

TEST(PolicySpeed, a_change_costs_what_it_touches) {
  Compiler compiler;
  const auto put = [&](kube::Object object) {
    const auto made = std::make_shared<const kube::Object>(std::move(object));
    compiler.note({kube::key_of(*made), nullptr, made});
  };
  std::vector<LocalPort> ports;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kPods; ++i) {
    kube::Object pod = make_pod(i);
    if (i < kLocalPods) {
      ports.push_back({fmt::format("port-{}", i), i + 1, kube::key_of(pod), std::get<kube::Pod>(pod).addresses});
    }
    put(std::move(pod));
  }
  for (int i = 0; i < kPolicies; ++i) put(make_policy(i));
  compiler.set_local_ports(ports);
  const api::ApplyRequest all = compiler.take_changes();
  const double whole_ms = ms_since(start);
  EXPECT_EQ(all.upsert_endpoints_size(), kPods);
  EXPECT_GE(all.upsert_policies_size(), kPolicies);

  const auto take = [&](const char* what, auto change) {
    const auto begin = std::chrono::steady_clock::now();
    change();
    const api::ApplyRequest delta = compiler.take_changes();
    const double ms = ms_since(begin);
    fmt::print("{}: {:.2f} ms, {} endpoints, {} groups, {} policies, {} ports\n", what, ms,
               delta.upsert_endpoints_size(), delta.upsert_groups_size(), delta.upsert_policies_size(),
               delta.upsert_port_policies_size());
    EXPECT_LT(ms, whole_ms / 4) << what;
    return delta;
  };
  fmt::print("everything: {:.1f} ms, {} groups, {} policies\n", whole_ms, all.upsert_groups_size(),
             all.upsert_policies_size());
  auto delta = take("a pod elsewhere, with labels of its own", [&] { put(make_pod(kPods)); });
  EXPECT_EQ(delta.upsert_endpoints_size(), 1);
  EXPECT_EQ(delta.upsert_policies_size(), 0);
  delta = take("a pod that is attached here", [&] {
    kube::Object pod = make_pod(kPods + 1);
    ports.push_back({"port-new", kPods, kube::key_of(pod), std::get<kube::Pod>(pod).addresses});
    put(std::move(pod));
    compiler.set_local_ports(ports);
  });
  EXPECT_EQ(delta.upsert_port_policies_size(), 1);
  delta = take("a policy with a rule more", [&] {
    kube::NetworkPolicy policy = make_policy(7);
    policy.ingress.emplace_back().ports.emplace_back().port = 9999;
    put(policy);
  });
  EXPECT_EQ(delta.upsert_groups_size(), 0);
  EXPECT_LE(delta.upsert_policies_size(), 3) << "its variants";
  kube::Namespace relabelled;
  relabelled.meta.name = "ns-1";
  relabelled.meta.labels = {{"team", "x"}};
  take("a namespace of 100 pods, relabelled", [&] { put(relabelled); });
}

}  // namespace
}  // namespace millrace::control::agent::policies
