// What control may ask for, what it gets, and what it is told when it may not.
#include "datapath/snapshot_builder.h"

#include <gtest/gtest.h>

#include <functional>
#include <span>

#include "datapath/memory_port.h"

namespace millrace::datapath {
namespace {

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }
net::Prefix prefix(const char* text) { return net::Prefix::parse(text).value(); }
net::Mac mac(std::uint8_t last) { return {{2, 0, 0, 0, 0, last}}; }

struct Refused {
  const char* name;
  std::function<void(SnapshotSpec&)> change;
  net::ErrorCode code;
  std::vector<const char*> message_has;
};

class SnapshotBuilder : public testing::Test {
 protected:
  SnapshotSpec spec() {
    SnapshotSpec made;
    made.generation = 1;
    made.port_limit = 8;
    made.worker_count = 2;
    made.gateway.mac = mac(0xfe);
    made.gateway.ipv4 = ip("169.254.1.1").v4();
    made.gateway.ipv6 = ip("fe80::1").v6();
    made.ports = {
        {.id = 1,
         .name = "a",
         .port = &devices_[0],
         .worker = 0,
         .mtu_bytes = 1500,
         .mac = mac(1),
         .addresses = {ip("10.244.0.3"), ip("fd00::3")},
         .prefixes = {}},
        {.id = 4,
         .name = "host",
         .port = &devices_[1],
         .kind = PortKind::kHost,
         .worker = 1,
         .mtu_bytes = 1500,
         .mac = mac(2),
         .addresses = {ip("192.0.2.1")},
         .prefixes = {prefix("0.0.0.0/0"), prefix("::/0")}},
    };
    return made;
  }
  void check_refused(std::span<const Refused> rows) {
    for (const Refused& row : rows) {
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

  std::array<MemoryPort, 3> devices_{MemoryPort(1), MemoryPort(1), MemoryPort(1)};
};

TEST_F(SnapshotBuilder, MakesPortsPollListsAndRoutes) {
  const auto built = build_snapshot(spec(), nullptr);
  ASSERT_TRUE(built.ok()) << built.error().message;
  const Snapshot& snapshot = **built;
  EXPECT_EQ(snapshot.generation, 1u);
  ASSERT_EQ(snapshot.ports.size(), 8u);
  EXPECT_EQ(snapshot.ports[0].port, nullptr);
  const PortEntry& a = snapshot.ports[1];
  EXPECT_EQ(a.port, &devices_[0]);
  EXPECT_EQ(a.mac, mac(1));
  EXPECT_EQ(a.mtu_bytes, 1500);
  EXPECT_EQ(a.ipv4_count, 1);
  EXPECT_EQ(a.ipv4[0], ip("10.244.0.3").v4());
  EXPECT_EQ(a.ipv6_count, 1);
  EXPECT_EQ(a.ipv6[0], ip("fd00::3").v6());
  EXPECT_EQ(snapshot.ports[4].kind, PortKind::kHost);
  EXPECT_EQ(snapshot.polled[0], std::vector<net::PortId>{1});
  EXPECT_EQ(snapshot.polled[1], std::vector<net::PortId>{4});
  EXPECT_EQ(snapshot.routes.lookup(ip("10.244.0.3").v4()), 1);
  EXPECT_EQ(snapshot.routes.lookup(ip("fd00::3").v6()), 1);
  EXPECT_EQ(snapshot.routes.lookup(ip("10.244.0.4").v4()), 4);
  EXPECT_EQ(snapshot.routes.lookup(ip("2001:db8::1").v6()), 4);
}

TEST_F(SnapshotBuilder, RemembersSinceWhenAPortIsThere) {
  SnapshotSpec first = spec();
  const auto one = build_snapshot(first, nullptr);
  ASSERT_TRUE(one.ok());
  SnapshotSpec second = spec();
  second.generation = 2;
  second.ports[0].port = &devices_[2];  // another device under the same id
  second.ports[1].mtu_bytes = 9000;     // the same device, changed
  const auto two = build_snapshot(second, one->get());
  ASSERT_TRUE(two.ok());
  EXPECT_EQ((*two)->ports[1].since_generation, 2u);
  EXPECT_EQ((*two)->ports[4].since_generation, 1u);
}

TEST_F(SnapshotBuilder, RefusesAndSaysWhy) {
  using enum net::ErrorCode;
  const std::vector<Refused> rows = {
      {"two ports, one address",
       [](auto& s) { s.ports[1].addresses.push_back(ip("10.244.0.3")); },
       kAlreadyExists,
       {"10.244.0.3/32", "\"a\"", "\"host\""}},
      {"one port, one address twice",
       [](auto& s) { s.ports[0].addresses.push_back(ip("fd00::3")); },
       kAlreadyExists,
       {"fd00::3/128", "\"a\""}},
      {"two ports, one prefix",
       [](auto& s) { s.ports[0].prefixes.push_back(prefix("::/0")); },
       kAlreadyExists,
       {"::/0", "\"a\"", "\"host\""}},
      {"two ports, one id", [](auto& s) { s.ports[1].id = 1; }, kAlreadyExists, {"id 1", "\"a\"", "\"host\""}},
      {"the gateway's address",
       [](auto& s) { s.ports[0].addresses[0] = ip("169.254.1.1"); },
       kAlreadyExists,
       {"\"a\"", "169.254.1.1", "gateway"}},
      {"the gateway's mac", [](auto& s) { s.ports[0].mac = s.gateway.mac; }, kAlreadyExists, {"\"a\"", "gateway"}},
      {"id over the limit", [](auto& s) { s.ports[0].id = 8; }, kInvalidArgument, {"\"a\"", "id 8", "limit of 8"}},
      {"no device", [](auto& s) { s.ports[0].port = nullptr; }, kInvalidArgument, {"\"a\"", "device"}},
      {"worker that is not there", [](auto& s) { s.ports[0].worker = 2; }, kInvalidArgument, {"\"a\"", "worker 2"}},
      {"multicast mac", [](auto& s) { s.ports[0].mac.bytes[0] = 1; }, kInvalidArgument, {"\"a\"", "mac"}},
      {"zero mac", [](auto& s) { s.ports[0].mac = {}; }, kInvalidArgument, {"\"a\"", "mac"}},
      {"mtu too small", [](auto& s) { s.ports[1].mtu_bytes = 575; }, kInvalidArgument, {"\"host\"", "mtu 575", "576"}},
      {"mtu too small for IPv6", [](auto& s) { s.ports[0].mtu_bytes = 1279; }, kInvalidArgument, {"mtu 1279", "1280"}},
      {"DHCP of the host port", [](auto& s) { s.ports[1].dhcp = true; }, kInvalidArgument, {"\"host\"", "DHCP"}},
      {"mtu too large", [](auto& s) { s.ports[0].mtu_bytes = 65536; }, kInvalidArgument, {"mtu 65536", "65535"}},
      {"multicast address",
       [](auto& s) { s.ports[0].addresses[0] = ip("224.0.0.1"); },
       kInvalidArgument,
       {"224.0.0.1"}},
      {"loopback address", [](auto& s) { s.ports[0].addresses[1] = ip("::1"); }, kInvalidArgument, {"\"a\"", "::1"}},
      {"link-local address", [](auto& s) { s.ports[0].addresses[1] = ip("fe80::9"); }, kInvalidArgument, {"fe80::9"}},
      {"prefix with host bits",
       [](auto& s) { s.ports[1].prefixes[0].address = ip("10.0.0.1"); },
       kInvalidArgument,
       {"10.0.0.1/0"}},
      {"five addresses",
       [](auto& s) {
         for (int i = 0; i < 4; ++i)
           s.ports[0].addresses.push_back(net::IpAddress::from(net::Ipv4::from_host(0x0a000001 + i)));
       },
       kResourceExhausted,
       {"\"a\"", "4"}},
      {"more ports than the limit", [](auto& s) { s.port_limit = 1; }, kResourceExhausted, {"limit of 1"}},
      {"limit over the maximum", [](auto& s) { s.port_limit = 4097; }, kInvalidArgument, {"4097", "4096"}},
      {"no workers", [](auto& s) { s.worker_count = 0; }, kInvalidArgument, {"worker_count"}},
      {"too many workers", [](auto& s) { s.worker_count = 33; }, kInvalidArgument, {"worker_count", "32"}},
      {"generation 0", [](auto& s) { s.generation = 0; }, kInvalidArgument, {"generation"}},
      {"gateway without mac", [](auto& s) { s.gateway.mac = {}; }, kInvalidArgument, {"gateway mac"}},
      {"multicast gateway", [](auto& s) { s.gateway.ipv6 = ip("ff02::1").v6(); }, kInvalidArgument, {"ff02::1"}},
  };
  check_refused(rows);
}

TEST_F(SnapshotBuilder, RefusesMasqueradeAndSaysWhy) {
  using enum net::ErrorCode;
  const Refused rows[] = {
      {"masquerade without ports",
       [](auto& s) { s.nat.masquerade_v4 = ip("192.0.2.1").v4(); },
       kInvalidArgument,
       {"masquerade", "0 ports", "2 workers"}},
      {"masquerade ports beyond the last",
       [](auto& s) {
         s.nat.ports = {65'000, 537};
       },
       kInvalidArgument,
       {"537 ports", "65000", "65535"}},
      {"too many prefixes that are not masqueraded",
       [](auto& s) { s.nat.not_masqueraded.assign(kMaxNotMasqueraded + 1, prefix("10.0.0.0/8")); },
       kResourceExhausted,
       {"not_masqueraded", "1025", "1024"}},
      {"too many service prefixes",
       [](auto& s) { s.nat.service_prefixes.assign(kMaxServicePrefixes + 1, prefix("10.96.0.0/12")); },
       kResourceExhausted,
       {"service_prefixes", "17", "16"}},
      {"too many node addresses",
       [](auto& s) { s.nat.node_addresses.assign(kMaxNodeAddresses + 1, ip("192.0.2.1")); },
       kResourceExhausted,
       {"node addresses", "65", "64"}},
  };
  check_refused(rows);
}

TEST_F(SnapshotBuilder, CutsMasqueradePortsIntoEqualBlocks) {
  SnapshotSpec asked = spec();
  asked.worker_count = 3;
  asked.nat.masquerade_v4 = ip("192.0.2.1").v4();
  asked.nat.ports = {65'036, 500};
  asked.nat.not_masqueraded = {prefix("10.0.0.0/8")};
  asked.nat.service_prefixes = {prefix("10.96.0.0/12")};
  asked.nat.node_addresses = {ip("192.0.2.1"), ip("2001:db8::1")};
  const auto built = build_snapshot(asked, nullptr);
  ASSERT_TRUE(built.ok()) << built.error().message;
  const NatRules& rules = (*built)->nat;
  EXPECT_EQ(rules.ports_a_worker, 166u);
  EXPECT_EQ(rules.worker_of(65'036), 0);
  EXPECT_EQ(rules.worker_of(65'201), 0);
  EXPECT_EQ(rules.worker_of(65'202), 1);
  EXPECT_EQ(rules.worker_of(65'533), 2);
  EXPECT_TRUE(rules.holds(ip("192.0.2.1").v4(), 65'533));
  EXPECT_FALSE(rules.holds(ip("192.0.2.1").v4(), 65'534)) << "what does not divide is nobody's";
  EXPECT_FALSE(rules.holds(ip("192.0.2.2").v4(), 65'100));
  EXPECT_FALSE(rules.holds(ip("2001:db8::1").v6(), 65'100)) << "no masquerade in IPv6";
  EXPECT_FALSE(rules.holds(net::Ipv6{}, 65'100));
  EXPECT_TRUE(rules.is_node(ip("192.0.2.1").v4()));
  EXPECT_TRUE(rules.is_node(ip("2001:db8::1").v6()));
  EXPECT_FALSE(rules.is_node(ip("10.244.0.3").v4()));
  ASSERT_NE((*built)->services, nullptr);
  EXPECT_EQ((*built)->services->service_count(), 0u);
  for (WorkerId id = 0; id < 3; ++id) {
    const millrace::nat::PortRange own = ports_of_worker(asked.nat.ports, 3, id);
    EXPECT_EQ(own.count, 166u);
    EXPECT_EQ(own.first, 65'036 + 166 * id);
  }
}

}  // namespace
}  // namespace millrace::datapath
