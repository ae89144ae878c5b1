// What is explained is what happens: each question is asked of the tables and then sent, as the first packet of a flow.
#include "datapath/explain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/rule_set.h"
#include "tests/datapath/flow_world.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;

constexpr std::uint8_t kUdp = net::ip_protocol::kUdp;
constexpr net::PortId kFirst = 1, kSecond = 2, kThird = 4, kHost = 3;
constexpr unsigned kQuestions = 4000;
constexpr std::uint64_t kSeed = 4;

struct Sent {
  std::string drop;  // "" when it went on
  net::PortId out = net::kNoPort;
  PacketEnds ends;
};

/// Three pods, one of them awaiting its policies, services of every verdict, and policies that say no to some.
void describe(TestSwitch& world) {
  describe_nat(world);
  for (const auto& [id, number] : {std::pair{kFirst, 3u}, {kSecond, 4u}, {kThird, 5u}}) {
    world.add_pod(id, number).masquerade = true;
  }
  world.spec(kThird).awaits_policy = true;
  world.add_host(kHost);
  world.services = {service_to("10.96.0.10", kUdp, 53, {pod_v4(3), pod_v4(4)}, 5353),
                    service_to("10.96.0.11", kUdp, 53, {}, 5353),
                    service_to("10.96.0.12", kUdp, 53, {pod_v4(3), "198.51.100.1"}, 53, true),
                    service_to("10.96.0.13", kUdp, 53, {pod_v4(4)}, 53),
                    service_to("192.0.2.1", kUdp, 30'053, {pod_v4(4)}, 5353, true)};
  world.services[3].frontends[0].rules[0].action = nat::FrontendAction::kDrop;
  world.services[4].frontends[0].source_ranges = {net::Prefix::parse("203.0.113.0/24").value()};
  const auto at = [](const std::string& text) { return net::IpAddress::parse(text).value(); };
  world.identities =
      policy::IdentityTable::build(std::vector<policy::Endpoint>{{at(pod_v4(3)), 1}, {at(pod_v4(4)), 2}}).value();
  const auto of = [](policy::Identity identity) {
    return policy::Rule{.counter = 0,
                        .any_peer = false,
                        .groups = {std::make_shared<const std::vector<policy::Identity>>(1, identity)},
                        .blocks = {{net::Prefix::parse("203.0.113.0/25").value(), {}}},
                        .ports = {{kUdp, 5353, 5353}, {kUdp, 80, 90}}};
  };
  world.spec(kSecond).ingress = policy::RuleSet::build(std::vector{of(1)}).value();
  world.spec(kFirst).egress = policy::RuleSet::build(std::vector{of(2), of(1)}).value();
  world.publish();
}

/// Sends the packet and says what became of it.
Sent send(TestSwitch& world, net::PortId in, const Bytes& frame) {
  std::vector<std::uint64_t> before(net::kDropCount);
  for (std::size_t i = 0; i < before.size(); ++i) before[i] = world.drops(static_cast<net::Drop>(i));
  EXPECT_TRUE(world.send(in, frame));
  world.run();
  Sent sent;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto drop = static_cast<net::Drop>(i);
    if (drop == net::Drop::kIcmpRateLimited) continue;  // of the error about the drop
    if (world.drops(drop) != before[i]) sent.drop = net::drop_name(drop);
  }
  for (const net::PortId id : world.ports()) {
    for (const Bytes& bytes : world.receive(id)) {
      TestPacket packet(bytes);
      EXPECT_EQ(packet.parse(), net::Drop::kNone);
      if (packet->headers.l4_protocol != kUdp) continue;  // an ICMP error about the drop
      sent.out = id;
      sent.ends = ends_of(*packet);
    }
  }
  return sent;
}

TEST(Explain, IsWhatHappens) {
  TestSwitch world{SwitchShape{.flows = {.limit = 8192, .seed = 1}, .rule_limit = 1}};
  describe(world);
  const auto snapshot = world.build(world.generation() + 1);
  std::mt19937_64 random(kSeed);
  const auto any = [&](const std::vector<std::string>& of) { return of[random() % of.size()]; };
  std::map<std::string, unsigned> seen;
  for (unsigned i = 0; i < kQuestions; ++i) {
    const net::PortId in = std::vector<net::PortId>{kFirst, kSecond, kThird, kHost}[random() % 4];
    const unsigned number = in == kFirst ? 3 : in == kSecond ? 4 : 5;
    const std::string source =
        in != kHost ? pod_v4(number) : any({std::string(kNodeV4), "203.0.113.7", "203.0.113.200", "198.51.100.9"});
    const std::string destination =
        any({pod_v4(3), pod_v4(4), pod_v4(5), "10.96.0.10", "10.96.0.11", "10.96.0.12", "10.96.0.13", "10.96.0.99",
             std::string(kNodeV4), "203.0.113.9", "8.8.8.8", "127.0.0.1", "224.0.0.1"});
    const auto source_port = static_cast<std::uint16_t>(10'000 + i);  // each a flow of its own
    const std::uint16_t port = std::vector<std::uint16_t>{53, 80, 5353, 30'053}[random() % 4];
    const std::string text = fmt::format("{} at {}:{} > {}:{}", in, source, source_port, destination, port);

    PacketEnds ends{net::IpAddress::parse(source).value(), net::IpAddress::parse(destination).value(), source_port,
                    port};
    const Explanation told = explain(*snapshot, in, ends, kUdp);
    const Sent sent = send(world, in,
                           eth(in == kHost ? "02:00:00:00:00:ff" : pod_mac(number), kGatewayMac)
                               .ipv4(source, destination)
                               .udp(source_port, port)
                               .bytes());
    ASSERT_EQ(told.drop == net::Drop::kNone ? "" : net::drop_name(told.drop), sent.drop) << text;
    ++seen[sent.drop];
    if (!sent.drop.empty()) continue;
    ASSERT_EQ(told.out, sent.out) << text;
    ASSERT_EQ(told.translated.destination, sent.ends.destination) << text;
    ASSERT_EQ(told.translated.destination_port, sent.ends.destination_port) << text;
    ASSERT_EQ(told.is_masqueraded ? told.masquerade : ends.source, sent.ends.source) << text;
  }
  for (const char* const drop :
       {"", "policy_egress", "policy_ingress", "policy_pending", "service_no_backend", "service_no_port",
        "service_no_frontend", "service_dropped", "source_range", "no_route", "multicast", "same_route"}) {
    EXPECT_GT(seen[drop], 5u) << drop;
  }
}

}  // namespace
}  // namespace millrace::datapath
