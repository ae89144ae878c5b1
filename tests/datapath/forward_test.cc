// One hop: where a packet goes, or why it goes nowhere.
#include "datapath/forward.h"

#include <gtest/gtest.h>

#include "datapath/track.h"

#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPodA = 1, kPodB = 2, kSmall = 3, kHost = 4;

struct Row {
  const char* name;
  Bytes frame;
  net::PortId out;
  Drop drop = Drop::kNone;
};

class Forward : public testing::Test {
 protected:
  /// Pods 3 and 4, pod 5 with an MTU of 1280, the host; one IPv6 prefix of the host is missing on purpose.
  void SetUp() override {
    world_.add_pod(kPodA, 3);
    world_.add_pod(kPodB, 4);
    world_.add_pod(kSmall, 5).mtu_bytes = 1280;
    PortSpec& host = world_.add_host(kHost);
    host.prefixes = {net::Prefix::parse("0.0.0.0/1").value(), net::Prefix::parse("128.0.0.0/1").value(),
                     net::Prefix::parse("2001:db8::/32").value()};
    world_.publish();
  }
  void check(net::PortId in_port, const std::vector<Row>& rows) {
    const Snapshot& snapshot = *world_.publisher().current();
    for (const Row& row : rows) {
      TestPacket packet(row.frame);
      ASSERT_EQ(packet.parse(), Drop::kNone) << row.name;
      const std::uint8_t ttl = packet->headers.ttl;
      packet->in_port = in_port;
      EXPECT_EQ(net::drop_name(forward(*packet, snapshot)), net::drop_name(row.drop)) << row.name;
      EXPECT_EQ(packet->out_port, row.out) << row.name;
      if (row.drop != Drop::kNone) {
        EXPECT_EQ(packet.bytes(), row.frame) << row.name << ": an error must quote it as it arrived";
      } else {
        ASSERT_EQ(packet.parse(), Drop::kNone) << row.name << ": header checksum";
        EXPECT_EQ(packet->headers.ttl, ttl - 1) << row.name;
      }
    }
  }
  /// The first packet of a flow at a worker of its own.
  Drop forward(net::Packet& packet, const Snapshot& snapshot) {
    FlowCounters counters;
    FlowState flows({.limit = 1024}, counters);
    RateLimiter limiter{1, 1}, dhcp{1, 1};
    EventTap tap;
    Outbox outbox(0, world_.pool(), world_.rings(), world_.counters(0), tap);
    Turn turn{snapshot, world_.now_ns, 0, world_.pool(), limiter, dhcp, world_.counters(0), outbox, flows, tap};
    Tracked tracked;
    net::Packet* const pointer = &packet;
    track(turn, {&pointer, 1}, HandoffStage::kArrived, {&tracked, 1});
    return tracked.drop;
  }
  TestSwitch world_;
};

PacketBuilder frame() { return eth(pod_mac(3), kGatewayMac); }
Bytes udp4(const char* destination, std::uint8_t ttl = 64) {
  return frame().ipv4("10.244.0.3", destination).ttl(ttl).udp(1, 2).bytes();
}
Bytes udp6(const char* destination, std::uint8_t ttl = 64) {
  return frame().ipv6("fd00:10:244::3", destination).ttl(ttl).udp(1, 2).bytes();
}

TEST_F(Forward, GoesWhereTheRouteLeads) {
  check(kPodA, {
                   {"pod, IPv4", udp4("10.244.0.4"), kPodB},
                   {"pod, IPv6", udp6("fd00:10:244::4"), kPodB},
                   {"world, IPv4", udp4("198.51.100.1"), kHost},
                   {"world, IPv6", udp6("2001:db8::5"), kHost},
                   {"node-local DNS on IPv4 link-local", udp4("169.254.20.10"), kHost},
                   {"TTL 2 is enough", udp4("10.244.0.4", 2), kPodB},
                   {"hop limit 2 is enough", udp6("fd00:10:244::4", 2), kPodB},
               });
}

TEST_F(Forward, NamesWhatIsNotForwarded) {
  check(kPodA, {
                   {"no IPv6 route", udp6("2001:db9::1"), net::kNoPort, Drop::kNoRoute},
                   {"its own address", udp4("10.244.0.3"), net::kNoPort, Drop::kSameRoute},
                   {"multicast", udp4("224.0.0.251"), net::kNoPort, Drop::kMulticast},
                   {"broadcast", udp4("255.255.255.255"), net::kNoPort, Drop::kMulticast},
                   {"loopback, in spite of the route", udp4("127.0.0.1"), net::kNoPort, Drop::kNoRoute},
                   {"this network, in spite of the route", udp4("0.1.2.3"), net::kNoPort, Drop::kNoRoute},
                   {"IPv6 multicast", udp6("ff02::fb"), net::kNoPort, Drop::kMulticast},
                   {"IPv6 link-local", udp6("fe80::b"), net::kNoPort, Drop::kLinkLocal},
                   {"IPv6 loopback", udp6("::1"), net::kNoPort, Drop::kNoRoute},
                   {"IPv6 unspecified", udp6("::"), net::kNoPort, Drop::kNoRoute},
                   {"from IPv6 link-local", frame().ipv6("fe80::a", "fd00:10:244::4").udp(1, 2).bytes(), net::kNoPort,
                    Drop::kLinkLocal},
                   {"unicast in a broadcast frame",
                    eth(pod_mac(3), kBroadcastMac).ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes(), net::kNoPort,
                    Drop::kMulticast},
                   {"TTL 1", udp4("10.244.0.4", 1), net::kNoPort, Drop::kTtlExceeded},
                   {"TTL 0", udp4("10.244.0.4", 0), net::kNoPort, Drop::kTtlExceeded},
                   {"hop limit 1", udp6("fd00:10:244::4", 1), net::kNoPort, Drop::kTtlExceeded},
               });
  check(kHost, {{"an address no pod has, from the host", udp4("10.244.0.99"), net::kNoPort, Drop::kSameRoute}});
}

TEST_F(Forward, HonoursTheMtuOfTheWayOut) {
  constexpr std::size_t kFits4 = 1280 - 20 - 8, kFits6 = 1280 - 40 - 8;
  const auto v4_udp = [] { return frame().ipv4("10.244.0.3", "10.244.0.5"); };
  const auto v6_udp = [] { return frame().ipv6("fd00:10:244::3", "fd00:10:244::5"); };
  check(kPodA, {
                   {"fits, don't fragment", v4_udp().dont_fragment().udp(1, 2).payload(kFits4).bytes(), kSmall},
                   {"one byte over, don't fragment", v4_udp().dont_fragment().udp(1, 2).payload(kFits4 + 1).bytes(),
                    kSmall, Drop::kPacketTooBig},
                   {"one byte over, may be cut", v4_udp().udp(1, 2).payload(kFits4 + 1).bytes(), kSmall},
                   {"IPv6 fits", v6_udp().udp(1, 2).payload(kFits6).bytes(), kSmall},
                   {"IPv6 one byte over", v6_udp().udp(1, 2).payload(kFits6 + 1).bytes(), kSmall, Drop::kPacketTooBig},
               });
}

}  // namespace
}  // namespace millrace::datapath
