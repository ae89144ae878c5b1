// What is told of packets between nodes: explain() says beforehand what becomes of them, from a pod, from a tunnel and
// from the node; and who watches a tunnel sees what comes and goes by it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "datapath/explain.h"
#include "net/vxlan.h"
#include "tests/datapath/tunnel_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr std::uint8_t kUdp = net::ip_protocol::kUdp;
constexpr TunnelIndex kToB = 2, kToThird = 1;
constexpr net::PortId kPod1 = kFirstPod + 1;

/// A UDP packet as node `number` sends it to node A.
Bytes from_node(unsigned number, const std::string& source, const std::string& destination, std::uint16_t source_port,
                std::uint16_t port) {
  TestPacket packet(eth().ipv4(source, destination).udp(source_port, port).bytes());
  EXPECT_EQ(packet.parse(), Drop::kNone);
  const net::VxlanEnds ends{TunnelNode::device_mac(number),
                            TunnelNode::device_mac(1),
                            TunnelNode::address(TunnelNode::node_v4(number)),
                            TunnelNode::address(TunnelNode::node_v4(1)),
                            4789,
                            kTestVni,
                            TunnelNode::vtep_mac(number),
                            TunnelNode::vtep_mac(1)};
  EXPECT_TRUE(net::encapsulate(*packet, net::make_vxlan_header(ends)));
  return packet.bytes();
}

class TunnelExplain : public testing::Test {
 protected:
  TunnelExplain() {
    pair_.a.add_tunnel(kToThird, 3).hop.reset();
    a().services = {service_to("10.96.0.10", kUdp, 53, {"10.245.0.1"}, 5353),
                    service_to("10.96.0.11", kUdp, 53, {"10.246.0.1"}, 5353),
                    service_to("192.0.2.1", kUdp, 30053, {"10.245.0.2"}, 5353, true)};
    a().publish();
  }
  TestSwitch& a() { return pair_.a.world(); }
  std::map<Drop, std::uint64_t> drops() {
    std::map<Drop, std::uint64_t> counted;
    for (std::size_t i = 0; i < net::kDropCount; ++i) {
      const auto reason = static_cast<Drop>(i);
      if (reason != Drop::kIcmpRateLimited && reason != Drop::kNone) counted[reason] = a().drops(reason);
    }
    return counted;
  }

  TunnelPair pair_;
};

/// The port or tunnel and the tuple that a packet left as; "" for none.
std::string departure(TestSwitch& world) {
  std::string text;
  for (const net::PortId id : world.ports()) {
    for (const Bytes& frame : world.receive(id)) {
      TestPacket packet(frame);
      EXPECT_EQ(packet.parse(), Drop::kNone);
      const bool is_tunnelled = id == kFirstQueue;
      if (is_tunnelled) { EXPECT_EQ(net::open_vxlan(*packet), Drop::kNone); }
      if (packet->headers.l4_protocol != kUdp) continue;  // an ICMP error about a drop
      text = fmt::format("{} {}", is_tunnelled ? "tunnel" : std::to_string(id), tuple_text(packet.bytes()));
    }
  }
  return text;
}

TEST_F(TunnelExplain, IsWhatHappens) {
  const auto snapshot = a().build(a().generation() + 1);
  std::mt19937_64 random(3);
  const auto any = [&](const std::vector<std::string>& of) { return of[random() % of.size()]; };
  std::map<std::string, unsigned> seen;
  for (unsigned i = 0; i < 2000; ++i) {
    const net::PortId in = std::vector<net::PortId>{kPod1, a().tunnel_id(kToB), kHostPort, kFirstQueue}[random() % 4];
    const bool by_tunnel = is_tunnel(*snapshot, in);
    const std::string source = in == kPod1       ? "10.244.0.1"
                               : in == kHostPort ? any({"192.0.2.1", "198.51.100.7"})
                                                 : any({"10.245.0.9", "192.0.2.2", "10.246.0.1", "198.51.100.7"});
    const std::string destination = any({"10.244.0.1", "10.244.0.2", "10.245.0.1", "10.246.0.1", "192.0.2.1",
                                         "192.0.2.2", "198.51.100.9", "10.96.0.10", "10.96.0.11"});
    const auto source_port = static_cast<std::uint16_t>(10'000 + i);
    const std::uint16_t port = random() % 3 == 0 ? 30053 : 53;
    if (in == kFirstQueue && destination == source) continue;
    const std::string text = fmt::format("{} at {}:{} > {}:{}", in, source, source_port, destination, port);
    const PacketEnds ends{TunnelNode::address(source), TunnelNode::address(destination), source_port, port};
    const Explanation told = explain(*snapshot, in, ends, kUdp);

    const auto before = drops();
    const Bytes plain = eth(in == kPod1 ? pod_mac(1) : pod_mac(0xff), kGatewayMac)
                            .ipv4(source, destination)
                            .udp(source_port, port)
                            .bytes();
    const Bytes frame = by_tunnel ? from_node(2, source, destination, source_port, port) : plain;
    ASSERT_TRUE(a().send(by_tunnel ? kFirstQueue : in, frame));
    a().run();
    const std::string left = departure(a());
    Drop dropped = Drop::kNone;
    for (const auto& [reason, count] : drops())
      if (count != before.at(reason)) dropped = reason;
    ASSERT_EQ(net::drop_name(told.drop), net::drop_name(dropped)) << text;
    ++seen[std::string(net::drop_name(dropped))];
    if (dropped != Drop::kNone) continue;
    const bool leaves_by_tunnel = is_tunnel(*snapshot, told.out);
    seen["by a tunnel"] += leaves_by_tunnel;
    const std::string told_text = fmt::format("{} udp {}:", leaves_by_tunnel ? "tunnel" : std::to_string(told.out),
                                              told.is_masqueraded ? told.masquerade.to_string() : source);
    ASSERT_EQ(left.substr(0, told_text.size()), told_text) << text;
    const std::string to =
        fmt::format("> {}:{}", told.translated.destination.to_string(), told.translated.destination_port);
    ASSERT_NE(left.find(to), std::string::npos) << text << " left as " << left;
  }
  for (const char* const outcome : {"none", "by a tunnel", "tunnel_source", "tunnel_transit", "tunnel_unresolved",
                                    "spoofed_address", "same_route"}) {
    EXPECT_GT(seen[outcome], 5u) << outcome;
  }
}

TEST_F(TunnelExplain, WhoWatchesATunnelSeesWhatPassesIt) {
  EventTap& tap = a().worker(0).tap();
  tap.watch_port(a().tunnel_id(kToB), true);
  ASSERT_TRUE(a().send(kPod1, eth(pod_mac(1), kGatewayMac).ipv4("10.244.0.1", "10.245.0.1").udp(1, 2).bytes()));
  ASSERT_TRUE(a().send(kFirstQueue, from_node(2, "10.245.0.1", "10.244.0.2", 3, 4)));
  ASSERT_TRUE(a().send(kFirstQueue, from_node(2, "10.246.0.1", "10.244.0.2", 3, 4)));
  ASSERT_TRUE(a().send(kPod1, eth(pod_mac(1), kGatewayMac).ipv4("10.244.0.1", "10.244.0.2").udp(1, 2).bytes()));
  a().run();
  std::array<PacketEvent, 8> events;
  const std::size_t count = tap.read(events);
  std::vector<std::string> lines;
  for (const PacketEvent& event : std::span(events).first(count)) {
    const auto name = [](net::PortId id) { return id == net::kNoPort ? "-" : std::to_string(id); };
    lines.push_back(fmt::format("{} in {} tunnel {} out {} {}", net::drop_name(event.drop), event.in_port,
                                name(event.tunnel), name(event.out_port), event.arrived.source.to_string()));
  }
  std::sort(lines.begin(), lines.end());
  const std::string tunnel = std::to_string(a().tunnel_id(kToB));
  EXPECT_EQ(lines, (std::vector<std::string>{
                       fmt::format("none in 1 tunnel {} out 8 10.245.0.1", tunnel),
                       fmt::format("none in 7 tunnel - out {} 10.244.0.1", tunnel),
                       fmt::format("tunnel_source in 1 tunnel {} out - 10.246.0.1", tunnel),
                   }));
}

}  // namespace
}  // namespace millrace::datapath
