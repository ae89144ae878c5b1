// Ways to other nodes: what control may ask for, what workers get, and what control is told when it may not.
#include "datapath/tunnel_builder.h"

#include <gtest/gtest.h>

#include <functional>

#include "datapath/memory_port.h"
#include "net/ip_header.h"

namespace millrace::datapath {
namespace {

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }
net::Prefix prefix(const char* text) { return net::Prefix::parse(text).value(); }
net::Mac mac(std::uint8_t last) { return {{2, 0, 0, 0, 0, last}}; }

constexpr net::PortId kFirst = 8;  // id of tunnel 0

class TunnelBuilder : public testing::Test {
 protected:
  SnapshotSpec spec() {
    SnapshotSpec made;
    made.generation = 1;
    made.port_limit = kFirst;
    made.tunnel_limit = 6;
    made.worker_count = 4;
    made.gateway.mac = mac(0xfe);
    const auto port = [&](net::PortId id, const char* name, PortKind kind, WorkerId worker) {
      made.ports.push_back({.id = id,
                            .name = name,
                            .port = &devices_[id],
                            .kind = kind,
                            .worker = worker,
                            .mtu_bytes = 1500,
                            .mac = mac(static_cast<std::uint8_t>(id + 1)),
                            .addresses = {},
                            .prefixes = {}});
    };
    port(0, "host", PortKind::kHost, 3);
    port(1, "eth0 0", PortKind::kUplink, 1);
    port(2, "eth0 1", PortKind::kUplink, 2);
    port(3, "eth1", PortKind::kUplink, 2);
    port(4, "pod", PortKind::kPod, 0);
    made.ports[0].prefixes = {prefix("0.0.0.0/0")};
    made.underlay = {ip("192.0.2.1").v4(), ip("2001:db8::1").v6(), mac(0x11), 4096, 4789};
    made.uplinks = {{"eth0", mac(0x21), {1, 2}}, {"eth1", mac(0x22), {3}}};
    made.tunnels = {{.index = 5,
                     .name = "b",
                     .remote = ip("192.0.2.2"),
                     .remote_vtep_mac = mac(0x12),
                     .hop = TunnelHop{0, mac(0x31), 1500},
                     .prefixes = {prefix("10.1.2.0/24"), prefix("192.0.2.2/32")}},
                    {.index = 0,
                     .name = "c",
                     .remote = ip("2001:db8::3"),
                     .remote_vtep_mac = mac(0x13),
                     .hop = TunnelHop{1, mac(0x32), 9000},
                     .prefixes = {prefix("10.1.3.0/24")}},
                    {.index = 2,
                     .name = "d",
                     .remote = ip("192.0.2.4"),
                     .is_encapsulated = false,
                     .remote_vtep_mac = {},
                     .hop = TunnelHop{0, mac(0x33), 1500},
                     .prefixes = {prefix("10.1.4.0/24")}},
                    {.index = 3,
                     .name = "e",
                     .remote = ip("192.0.2.5"),
                     .remote_vtep_mac = mac(0x15),
                     .hop = {},
                     .prefixes = {prefix("10.1.5.0/24")}}};
    return made;
  }

  std::array<MemoryPort, 5> devices_{MemoryPort(1), MemoryPort(1), MemoryPort(1), MemoryPort(1), MemoryPort(1)};
};

TEST_F(TunnelBuilder, MakesEntriesBehindThePortsWithRoutesAndPeers) {
  const auto built = build_snapshot(spec(), nullptr);
  ASSERT_TRUE(built.ok()) << built.error().message;
  const Snapshot& snapshot = **built;
  ASSERT_EQ(snapshot.ports.size(), 14u);
  EXPECT_EQ(snapshot.first_tunnel, kFirst);
  EXPECT_EQ(snapshot.outside, 0);
  EXPECT_FALSE(is_tunnel(snapshot, 4));
  EXPECT_FALSE(is_tunnel(snapshot, net::kNoPort));
  EXPECT_TRUE(is_tunnel(snapshot, kFirst));
  EXPECT_EQ(snapshot.routes.lookup(ip("10.1.2.9").v4()), kFirst + 5);
  EXPECT_EQ(snapshot.routes.lookup(ip("10.1.3.9").v4()), kFirst + 0);
  EXPECT_EQ(snapshot.routes.lookup(ip("198.51.100.9").v4()), 0);
  EXPECT_EQ(snapshot.peers.find(ip("192.0.2.2").v4()), 5);
  EXPECT_EQ(snapshot.peers.find(ip("2001:db8::3").v6()), 0);
  EXPECT_EQ(snapshot.peers.find(ip("192.0.2.9").v4()), kNoTunnel);
  EXPECT_EQ(snapshot.tunnel_nodes.lookup(ip("192.0.2.2").v4()), kFirst + 5);
  EXPECT_EQ(snapshot.tunnel_nodes.lookup(ip("10.1.2.9").v4()), net::kNoPort) << "a pod is no node";
  EXPECT_TRUE(snapshot.has_plain_tunnels);

  const PortEntry& b = snapshot.ports[kFirst + 5];
  EXPECT_EQ(b.kind, PortKind::kTunnel);
  EXPECT_EQ(b.port, nullptr);
  EXPECT_EQ(b.mtu_bytes, 1450);
  EXPECT_EQ(b.worker, 3) << "that of the host port";
  EXPECT_EQ(snapshot.ports[kFirst + 0].mtu_bytes, 8930);
  EXPECT_EQ(snapshot.ports[kFirst + 2].mtu_bytes, 1500);
  EXPECT_EQ(snapshot.ports[kFirst + 3].mtu_bytes, 0);
  EXPECT_TRUE(tunnel_of(snapshot, kFirst + 5).is_resolved);
  EXPECT_FALSE(tunnel_of(snapshot, kFirst + 3).is_resolved);
  EXPECT_EQ(tunnel_of(snapshot, kFirst + 5).outer.length_bytes, 64);
  EXPECT_EQ(tunnel_of(snapshot, kFirst + 0).outer.length_bytes, 84);
  EXPECT_EQ(tunnel_of(snapshot, kFirst + 2).outer.length_bytes, 14);
  EXPECT_FALSE(tunnel_of(snapshot, kFirst + 1).is_set);
}

TEST_F(TunnelBuilder, EachWorkerSendsByItsOwnQueueOrAFixedOther) {
  const auto built = build_snapshot(spec(), nullptr);
  ASSERT_TRUE(built.ok()) << built.error().message;
  const std::vector<Uplink>& uplinks = (*built)->uplinks;
  ASSERT_EQ(uplinks.size(), 2u);
  EXPECT_EQ(uplinks[0].ports[1], 1) << "its own";
  EXPECT_EQ(uplinks[0].ports[2], 2);
  EXPECT_EQ(uplinks[0].ports[0], 1) << "another's";
  EXPECT_EQ(uplinks[0].ports[3], 2);
  for (WorkerId worker = 0; worker < 4; ++worker) EXPECT_EQ(uplinks[1].ports[worker], 3);
}

TEST_F(TunnelBuilder, ATunnelIsTheSameWhileItLeadsToTheSameNode) {
  const auto one = build_snapshot(spec(), nullptr);
  ASSERT_TRUE(one.ok());
  SnapshotSpec second = spec();
  second.generation = 2;
  second.tunnels[0].hop->mac = mac(0x55);        // another router
  second.tunnels[1].remote = ip("2001:db8::4");  // another node
  second.tunnels[3].index = 4;                   // a node under another index
  const auto two = build_snapshot(second, one->get());
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_EQ((*two)->ports[kFirst + 5].since_generation, 1u);
  EXPECT_EQ((*two)->ports[kFirst + 0].since_generation, 2u);
  EXPECT_EQ((*two)->ports[kFirst + 2].since_generation, 1u);
  EXPECT_EQ((*two)->ports[kFirst + 4].since_generation, 2u);
}

TEST_F(TunnelBuilder, RefusesAndSaysWhy) {
  using enum net::ErrorCode;
  struct Row {
    const char* name;
    std::function<void(SnapshotSpec&)> change;
    net::ErrorCode code;
    std::vector<const char*> message_has;
  };
  const std::vector<Row> rows = {
      {"limit", [](auto& s) { s.tunnel_limit = 4097; }, kInvalidArgument, {"tunnel_limit 4097", "4096"}},
      {"too many", [](auto& s) { s.tunnel_limit = 3; }, kResourceExhausted, {"4 tunnels", "limit of 3"}},
      {"index", [](auto& s) { s.tunnels[0].index = 6; }, kInvalidArgument, {"\"b\"", "index 6", "limit of 6"}},
      {"one index", [](auto& s) { s.tunnels[1].index = 5; }, kAlreadyExists, {"index 5", "\"b\"", "\"c\""}},
      {"one remote", [](auto& s) { s.tunnels[2].remote = ip("192.0.2.2"); }, kAlreadyExists, {"192.0.2.2", "\"d\""}},
      {"remote is this node",
       [](auto& s) { s.tunnels[2].remote = ip("192.0.2.1"); },
       kInvalidArgument,
       {"\"d\"", "192.0.2.1", "own"}},
      {"remote is a group", [](auto& s) { s.tunnels[0].remote = ip("224.0.0.1"); }, kInvalidArgument, {"224.0.0.1"}},
      {"family without an address", [](auto& s) { s.underlay.ipv6 = {}; }, kInvalidArgument, {"\"c\"", "family"}},
      {"no vtep mac", [](auto& s) { s.tunnels[0].remote_vtep_mac = {}; }, kInvalidArgument, {"\"b\"", "vtep_mac"}},
      {"a prefix of a port",
       [](auto& s) { s.tunnels[0].prefixes[0] = prefix("0.0.0.0/0"); },
       kAlreadyExists,
       {"0.0.0.0/0", "tunnel \"b\"", "port \"host\""}},
      {"a prefix twice",
       [](auto& s) { s.tunnels[1].prefixes.push_back(prefix("192.0.2.2/32")); },
       kAlreadyExists,
       {"192.0.2.2/32", "\"c\"", "\"b\""}},
      {"too many prefixes",
       [](auto& s) {
         s.tunnels[0].prefixes.clear();
         for (std::uint32_t i = 0; i < 1025; ++i)
           s.tunnels[0].prefixes.push_back({net::IpAddress::from(net::Ipv4::from_host(0x0b000000 + i)), 32});
       },
       kResourceExhausted,
       {"\"b\"", "1025", "1024"}},
      {"uplink that is not there",
       [](auto& s) { s.tunnels[0].hop->uplink = 2; },
       kInvalidArgument,
       {"\"b\"", "uplink 2"}},
      {"next hop", [](auto& s) { s.tunnels[0].hop->mac = {}; }, kInvalidArgument, {"\"b\"", "next hop"}},
      {"path mtu", [](auto& s) { s.tunnels[0].hop->path_mtu_bytes = 625; }, kInvalidArgument, {"path mtu 625", "626"}},
      {"VXLAN without a port", [](auto& s) { s.underlay.udp_port = 0; }, kInvalidArgument, {"\"b\"", "udp_port"}},
      {"vni", [](auto& s) { s.underlay.vni = 1 << 24; }, kInvalidArgument, {"vni 16777216", "16777215"}},
      {"own vtep mac", [](auto& s) { s.underlay.vtep_mac = {{1}}; }, kInvalidArgument, {"vtep_mac"}},
      {"own address", [](auto& s) { s.underlay.ipv4 = ip("127.0.0.1").v4(); }, kInvalidArgument, {"127.0.0.1"}},
      {"queue of a pod", [](auto& s) { s.uplinks[1].queues = {4}; }, kInvalidArgument, {"\"eth1\"", "queue 4"}},
      {"queue that is not there",
       [](auto& s) { s.uplinks[1].queues = {9}; },
       kInvalidArgument,
       {"\"eth1\"", "queue 9"}},
      {"one queue", [](auto& s) { s.uplinks[1].queues = {2}; }, kAlreadyExists, {"queue 2", "\"eth0\"", "\"eth1\""}},
      {"no queues", [](auto& s) { s.uplinks[1].queues = {}; }, kInvalidArgument, {"\"eth1\"", "queues"}},
      {"uplink's mac", [](auto& s) { s.uplinks[0].mac = {}; }, kInvalidArgument, {"\"eth0\"", "mac"}},
  };
  for (const Row& row : rows) {
    SnapshotSpec changed = spec();
    row.change(changed);
    const auto built = build_snapshot(changed, nullptr);
    ASSERT_FALSE(built.ok()) << row.name;
    EXPECT_EQ(built.error().code, row.code) << row.name << ": " << built.error().message;
    for (const char* part : row.message_has) {
      EXPECT_NE(built.error().message.find(part), std::string::npos) << row.name << ": " << built.error().message;
    }
  }
}

TEST_F(TunnelBuilder, NoUnderlayIsNeededForWhatIsNotEncapsulated) {
  SnapshotSpec asked = spec();
  asked.underlay = {};
  asked.tunnels = {asked.tunnels[2]};
  const auto built = build_snapshot(asked, nullptr);
  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_EQ((*built)->underlay.udp_port, 0);
}

}  // namespace
}  // namespace millrace::datapath
