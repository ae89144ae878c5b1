// Policy in the way of a packet: both ends, both directions, behind services and masquerade, on one and two workers,
// and for flows that are there when it changes.
#include <gtest/gtest.h>

#include "policy/rule_set.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr std::uint8_t kUdp = net::ip_protocol::kUdp;
constexpr net::PortId kClient = 1, kServer = 2, kHost = 3, kOther = 4;
constexpr policy::Identity kClients = 1, kServers = 2, kOthers = 3;
constexpr std::uint32_t kRuleSlots = 8;

using Rules = std::vector<policy::Rule>;

std::shared_ptr<const policy::RuleSet> rule_set(const Rules& rules) { return policy::RuleSet::build(rules).value(); }

policy::Rule from_identity(policy::Identity identity, std::vector<policy::PortRange> ports = {},
                           std::uint32_t counter = 0) {
  return {.counter = counter,
          .any_peer = false,
          .groups = {std::make_shared<const std::vector<policy::Identity>>(1, identity)},
          .blocks = {},
          .ports = std::move(ports)};
}
policy::Rule from_block(const char* cidr, std::vector<policy::PortRange> ports = {}) {
  return {.counter = 0,
          .any_peer = false,
          .groups = {},
          .blocks = {{net::Prefix::parse(cidr).value(), {}}},
          .ports = std::move(ports)};
}

/// The client on worker 0, the server and another pod on the last one, the host on worker 0. Run with one worker and
/// with two: the verdicts are the same.
class Policy : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    describe_nat(world_);
    const auto last = static_cast<WorkerId>(GetParam() - 1);
    for (const auto& [id, number, worker] :
         {std::tuple<net::PortId, unsigned, WorkerId>{kClient, 3, 0}, {kServer, 4, last}, {kOther, 5, last}}) {
      world_.add_pod(id, number, worker).masquerade = true;
    }
    world_.add_host(kHost, 0);
    world_.services = {service_to("10.96.0.10", kUdp, 53, {pod_v4(4)}, 5353),
                       service_to("10.96.0.11", kUdp, 53, {pod_v4(3)}, 5353),
                       service_to("192.0.2.1", kUdp, 30'053, {pod_v4(4)}, 5353, true)};
    std::vector<policy::Endpoint> endpoints;
    for (const auto& [number, identity] : {std::pair{3u, kClients}, {4u, kServers}, {5u, kOthers}}) {
      endpoints.push_back({net::IpAddress::parse(pod_v4(number)).value(), identity});
      endpoints.push_back({net::IpAddress::parse(pod_v6(number)).value(), identity});
    }
    world_.identities = policy::IdentityTable::build(endpoints).value();
    world_.publish();
  }
  void TearDown() override { world_.check_law(); }

  void isolate(net::PortId id, const Rules* ingress, const Rules* egress = nullptr) {
    world_.spec(id).ingress = ingress == nullptr ? nullptr : rule_set(*ingress);
    world_.spec(id).egress = egress == nullptr ? nullptr : rule_set(*egress);
    world_.publish();
  }
  static Bytes udp(unsigned from, const std::string& to, std::uint16_t source, std::uint16_t port) {
    return eth(pod_mac(from), kGatewayMac).ipv4(pod_v4(from), to).udp(source, port).bytes();
  }
  static Bytes from_host(const std::string& source, const std::string& to, std::uint16_t port) {
    return eth("02:00:00:00:00:ff", kGatewayMac).ipv4(source, to).udp(20000, port).bytes();
  }

  TestSwitch world_{SwitchShape{.workers = GetParam(), .rule_limit = kRuleSlots}};
  const std::string there_ = "2: udp 10.244.0.3:20000 > 10.244.0.4:5353";
  const std::string back_ = "1: udp 10.244.0.4:5353 > 10.244.0.3:20000";
};

INSTANTIATE_TEST_SUITE_P(Workers, Policy, testing::Values(1, 2));

TEST_P(Policy, WithoutRulesOfItsOwnAPodIsOpen) {
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), there_);
}

TEST_P(Policy, NoRuleMeansNothingComesIn) {
  const Rules none;
  isolate(kServer, &none);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), "dropped");
  EXPECT_EQ(world_.drop_text(), "policy_ingress=1");
  EXPECT_EQ(world_.counters(0).port(kServer).denied.get(), 1u);
  // Isolated in one direction only: what it begins goes out, and the answers come in.
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 1000, 2000)), "1: udp 10.244.0.4:1000 > 10.244.0.3:2000");
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 2000, 1000)), "2: udp 10.244.0.3:2000 > 10.244.0.4:1000");
}

TEST_P(Policy, NoRuleMeansNothingGoesOut) {
  const Rules none;
  isolate(kClient, nullptr, &none);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), "dropped");
  EXPECT_EQ(pass(world_, kClient, udp(3, "198.51.100.1", 20000, 53)), "dropped");
  EXPECT_EQ(world_.drop_text(), "policy_egress=2");
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 1000, 2000)), "1: udp 10.244.0.4:1000 > 10.244.0.3:2000");
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 2000, 1000)), "2: udp 10.244.0.3:2000 > 10.244.0.4:1000");
}

TEST_P(Policy, BothEndsMustAllow) {
  const Rules from_clients = {from_identity(kClients, {{kUdp, 5353, 5353}}, 1)};
  const Rules to_servers = {from_identity(kServers, {{kUdp, 5353, 5353}}, 2)};
  const Rules to_others = {from_identity(kOthers)};
  isolate(kServer, &from_clients);
  isolate(kClient, nullptr, &to_servers);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), there_);
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 5353, 20000)), back_);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5354)), "dropped");
  isolate(kClient, nullptr, &to_others);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20001, 5353)), "dropped");
  EXPECT_EQ(world_.drop_text(), "policy_egress=2");
  EXPECT_EQ(world_.counters(0).rule(1).get(), 1u);  // the flow that began, once
  EXPECT_EQ(world_.counters(0).rule(2).get(), 1u);
}

TEST_P(Policy, EgressIsJudgedBehindTheService) {
  const Rules to_servers = {from_identity(kServers, {{kUdp, 5353, 5353}})};
  const Rules to_frontend = {from_block("10.96.0.10/32", {{kUdp, 53, 53}})};
  isolate(kClient, nullptr, &to_servers);
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.10", 20000, 53)), there_);
  isolate(kClient, nullptr, &to_frontend);
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.10", 20001, 53)), "dropped");
}

TEST_P(Policy, IngressIsJudgedOnTheSourceAsItCame) {
  const Rules from_outside = {from_block("203.0.113.0/24")};
  const Rules from_node = {from_block("192.0.2.1/32")};
  isolate(kServer, &from_outside);
  // Masqueraded for the way back; the rule is about who asked.
  EXPECT_EQ(pass(world_, kHost, from_host("203.0.113.7", "192.0.2.1", 30'053)).substr(0, 18), "2: udp 192.0.2.1:4");
  isolate(kServer, &from_node);
  EXPECT_EQ(pass(world_, kHost, from_host("203.0.113.8", "192.0.2.1", 30'053)), "dropped");
  EXPECT_EQ(pass(world_, kHost, from_host("203.0.113.8", pod_v4(4), 5353)), "dropped");
}

TEST_P(Policy, TheNodeReachesItsPods) {
  const Rules none;
  isolate(kServer, &none);
  EXPECT_EQ(pass(world_, kHost, from_host(std::string(kNodeV4), pod_v4(4), 5353)),
            "2: udp 192.0.2.1:20000 > 10.244.0.4:5353");
  EXPECT_EQ(pass(world_, kServer, udp(4, std::string(kNodeV4), 5353, 20000)),
            "3: udp 10.244.0.4:5353 > 192.0.2.1:20000");
}

TEST_P(Policy, APodReachesItselfThroughAService) {
  const Rules none;
  isolate(kClient, &none, &none);
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.11", 20000, 53)).substr(0, 18), "1: udp 192.0.2.1:4");
}

TEST_P(Policy, APodThatAwaitsItsPoliciesIsClosed) {
  world_.spec(kServer).awaits_policy = true;
  world_.publish();
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), "dropped");
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 1000, 2000)), "dropped");
  EXPECT_EQ(world_.drop_text(), "policy_pending=2");
  world_.spec(kServer).awaits_policy = false;
  world_.publish();
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), there_);
}

TEST_P(Policy, AChangeReachesFlowsThatAreThere) {
  const Rules from_clients = {from_identity(kClients)};
  const Rules from_others = {from_identity(kOthers)};
  isolate(kServer, &from_clients);
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.10", 20000, 53)), there_);
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 5353, 20000)), "1: udp 10.96.0.10:53 > 10.244.0.3:20000");
  isolate(kServer, &from_others);
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.10", 20000, 53)), "dropped");
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 5353, 20000)), "dropped");  // no reply of what may not be
  EXPECT_EQ(world_.drop_text(), "policy_ingress=2");
  // The flow keeps its translation, and goes on when it may.
  isolate(kServer, &from_clients);
  EXPECT_EQ(pass(world_, kServer, udp(4, pod_v4(3), 5353, 20000)), "1: udp 10.96.0.10:53 > 10.244.0.3:20000");
  EXPECT_EQ(pass(world_, kClient, udp(3, "10.96.0.10", 20000, 53)), there_);
}

TEST_P(Policy, AnAddressThatIsUsedAgainInheritsNoFlow) {
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), there_);
  world_.remove(kServer);
  world_.add_pod(kServer + 10, 4, 0);
  const Rules none;
  isolate(kServer + 10, &none);
  EXPECT_EQ(pass(world_, kClient, udp(3, pod_v4(4), 20000, 5353)), "dropped");
  // Nor does the new pod's answer to the question of the one before pass as a reply.
  const Rules to_nobody;
  isolate(kServer + 10, nullptr, &to_nobody);
  EXPECT_EQ(pass(world_, kServer + 10, udp(4, pod_v4(3), 5353, 20000)), "dropped");
}

TEST_P(Policy, AMasqueradePortIsNoWayAroundIt) {
  std::uint16_t port = 0;
  ASSERT_NE(pass(world_, kServer, udp(4, "198.51.100.1", 7000, 53), &port), "dropped");
  EXPECT_NE(pass(world_, kClient, udp(3, std::string(kNodeV4), 20000, port)), "dropped");  // RFC 4787 REQ-1, 9
  const Rules none;
  isolate(kServer, &none);
  EXPECT_EQ(pass(world_, kClient, udp(3, std::string(kNodeV4), 20000, port)), "dropped");
  EXPECT_EQ(pass(world_, kOther, udp(5, std::string(kNodeV4), 20000, port)), "dropped");
}

TEST_P(Policy, ErrorsAboutAFlowPassWhereItMay) {
  const Rules none;
  isolate(kClient, &none);
  const Bytes question = udp(3, pod_v4(4), 20000, 5353);
  EXPECT_EQ(pass(world_, kClient, question), there_);
  const Bytes error = eth(pod_mac(4), kGatewayMac)
                          .ipv4(pod_v4(4), pod_v4(3))
                          .icmp(3, 3)
                          .payload(Bytes(question.begin() + 14, question.end()))
                          .bytes();
  EXPECT_EQ(pass(world_, kServer, error).substr(0, 7), "1: icmp");
}

}  // namespace
}  // namespace millrace::datapath
