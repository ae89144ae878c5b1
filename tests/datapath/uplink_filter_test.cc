// A device that no kernel drives: which packets are the switch's, and the way of all others to the node and back.
#include "datapath/uplink_filter.h"

#include <gtest/gtest.h>

#include "tests/datapath/test_switch.h"
#include "tests/net/uplink_rows.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;
namespace rows = tests::uplink;

PortSpec port(const char* name, PortKind kind) {
  PortSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.mtu_bytes = 1500;
  return spec;
}

nat::ServiceSpec service(const char* name, const char* address, std::uint8_t protocol, std::uint16_t port) {
  nat::FrontendSpec frontend;
  frontend.address = net::IpAddress::parse(address).value();
  frontend.protocol = protocol;
  frontend.port = port;
  nat::ServiceSpec made;
  made.name = name;
  made.frontends.push_back(frontend);
  return made;
}

/// The rules that the rows stand for, as a snapshot has them.
class UplinkFilter : public testing::Test {
 protected:
  static constexpr net::PortId kUplink = 0, kPod = 1;

  UplinkFilter() {
    spec_.generation = 1;
    spec_.port_limit = 4;
    spec_.worker_count = 1;
    spec_.gateway = test_gateway();
    PortSpec device = port("uplink", PortKind::kUplink);
    device.id = kUplink;
    device.port = &memory_;
    device.mac = mac(kMacB);
    device.is_filtered = true;
    PortSpec pod = port("pod", PortKind::kPod);
    pod.id = kPod;
    pod.port = &memory_;
    pod.mac = mac(pod_mac(7));
    pod.prefixes = {net::Prefix::parse(rows::kLocalPrefix).value(), net::Prefix::parse(rows::kLocalPrefix6).value()};
    spec_.ports = {device, pod};
    spec_.nat.masquerade_v4 = v4(rows::kNode);
    spec_.nat.masquerade_v6 = v6(rows::kNode6);
    spec_.nat.ports = {rows::kFirstPort, 65536u - rows::kFirstPort};
    spec_.nat.service_prefixes = {net::Prefix::parse("10.96.0.0/12").value()};
    std::vector<std::shared_ptr<const nat::Service>> services;
    for (const auto& made : {service("a", rows::kNode, 6, 30500), service("b", rows::kExternal, 17, 53),
                             service("c", rows::kNode6, 6, 30500), service("d", "10.96.0.10", 17, 53)}) {
      services.push_back(nat::build_service(made).value());
    }
    spec_.services = nat::ServiceTable::build(services).value();
    spec_.tunnel_limit = 2;
    spec_.underlay.ipv4 = v4(rows::kVtep);
    spec_.underlay.ipv6 = v6(rows::kVtep6);
    spec_.underlay.vtep_mac = mac("02:00:00:00:77:77");
    spec_.underlay.vni = 4096;
    spec_.underlay.udp_port = rows::kVtepPort;
    TunnelSpec plain;
    plain.name = "other";
    plain.remote = net::IpAddress::parse("192.0.2.33").value();
    plain.is_encapsulated = false;
    plain.prefixes = {net::Prefix::parse("10.244.2.0/24").value()};
    spec_.tunnels = {plain};
    build();
  }

  void build() {
    auto built = build_snapshot(spec_, nullptr);
    ASSERT_TRUE(built.ok()) << built.error().message;
    snapshot_ = std::move(built).value();
  }

  /// What cannot be parsed is the kernel's: the pipeline does not ask.
  std::string taker(const Bytes& frame) {
    TestPacket packet(frame);
    if (packet.parse() != Drop::kNone) return "kernel";
    return is_for_switch(*packet, snapshot_->ports[kUplink], *snapshot_, fragments_, now_) ? "switch" : "kernel";
  }

  MemoryPort memory_{8};
  SnapshotSpec spec_;
  std::unique_ptr<Snapshot> snapshot_;
  nat::FragmentTable fragments_{1};
  nat::TickMs now_ = 1000;
};

TEST_F(UplinkFilter, TakesWhatTheXdpProgramTakes) {
  for (const rows::Row& row : rows::rows()) EXPECT_EQ(taker(row.frame), row.taker) << row.name;
}

TEST_F(UplinkFilter, LaterFragmentsGoWhereTheirFirstWent) {
  for (const rows::Row& row : rows::fragment_rows()) EXPECT_EQ(taker(row.frame), row.taker) << row.name;
}

TEST_F(UplinkFilter, AFirstFragmentIsRememberedForAWhile) {
  const Bytes first = eth().ipv4(rows::kWorld, rows::kNode).fragment(0, true, 1).udp(53, 50000).payload(24).bytes();
  const Bytes later = eth().ipv4(rows::kWorld, rows::kNode).fragment(32, false, 1).protocol(17).payload(24).bytes();
  ASSERT_EQ(taker(first), "switch");
  now_ += nat::kFragmentLifetimeMs - 1;
  EXPECT_EQ(taker(later), "switch");
  now_ += 1;
  EXPECT_EQ(taker(later), "kernel");
}

TEST_F(UplinkFilter, OnlyTheDevicesOwnMacAndNoVlan) {
  const auto to = [](std::string_view destination) {
    return eth(kMacA, destination).ipv4(rows::kWorld, rows::kNode).udp(53, 50000).bytes();
  };
  EXPECT_EQ(taker(to(kMacB)), "switch");
  EXPECT_EQ(taker(to("02:00:00:00:00:0c")), "kernel") << "of another machine, flooded here";
  EXPECT_EQ(taker(to("01:00:5e:00:00:01")), "kernel");
  EXPECT_EQ(taker(eth().vlan(7).ipv4(rows::kWorld, rows::kNode).udp(53, 50000).bytes()), "kernel");
}

TEST_F(UplinkFilter, FrontendsOfTheServiceRangeAreNotTheOutsides) {
  EXPECT_EQ(taker(eth().ipv4(rows::kWorld, "10.96.0.10").udp(4000, 53).bytes()), "kernel");
}

TEST_F(UplinkFilter, PodsAreTakenWhereSomeTunnelDoesNotEncapsulate) {
  const Bytes frame = eth().ipv4(rows::kWorld, "10.244.1.7").tcp(4000, 80).bytes();
  EXPECT_EQ(taker(frame), "switch");
  spec_.tunnels.clear();
  build();
  EXPECT_EQ(taker(frame), "kernel");
}

/// A whole switch: device 0, node link 1, host port 2, a pod 3.
class BesideTheSwitch : public testing::TestWithParam<unsigned> {
 protected:
  static constexpr net::PortId kDevice = 0, kLink = 1, kHost = 2, kPod = 3;

  BesideTheSwitch() : switch_({.workers = GetParam()}) {
    const auto last = static_cast<WorkerId>(GetParam() - 1);
    switch_.add_uplink(kDevice, 0).is_filtered = true;
    switch_.add_node_link(kLink, last);
    switch_.add_host(kHost, 0);
    switch_.add_pod(kPod, 7, last).masquerade = true;
    switch_.nat.masquerade_v4 = v4(kNodeV4);
    switch_.publish();
  }
  ~BesideTheSwitch() override { switch_.check_law(); }

  std::vector<Bytes> carry(net::PortId in, const Bytes& frame, net::PortId out) {
    EXPECT_TRUE(switch_.send(in, frame));
    switch_.run();
    return switch_.receive(out);
  }
  PacketBuilder to_device() { return eth(kMacA, kUplinkMac); }

  TestSwitch switch_;
};

INSTANTIATE_TEST_SUITE_P(Workers, BesideTheSwitch, testing::Values(1u, 3u));

std::vector<std::pair<const char*, Bytes>> nodes_frames() {
  const auto to_node = [] { return eth(kMacA, kUplinkMac); };
  Bytes lldp = eth(kMacA, "01:80:c2:00:00:0e").ipv4("192.0.2.9", kNodeV4).udp(1, 2).bytes();
  lldp[12] = 0x88;
  lldp[13] = 0xcc;
  return {
      {"ARP request", eth(kMacA, kBroadcastMac).arp(1, kMacA, "192.0.2.9", "00:00:00:00:00:00", kNodeV4).bytes()},
      {"SSH", to_node().ipv4("192.0.2.9", kNodeV4).tcp(4000, 22).bytes()},
      {"ping", to_node().ipv4("192.0.2.9", kNodeV4).icmp(8, 0, 7, 1).bytes()},
      {"neighbour solicitation", to_node().ipv6("2001:db8::9", kNodeV6).neighbor_solicitation(kNodeV6).bytes()},
      {"LLDP", lldp},
      {"a VLAN of the node's", to_node().vlan(7).ipv4("192.0.2.9", kNodeV4).udp(53, 40'000).bytes()},
      {"three VLAN tags", to_node().vlan(1).vlan(2).vlan(3).ipv4("192.0.2.9", kNodeV4).udp(5, 6).bytes()},
      {"a wrong IPv4 checksum", patch(to_node().ipv4("192.0.2.9", kNodeV4).udp(5, 6).bytes(), 24, 0xee)},
      {"cut in the IPv4 header", cut(to_node().ipv4("192.0.2.9", kNodeV4).udp(5, 6).bytes(), 30)},
      {"cut in Ethernet", Bytes(10, 0xab)},
      {"a wrong UDP checksum", patch(to_node().ipv4("192.0.2.9", kNodeV4).udp(5, 6).payload(9).bytes(), 44, 0xee)},
      {"TTL 1", to_node().ipv4("192.0.2.9", kNodeV4).ttl(1).udp(5, 6).bytes()},
      {"a later fragment", to_node().ipv4("192.0.2.9", kNodeV4).fragment(32, true, 5).protocol(17).payload(8).bytes()},
  };
}

TEST_P(BesideTheSwitch, WhatIsNotTheSwitchsReachesTheNodeAsItIs) {
  for (const auto& [name, frame] : nodes_frames()) {
    EXPECT_EQ(carry(kDevice, frame, kLink), std::vector<Bytes>{frame}) << name;
    EXPECT_TRUE(switch_.receive(kHost).empty()) << name;
  }
  EXPECT_EQ(switch_.drop_text(), "");
}

TEST_P(BesideTheSwitch, WhatTheNodeSendsLeavesByTheDeviceAsItIs) {
  for (const auto& [name, frame] : nodes_frames()) {
    EXPECT_EQ(carry(kLink, frame, kDevice), std::vector<Bytes>{frame}) << name;
  }
  // Also what would be the switch's if it came by the device.
  const Bytes own = eth(kUplinkMac, kMacA).ipv4(kNodeV4, "192.0.2.9").udp(53, 40'000).bytes();
  EXPECT_EQ(carry(kLink, own, kDevice), std::vector<Bytes>{own});
  EXPECT_EQ(switch_.drop_text(), "");
}

TEST_P(BesideTheSwitch, ChecksumsThatTheNodeLeftToItsDeviceAreCompleted) {
  const auto frames = [](auto finish) {
    return std::vector<Bytes>{finish(eth().ipv4(kNodeV4, "192.0.2.9").tcp(22, 4000)).payload(101).bytes(),
                              finish(eth().ipv6(kNodeV6, "2001:db8::9").udp(53, 4000)).payload(7).bytes(),
                              finish(eth().vlan(7).ipv4(kNodeV4, "192.0.2.9").udp(53, 4000)).payload(7).bytes(),
                              finish(eth().ipv4(kNodeV4, "192.0.2.9").sctp(53, 4000)).payload(8).bytes()};
  };
  const auto partial = frames([](PacketBuilder frame) { return frame.partial_checksum(); });
  const auto complete = frames([](PacketBuilder frame) { return frame; });
  for (std::size_t i = 0; i < partial.size(); ++i) {
    ASSERT_NE(partial[i], complete[i]);
    EXPECT_EQ(carry(kLink, partial[i], kDevice), std::vector<Bytes>{complete[i]}) << describe(complete[i]);
  }
}

TEST_P(BesideTheSwitch, APodsMasqueradedFlowComesBackByTheDevice) {
  const Bytes request = eth(pod_mac(7), kGatewayMac).ipv4(pod_v4(7), "192.0.2.9").udp(5000, 53).payload(4).bytes();
  const auto out = carry(kPod, request, kHost);
  ASSERT_EQ(out.size(), 1u);
  TestPacket sent(out[0]);
  ASSERT_EQ(sent.parse(), Drop::kNone);
  const std::uint16_t port = sent->headers.source_port;
  const Bytes answer = to_device().ipv4("192.0.2.9", kNodeV4).udp(53, port).payload(4).bytes();
  EXPECT_EQ(carry(kDevice, answer, kPod).size(), 1u) << switch_.drop_text();
  EXPECT_TRUE(switch_.receive(kLink).empty());
}

TEST_P(BesideTheSwitch, WithoutTheOtherEndPacketsAreDroppedByName) {
  const Bytes frame = eth(kMacA, kUplinkMac).ipv4("192.0.2.9", kNodeV4).tcp(4000, 22).bytes();
  switch_.remove(kLink);
  switch_.publish();
  EXPECT_TRUE(switch_.send(kDevice, frame));
  EXPECT_TRUE(switch_.send(kDevice, Bytes(10, 0xab)));
  switch_.run();
  EXPECT_EQ(switch_.drops(Drop::kNodeLinkDown), 2u) << switch_.drop_text();
  switch_.add_node_link(kLink);
  switch_.remove(kDevice);
  switch_.publish();
  EXPECT_TRUE(switch_.send(kLink, frame));
  switch_.run();
  EXPECT_EQ(switch_.drops(Drop::kNodeLinkDown), 3u) << switch_.drop_text();
}

TEST(NodeLink, OfSeveralQueuesTheLinkSendsByItsWorkersOwn) {
  TestSwitch made({.workers = 3});
  for (WorkerId worker = 0; worker < 3; ++worker) made.add_uplink(worker, worker).is_filtered = true;
  made.add_node_link(3, 2);
  made.publish();
  const Snapshot& snapshot = *made.publisher().current();
  EXPECT_EQ(snapshot.ports[3].beside, 2);
  for (net::PortId queue = 0; queue < 3; ++queue) EXPECT_EQ(snapshot.ports[queue].beside, 3);
  const Bytes frame = eth(kMacA, kUplinkMac).ipv4("192.0.2.9", kNodeV4).tcp(4000, 22).bytes();
  for (net::PortId queue = 0; queue < 3; ++queue) ASSERT_TRUE(made.send(queue, frame));
  made.run();
  EXPECT_EQ(made.receive(3).size(), 3u);
  made.check_law();
}

TEST(NodeLink, ThereIsOneDeviceAndOneLink) {
  MemoryPort memory(8);
  const auto error_of = [&](std::vector<PortSpec> ports) {
    SnapshotSpec spec;
    spec.generation = 1;
    spec.port_limit = 8;
    spec.worker_count = 1;
    spec.gateway = test_gateway();
    for (PortSpec& port : ports) {
      port.id = static_cast<net::PortId>(spec.ports.size());
      port.port = &memory;
      port.mtu_bytes = 1500;
      port.mac = mac(kUplinkMac);
      spec.ports.push_back(port);
    }
    const auto built = build_snapshot(spec, nullptr);
    return built.ok() ? std::string() : built.error().message;
  };
  const PortSpec link = port("link", PortKind::kNodeLink);
  PortSpec device = port("device", PortKind::kUplink);
  device.is_filtered = true;
  PortSpec other = device;
  other.name = "other";
  PortSpec pod = port("pod", PortKind::kPod);
  pod.is_filtered = true;
  PortSpec addressed = link;
  addressed.addresses = {net::IpAddress::parse("192.0.2.7").value()};
  EXPECT_EQ(error_of({link, device, device}), "");
  EXPECT_EQ(error_of({link, link}), "port \"link\" is a second node link beside port \"link\"");
  EXPECT_EQ(error_of({device, other}),
            "port \"other\" is a second device that no kernel drives, beside port \"device\"");
  EXPECT_EQ(error_of({pod}), "port \"pod\" is filtered and no uplink");
  EXPECT_NE(error_of({addressed}).find("cannot have addresses"), std::string::npos);
}

}  // namespace
}  // namespace millrace::datapath
