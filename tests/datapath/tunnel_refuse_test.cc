// What comes by an uplink and is refused: every name of drop.def that a tunnel has, by the frame that earns it. The
// frames are built here byte by byte, not by what the switch itself encapsulates with.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/ip_header.h"
#include "net/vxlan.h"
#include "tests/datapath/tunnel_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPod1 = kFirstPod + 1;
constexpr const char* kFromB = "192.0.2.2";

/// VXLAN as node B's kernel would send it to node A; what is wrong with it is said by the row.
struct Outer {
  const char* source = kFromB;
  std::uint8_t flags = net::VxlanHeader::kHasVni;
  std::uint32_t vni = kTestVni;
  std::string inner_mac = TunnelNode::vtep_mac(1).to_string();
  std::uint16_t port = 4789;
  std::uint8_t tos = 0;
};

Bytes around(const Bytes& inner, const Outer& outer = {}) {
  const auto byte = [](std::uint32_t value) { return static_cast<std::uint8_t>(value); };
  Bytes vxlan{outer.flags, 0, 0, 0, byte(outer.vni >> 16), byte(outer.vni >> 8), byte(outer.vni), 0};
  vxlan.insert(vxlan.end(), inner.begin(), inner.end());
  const net::Mac target = mac(outer.inner_mac);
  std::copy(target.bytes.begin(), target.bytes.end(), vxlan.begin() + 8);
  const bool is_v4 = net::IpAddress::parse(outer.source)->is_v4();
  PacketBuilder frame = eth("02:00:00:00:09:09", "02:00:00:00:02:01");
  if (is_v4)
    frame.ipv4(outer.source, "192.0.2.1");
  else
    frame.ipv6(outer.source, "2001:db8::1");
  Bytes bytes = frame.udp(50'000, outer.port).payload(std::move(vxlan)).bytes();
  if (outer.tos != 0) {
    auto& ip = net::view<net::Ipv4Header>(bytes.data() + 14);
    ip.tos = outer.tos;
    net::set_ipv4_checksum(ip);
  }
  return bytes;
}

Bytes around(const PacketBuilder& inner, const Outer& outer = {}) { return around(inner.bytes(), outer); }

PacketBuilder inner() { return eth("02:00:00:00:03:02", "02:00:00:00:03:01"); }
PacketBuilder inner(const std::string& source, const std::string& destination) {
  return inner().ipv4(source, destination);
}
PacketBuilder question() { return inner("10.245.0.1", "10.244.0.1").udp(1, 2); }
PacketBuilder plain(const std::string& source, const std::string& destination) {
  return eth("02:00:00:00:09:09", "02:00:00:00:02:01").ipv4(source, destination);
}

/// Node A with tunnels to B and to a third node, 10.246.0.0/24.
class TunnelRefusals : public testing::Test {
 protected:
  explicit TunnelRefusals(const TunnelShape& shape = {}) : pair_(shape) {
    pair_.a.add_tunnel(1, 3);
    pair_.a->publish();
  }
  /// What a frame by the uplink becomes: where it comes out, and the drops.
  std::string outcome(const Bytes& frame) {
    const std::string before = a().drop_text();
    EXPECT_TRUE(a().send(kFirstQueue, frame));
    a().run();
    a().check_law();
    std::string text;
    for (std::size_t i = 0; i < net::kDropCount; ++i) {
      const auto reason = static_cast<Drop>(i);
      const std::uint64_t count = a().drops(reason) - counted_[i];
      counted_[i] += count;
      if (count > 0) text.append(text.empty() ? "" : " ").append(net::drop_name(reason));
    }
    const std::string arrived = arrivals(a());
    if (arrived == "nothing") return text;
    return text.empty() ? arrived : text + " " + arrived;
  }
  TestSwitch& a() { return pair_.a.world(); }

  TunnelPair pair_;
  std::array<std::uint64_t, net::kDropCount> counted_{};
};

struct Row {
  const char* name;
  Bytes frame;
  std::string outcome;
};

void expect_rows(const std::vector<Row>& rows, const std::function<std::string(const Bytes&)>& outcome) {
  for (const Row& row : rows) EXPECT_EQ(outcome(row.frame), row.outcome) << row.name;
}

TEST_F(TunnelRefusals, OuterHeaders) {
  Bytes truncated = eth("02:00:00:00:09:09", "02:00:00:00:02:01")
                        .ipv4(kFromB, "192.0.2.1")
                        .udp(50'000, 4789)
                        .payload(Bytes{8, 0, 0, 0, 0, 16, 0, 0, 1, 2, 3})
                        .bytes();
  Bytes damaged = around(question());
  damaged.back() ^= 1;
  const std::string to_pod = "7: udp 10.245.0.1:1 > 10.244.0.1:2";
  expect_rows({{"right", around(question()), to_pod},
               {"IPv6 between the nodes, which is no remote", around(question(), {.source = "2001:db8::2"}),
                "tunnel_unknown_peer"},
               {"unknown peer", around(question(), {.source = "192.0.2.9"}), "tunnel_unknown_peer"},
               {"another VNI", around(question(), {.vni = kTestVni + 1}), "tunnel_bad_vni"},
               {"no VNI", around(question(), {.flags = 0}), "tunnel_bad_header"},
               {"truncated", truncated, "tunnel_bad_header"},
               {"for another VTEP", around(question(), {.inner_mac = "02:00:00:00:03:02"}), "tunnel_bad_mac"},
               {"for all", around(question(), {.inner_mac = "ff:ff:ff:ff:ff:ff"}), "tunnel_bad_mac"},
               {"damaged on the way", damaged, "tunnel_bad_checksum"},
               {"congestion that its sender would not hear of", around(question(), {.tos = 3}), "tunnel_ecn"},
               {"another port is the node's kernel's", around(question(), {.port = 4790}),
                "0: udp 192.0.2.2:50000 > 192.0.2.1:4790"}},
              [this](const Bytes& frame) { return outcome(frame); });
}

TEST_F(TunnelRefusals, FragmentsOfTheOuterPacketFirstAndLater) {
  const auto part = [](std::uint32_t offset, bool more) {
    return plain(kFromB, "192.0.2.1").fragment(offset, more, 9);
  };
  expect_rows({{"later, of something that nobody knows", part(1480, false).protocol(17).payload(64u).bytes(),
                "fragment_without_first"},
               {"first", part(0, true).udp(50'000, 4789).payload(64u).bytes(), "tunnel_fragment"},
               {"later", part(72, false).protocol(17).payload(64u).bytes(), "tunnel_fragment"}},
              [this](const Bytes& frame) { return outcome(frame); });
}

TEST_F(TunnelRefusals, WhatIsInside) {
  expect_rows({{"no IP", around(inner().payload(Bytes(64, 0))), "unknown_ether_type"},
               {"ARP", around(inner().arp(1, kMacA, "10.245.0.1", kMacB, "10.244.0.1")), "unknown_ether_type"},
               {"a VLAN", around(inner().vlan(5).ipv4("10.245.0.1", "10.244.0.1").udp(1, 2)), "vlan_on_pod"},
               {"a broken header", around(patch(question().bytes(), 24, 0)), "ipv4_bad_checksum"},
               {"to the gateway", around(inner("10.245.0.1", "169.254.1.1").udp(1, 2)), "gateway_protocol"},
               {"to this host", around(inner("10.245.0.1", "127.0.0.1").udp(1, 2)), "no_route"},
               {"from nobody", around(inner("0.0.0.0", "10.244.0.1").udp(1, 2)), "bad_source"},
               {"to a group", around(inner("10.245.0.1", "224.0.0.5").udp(1, 2)), "multicast"},
               {"VXLAN again: one layer is taken off, and the node has no such socket",
                around(inner("10.245.0.1", "192.0.2.1").udp(1, 4789)), "0: udp 10.245.0.1:1 > 192.0.2.1:4789"}},
              [this](const Bytes& frame) {
                std::string text = outcome(frame);
                // An error goes back into the tunnel: seen by the other tests.
                return text.substr(0, text.find(" 1: "));
              });
}

TEST_F(TunnelRefusals, SourcesThatAreNotTheTunnels) {
  a().services = {service_to("192.0.2.1", 17, 30053, {"10.244.0.1"}, 53)};
  a().publish();
  expect_rows(
      {{"a pod of this node", around(inner("10.244.0.2", "10.244.0.1").udp(1, 2)), "tunnel_source"},
       {"a pod of a third node", around(inner("10.246.0.1", "10.244.0.1").udp(1, 2)), "tunnel_source"},
       {"the third node", around(inner("192.0.2.3", "10.244.0.1").udp(1, 2)), "tunnel_source"},
       {"this node", around(inner("192.0.2.1", "10.244.0.1").udp(1, 2)), "tunnel_source"},
       {"the outside", around(inner("198.51.100.7", "10.244.0.1").udp(1, 2)), "tunnel_source"},
       {"the other node itself", around(inner("192.0.2.2", "10.244.0.1").udp(1, 2)),
        "7: udp 192.0.2.2:1 > 10.244.0.1:2"},
       {"of the other family", around(inner().ipv6("fd00:10:246::1", "fd00:10:244::1").udp(1, 2)), "tunnel_source"},
       {"without the tunnel: a pod behind it", plain("10.245.0.1", "192.0.2.1").udp(1, 30053).bytes(),
        "spoofed_address"},
       {"without the tunnel: a pod of this node", plain("10.244.0.2", "192.0.2.1").udp(1, 30053).bytes(),
        "spoofed_address"},
       {"without the tunnel: the node behind it", plain("192.0.2.2", "192.0.2.1").udp(1, 30053).bytes(),
        "7: udp 192.0.2.2:1 > 10.244.0.1:53"},
       {"without the tunnel: the outside", plain("198.51.100.7", "192.0.2.1").udp(1, 30053).bytes(),
        "7: udp 198.51.100.7:1 > 10.244.0.1:53"}},
      [this](const Bytes& frame) { return outcome(frame); });
}

TEST_F(TunnelRefusals, NothingPassesThroughThisNodeToAnother) {
  a().services = {service_to("192.0.2.1", 17, 30053, {"10.246.0.1"}, 53),
                  service_to("192.0.2.1", 17, 30054, {"198.51.100.9"}, 53)};
  a().publish();
  for (const Row& row : std::vector<Row>{
           {"from tunnel to tunnel", around(inner("10.245.0.1", "10.246.0.1").udp(1, 2)), "10.245.0.1"},
           {"from a tunnel to the outside", around(inner("10.245.0.1", "198.51.100.7").udp(1, 2)), "10.245.0.1"},
           {"to a pod of this node that is gone", around(inner("10.245.0.1", "10.244.0.77").udp(1, 2)), "10.245.0.1"},
           {"by a service that does not masquerade", around(inner("10.245.0.1", "192.0.2.1").udp(1, 30053)),
            "10.245.0.1"},
           {"by such a service to the outside", around(inner("10.245.0.1", "192.0.2.1").udp(2, 30054)),
            "10.245.0.1"}}) {
    ASSERT_TRUE(a().send(kFirstQueue, row.frame));
    const std::uint64_t before = a().drops(Drop::kTunnelTransit);
    pair_.carry();
    EXPECT_EQ(a().drops(Drop::kTunnelTransit), before + 1) << row.name << ": " << a().drop_text();
    EXPECT_EQ(arrivals(a()), "nothing") << row.name;
    // Whoever sent it hears of it: "host unreachable", by the tunnel it came.
    EXPECT_EQ(pair_.b->drop_text(), fmt::format("no_flow={}", before + 1)) << row.name;
  }
  // From outside into a tunnel, as it came: the answers would be the other node's to give.
  EXPECT_EQ(outcome(plain("198.51.100.7", "10.245.0.1").udp(1, 2).bytes()).substr(0, 14), "tunnel_transit");
}

TEST_F(TunnelRefusals, ErrorsOfWhatDidNotGoThatWay) {
  // Two questions of pod 1: one to B's pod by the tunnel, one to the outside as the node.
  ASSERT_TRUE(a().send(kPod1, eth(pod_mac(1), kGatewayMac).ipv4("10.244.0.1", "10.245.0.1").udp(5, 6).bytes()));
  ASSERT_TRUE(a().send(kPod1, eth(pod_mac(1), kGatewayMac).ipv4("10.244.0.1", "198.51.100.7").udp(5, 6).bytes()));
  a().run();
  const auto to_outside = a().receive(kHostPort);
  ASSERT_EQ(to_outside.size(), 1u);
  const auto to_b = a().receive(kFirstQueue);
  ASSERT_EQ(to_b.size(), 1u);
  const Bytes outside(to_outside[0].begin() + 14, to_outside[0].end());
  const Bytes inside(to_b[0].begin() + 64, to_b[0].end());
  const auto error = [](PacketBuilder head, const Bytes& quoted) { return head.icmp(3, 1).payload(quoted); };
  expect_rows(
      {{"B, of what went to B's pod", around(error(inner("192.0.2.2", "10.244.0.1"), inside)),
        "7: icmp 192.0.2.2:0 > 10.244.0.1:0"},
       {"B, of what went to the outside", around(error(inner("192.0.2.2", "192.0.2.1"), outside)), "tunnel_source"},
       {"the outside, of what went to B's pod", error(plain("198.51.100.7", "10.244.0.1"), inside).bytes(),
        "tunnel_source"},
       {"the outside, of what went there", error(plain("198.51.100.7", "192.0.2.1"), outside).bytes(),
        "7: icmp 198.51.100.7:0 > 10.244.0.1:0"}},
      [this](const Bytes& frame) { return outcome(frame); });
}

/// Without encapsulation anybody in the underlay can write a packet: nobody may be a pod of this node, everybody may
/// be what is routed here without a tunnel.
class PlainRefusals : public TunnelRefusals {
 protected:
  PlainRefusals() : TunnelRefusals({.is_encapsulated = false}) {}
};

TEST_F(PlainRefusals, SourcesThatAreThisNodesOwn) {
  expect_rows(
      {{"B's pod", plain("10.245.0.1", "10.244.0.1").udp(1, 2).bytes(), "7: udp 10.245.0.1:1 > 10.244.0.1:2"},
       {"a pod of this node", plain("10.244.0.2", "10.244.0.1").udp(1, 2).bytes(), "spoofed_address"},
       {"this node", plain("192.0.2.1", "10.244.0.1").udp(1, 2).bytes(), "spoofed_address"},
       {"to a third node", plain("10.245.0.1", "10.246.0.1").udp(1, 2).bytes(), "tunnel_transit"},
       {"VXLAN is no way here, but the node's", around(question(), {.source = "192.0.2.9"}), "tunnel_unknown_peer"}},
      [this](const Bytes& frame) {
        const std::string text = outcome(frame);
        return text.substr(0, text.find(" 1: "));
      });
}

}  // namespace
}  // namespace millrace::datapath
