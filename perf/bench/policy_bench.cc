// Policy: how long a rule set takes to build, what a question costs, and what an Apply builds again when one thing of
// ten thousand rules changes.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/switch/policy_request.h"
#include "control/switch/policy_state.h"
#include "net/flow_key.h"
#include "perf/bench/cycles.h"
#include "policy/rule_set.h"

namespace millrace::perf::bench {
namespace {

namespace switchd = control::switchd;

constexpr std::uint32_t kIdentities = 5'000;  // of the group that the first rule names
constexpr unsigned kQuestions = 4096;

policy::IdentityGroup group_of(std::uint32_t first, std::uint32_t count) {
  std::vector<policy::Identity> identities;
  for (std::uint32_t i = 0; i < count; ++i) identities.push_back(first + i);
  return std::make_shared<const std::vector<policy::Identity>>(std::move(identities));
}

/// The first names all identities, the others one each, by turns as a group and as a block; each opens a port of its
/// own.
std::vector<policy::Rule> rules_of(std::uint32_t count) {
  std::vector<policy::Rule> rules(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(1000 + i % 1000);
    rules[i].ports.push_back({net::ip_protocol::kTcp, port, port});
    if (i == 0) {
      rules[i].groups.push_back(group_of(1, kIdentities));
    } else if (i % 2 == 0) {
      rules[i].groups.push_back(group_of(i % kIdentities + 1, 1));
    } else {
      rules[i].blocks.push_back(
          {net::Prefix::of(net::IpAddress::from(net::Ipv4::from_host(0x0b000000 + i * 256)), 24), {}});
    }
  }
  return rules;
}

void build(benchmark::State& state) {
  const auto rules = rules_of(static_cast<std::uint32_t>(state.range(0)));
  std::size_t bytes = 0;
  while (state.KeepRunning()) bytes = policy::RuleSet::build(rules).value()->memory_bytes();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(build)->ArgName("rules")->Arg(10)->Arg(100)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);

/// Peers and ports at random, half of the peers with an identity: what the caches hold, they hold.
void decide(benchmark::State& state) {
  const auto rules = policy::RuleSet::build(rules_of(static_cast<std::uint32_t>(state.range(0)))).value();
  std::vector<double> cycles;
  std::uint64_t number = 0;
  while (state.KeepRunning()) {
    const std::uint64_t begin = cycles_now();
    for (unsigned i = 0; i < kQuestions; ++i) {
      const std::uint64_t hash = net::mix64(++number);
      const auto peer = static_cast<policy::Identity>(hash % (2 * kIdentities));
      const auto address = net::Ipv4::from_host(0x0b000000 + static_cast<std::uint32_t>(hash >> 40));
      const auto port = static_cast<std::uint16_t>(1000 + (hash >> 20) % 1000);
      benchmark::DoNotOptimize(
          rules->decide(peer < kIdentities ? peer : policy::kNoIdentity, address, net::ip_protocol::kTcp, port));
    }
    cycles.push_back(static_cast<double>(cycles_now() - begin) / kQuestions);
  }
  const auto middle = cycles.begin() + static_cast<std::ptrdiff_t>(cycles.size() / 2);
  std::nth_element(cycles.begin(), middle, cycles.end());
  state.counters["cycles/question"] = *middle;
}
BENCHMARK(decide)->ArgName("rules")->Arg(10)->Arg(100)->Arg(1000)->Arg(10'000);

void add_group(api::ApplyRequest& request, std::uint32_t identities) {
  api::PeerGroup* group = request.add_upsert_groups();
  group->set_name("everybody");
  for (std::uint32_t i = 1; i <= identities; ++i) group->add_identities(i);
}

/// One port with all rules, a hundred a policy; every rule names a group, the first that of all identities.
api::ApplyRequest request_of(std::uint32_t rules) {
  api::ApplyRequest request;
  add_group(request, kIdentities);
  api::PortPolicy* port = request.add_upsert_port_policies();
  port->set_port("pod");
  for (std::uint32_t i = 0; i < rules; ++i) {
    if (i % 100 == 0) {
      api::Policy* policy = request.add_upsert_policies();
      policy->set_name("policy " + std::to_string(i));
      policy->set_object(policy->name());
      port->add_ingress(policy->name());
    }
    api::PolicyRule* rule = request.mutable_upsert_policies(request.upsert_policies_size() - 1)->add_ingress();
    rule->set_index(i % 100);
    api::PolicyPort* range = rule->add_ports();
    range->set_protocol(net::ip_protocol::kTcp);
    range->set_first(1000 + i % 1000);
    range->set_last(1000 + i % 1000);
    if (i == 0) {
      rule->add_groups("everybody");
      continue;
    }
    api::PeerGroup* group = request.add_upsert_groups();
    group->set_name("group " + std::to_string(i));
    group->add_identities(i % kIdentities + 1);
    rule->add_groups(group->name());
  }
  return request;
}

/// What an Apply does for a group of 5000 identities that gets or loses one: from the request to the state to publish.
void change_group(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  datapath::WorkerCounters counters(1, switchd::rule_slot_count(count));
  switchd::RuleSlots slots(count, {&counters});
  switchd::PolicyBase base{std::make_shared<const switchd::PolicyState>(),
                           std::make_shared<const switchd::PortPolicies>(),
                           {{"pod", datapath::PortKind::kPod}}};
  const auto apply = [&](const api::ApplyRequest& request) {
    const auto change = switchd::parse_policy(request, *base.policy).value();
    base.policy = switchd::next_policy(base, change, false, slots).value();
    base.port_policies = switchd::merge_port_policies(base.port_policies, change, false);
  };
  apply(request_of(count));
  api::ApplyRequest change;
  std::uint32_t round = 0;
  while (state.KeepRunning()) {
    state.PauseTiming();
    change.Clear();
    add_group(change, kIdentities + ++round % 2);
    state.ResumeTiming();
    apply(change);
  }
}
BENCHMARK(change_group)->ArgName("rules")->Arg(10)->Arg(100)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::perf::bench
