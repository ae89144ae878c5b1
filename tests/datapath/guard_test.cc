// Who may send what: one row a frame.
#include "datapath/guard.h"

#include <gtest/gtest.h>

#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr const char* kOwnMac = "02:00:00:00:00:0a";
constexpr const char* kOtherMac = "02:00:00:00:00:0c";
constexpr const char* kNodesMulticast = "33:33:00:00:00:01";

PortEntry port(PortKind kind) {
  PortEntry entry;
  entry.kind = kind;
  entry.mac = mac(kOwnMac);
  entry.ipv4_count = 2;
  entry.ipv4 = {v4("10.244.0.3"), v4("10.244.0.4")};
  entry.ipv6_count = 2;
  entry.ipv6 = {v6("fd00::3"), v6("fd00::4")};
  return entry;
}

PacketBuilder to_gateway() { return eth(kOwnMac, kGatewayMac); }

Bytes udp4(const char* source) { return to_gateway().ipv4(source, "10.244.0.9").udp(1, 2).bytes(); }
Bytes udp6(const char* source, const char* destination = "fd00::9") {
  return to_gateway().ipv6(source, destination).udp(1, 2).bytes();
}
Bytes icmp6(const char* source, const char* destination, std::uint8_t type) {
  return to_gateway().ipv6(source, destination).icmpv6(type).bytes();
}
Bytes arp(const char* sender_mac, const char* sender_ip) {
  return eth(kOwnMac, kBroadcastMac).arp(1, sender_mac, sender_ip, "00:00:00:00:00:00", "169.254.1.1").bytes();
}
Bytes solicitation(const char* source, const char* source_mac) {
  return eth(kOwnMac, kNodesMulticast)
      .ipv6(source, "ff02::1:ff00:1")
      .ttl(255)
      .neighbor_solicitation("fe80::1", source_mac)
      .bytes();
}
/// An advertisement "target is at target_mac", unsolicited, to all nodes.
Bytes advertisement(const char* target, const char* target_mac) {
  const net::Ipv6 address = v6(target);
  Bytes rest(address.bytes.begin(), address.bytes.end());
  rest.insert(rest.end(), {2, 1});
  const net::Mac option = mac(target_mac);
  rest.insert(rest.end(), option.bytes.begin(), option.bytes.end());
  return eth(kOwnMac, kNodesMulticast).ipv6("fd00::3", "ff02::1").ttl(255).icmpv6(136).payload(rest).bytes();
}

struct Row {
  const char* name;
  Bytes frame;
  Drop verdict;
};

Snapshot snapshot() {
  Snapshot made;
  made.gateway = test_gateway();
  return made;
}

void check(PortKind kind, const std::vector<Row>& rows) {
  const Snapshot in_force = snapshot();
  for (const Row& row : rows) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    EXPECT_EQ(net::drop_name(guard(*packet, port(kind), in_force)), net::drop_name(row.verdict)) << row.name;
  }
}

TEST(Guard, PodSendsOnlyFromItsOwnMacAndAddresses) {
  check(PortKind::kPod,
        {
            {"own IPv4", udp4("10.244.0.3"), Drop::kNone},
            {"own second IPv4", udp4("10.244.0.4"), Drop::kNone},
            {"neighbour's IPv4", udp4("10.244.0.5"), Drop::kSpoofedAddress},
            {"gateway's IPv4", udp4("169.254.1.1"), Drop::kSpoofedAddress},
            {"unspecified IPv4", udp4("0.0.0.0"), Drop::kSpoofedAddress},
            {"loopback IPv4", udp4("127.0.0.1"), Drop::kSpoofedAddress},
            {"own IPv6", udp6("fd00::3"), Drop::kNone},
            {"own second IPv6", udp6("fd00::4"), Drop::kNone},
            {"neighbour's IPv6", udp6("fd00::5"), Drop::kSpoofedAddress},
            {"loopback IPv6", udp6("::1"), Drop::kBadSource},
            {"multicast IPv6", udp6("ff02::1"), Drop::kBadSource},
            {"other's MAC", eth(kOtherMac, kGatewayMac).ipv4("10.244.0.3", "10.244.0.9").udp(1, 2).bytes(),
             Drop::kSpoofedMac},
            {"gateway's MAC", eth(kGatewayMac, kGatewayMac).ipv4("10.244.0.3", "10.244.0.9").udp(1, 2).bytes(),
             Drop::kSpoofedMac},
            {"to other's MAC", eth(kOwnMac, kOtherMac).ipv4("10.244.0.3", "10.244.0.9").udp(1, 2).bytes(),
             Drop::kNotForGateway},
            {"to broadcast MAC", eth(kOwnMac, kBroadcastMac).ipv4("10.244.0.3", "10.244.0.9").udp(1, 2).bytes(),
             Drop::kNone},
            {"VLAN tag", to_gateway().vlan(7).ipv4("10.244.0.3", "10.244.0.9").udp(1, 2).bytes(), Drop::kVlanOnPod},
        });
}

TEST(Guard, LinkLocalIpv6StaysOnTheLink) {
  check(PortKind::kPod, {
                            {"echo to the gateway", icmp6("fe80::a", "fe80::1", 128), Drop::kNone},
                            {"router solicitation", icmp6("fe80::a", "ff02::2", 133), Drop::kNone},
                            {"multicast listener report", icmp6("fe80::a", "ff02::16", 143), Drop::kNone},
                            {"solicitation of the gateway", solicitation("fe80::a", kOwnMac), Drop::kNone},
                            {"echo to a neighbour", icmp6("fe80::a", "fd00::9", 128), Drop::kLinkLocal},
                            {"echo to a neighbour's link-local", icmp6("fe80::a", "fe80::b", 128), Drop::kLinkLocal},
                            {"echo to site multicast", icmp6("fe80::a", "ff05::2", 128), Drop::kLinkLocal},
                            {"UDP to the gateway", udp6("fe80::a", "fe80::1"), Drop::kLinkLocal},
                            {"multicast DNS", udp6("fe80::a", "ff02::fb"), Drop::kLinkLocal},
                            {"from the gateway's", icmp6("fe80::1", "ff02::1", 136), Drop::kSpoofedAddress},
                            {"duplicate address detection", solicitation("::", ""), Drop::kNone},
                            {"report from no address yet", icmp6("::", "ff02::16", 143), Drop::kNone},
                            {"UDP from no address", udp6("::", "ff02::1"), Drop::kSpoofedAddress},
                            {"echo from no address", icmp6("::", "fd00::9", 128), Drop::kSpoofedAddress},
                        });
}

TEST(Guard, NothingIsClaimedForOthersInArpAndNeighbourDiscovery) {
  check(PortKind::kPod,
        {
            {"ARP as itself", arp(kOwnMac, "10.244.0.3"), Drop::kNone},
            {"ARP probe", arp(kOwnMac, "0.0.0.0"), Drop::kNone},
            {"ARP with other's MAC inside", arp(kOtherMac, "10.244.0.3"), Drop::kSpoofedMac},
            {"ARP with other's address inside", arp(kOwnMac, "10.244.0.9"), Drop::kSpoofedAddress},
            {"ARP as the gateway", arp(kOwnMac, "169.254.1.1"), Drop::kSpoofedAddress},
            {"solicitation with own MAC inside", solicitation("fd00::3", kOwnMac), Drop::kNone},
            {"solicitation with other's MAC inside", solicitation("fd00::3", kOtherMac), Drop::kSpoofedMac},
            {"solicitation from other's address", solicitation("fd00::9", kOwnMac), Drop::kSpoofedAddress},
            {"advertisement of itself", advertisement("fd00::3", kOwnMac), Drop::kNone},
            {"advertisement of its link-local", advertisement("fe80::a", kOwnMac), Drop::kNone},
            {"advertisement of another", advertisement("fd00::9", kOwnMac), Drop::kSpoofedAddress},
            {"advertisement of other's MAC", advertisement("fd00::3", kOtherMac), Drop::kSpoofedMac},
        });
}

TEST(Guard, HostSendsFromAnyAddressOfASingleHost) {
  check(PortKind::kHost,
        {
            {"any IPv4", udp4("198.51.100.7"), Drop::kNone},
            {"IPv4 link-local", udp4("169.254.20.10"), Drop::kNone},
            {"loopback", udp4("127.0.0.1"), Drop::kBadSource},
            {"multicast", udp4("224.0.0.5"), Drop::kBadSource},
            {"broadcast", udp4("255.255.255.255"), Drop::kBadSource},
            {"unspecified", udp4("0.0.0.0"), Drop::kBadSource},
            {"any IPv6", udp6("2001:db8::7"), Drop::kNone},
            {"loopback IPv6", udp6("::1"), Drop::kBadSource},
            {"multicast IPv6", udp6("ff0e::1"), Drop::kBadSource},
            {"unspecified IPv6", udp6("::"), Drop::kBadSource},
            {"link-local IPv6 to a pod", udp6("fe80::a"), Drop::kLinkLocal},
            {"any ARP sender", arp(kOwnMac, "192.0.2.1"), Drop::kNone},
            {"ARP sender loopback", arp(kOwnMac, "127.0.0.1"), Drop::kBadSource},
            {"ARP with other's MAC", arp(kOtherMac, "192.0.2.1"), Drop::kSpoofedMac},
            {"other's MAC", eth(kOtherMac, kGatewayMac).ipv4("198.51.100.7", "10.244.0.9").udp(1, 2).bytes(),
             Drop::kSpoofedMac},
        });
}

TEST(Guard, PodWithoutAddressesSendsNothing) {
  PortEntry bare = port(PortKind::kPod);
  bare.ipv4_count = bare.ipv6_count = 0;
  for (const Bytes& frame : {udp4("0.0.0.0"), udp4("10.244.0.3"), udp6("fd00::3")}) {
    TestPacket packet(frame);
    ASSERT_EQ(packet.parse(), Drop::kNone);
    EXPECT_EQ(guard(*packet, bare, snapshot()), Drop::kSpoofedAddress) << describe(frame);
  }
}

TEST(Guard, PodThatIsARouterSendsFromThePrefixesBehindIt) {
  constexpr net::PortId kRouter = 1, kOther = 2;
  PortEntry router = port(PortKind::kPod);
  router.has_prefixes = true;
  Snapshot in_force = snapshot();
  auto routes = RouteTable::build({{*net::Prefix::parse("10.250.0.0/16"), kRouter},
                                   {*net::Prefix::parse("10.250.7.0/24"), kOther},
                                   {*net::Prefix::parse("fd00:250::/64"), kRouter},
                                   {*net::Prefix::parse("fd00:250::7/128"), kOther}});
  ASSERT_TRUE(routes);
  in_force.routes = std::move(*routes);
  const std::vector<Row> rows = {
      {"own IPv4", udp4("10.244.0.3"), Drop::kNone},
      {"behind, IPv4", udp4("10.250.1.1"), Drop::kNone},
      {"of another port within it, IPv4", udp4("10.250.7.1"), Drop::kSpoofedAddress},
      {"of nobody, IPv4", udp4("10.251.0.1"), Drop::kSpoofedAddress},
      {"behind, IPv6", udp6("fd00:250::1"), Drop::kNone},
      {"of another port within it, IPv6", udp6("fd00:250::7"), Drop::kSpoofedAddress},
      {"of nobody, IPv6", udp6("fd00:251::1"), Drop::kSpoofedAddress},
      {"ARP from behind", arp(kOwnMac, "10.250.1.1"), Drop::kSpoofedAddress},
  };
  for (const Row& row : rows) {
    TestPacket packet(row.frame);
    ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
    packet->in_port = kRouter;
    EXPECT_EQ(net::drop_name(guard(*packet, router, in_force)), net::drop_name(row.verdict)) << row.name;
  }
}

}  // namespace
}  // namespace millrace::datapath
