// The whole way: a frame into one port, frames out of others, and what was counted.
#include "datapath/pipeline.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

#include "datapath/answer.h"
#include "datapath/memory_port.h"
#include "net/checksum.h"
#include "net/ip_header.h"
#include "tests/datapath/test_switch.h"

namespace millrace::datapath {
namespace {

using namespace tests;
using net::Drop;

constexpr net::PortId kPodA = 1, kPodB = 2, kSmall = 3, kHost = 4;

class Pipeline : public testing::Test {
 protected:
  void SetUp() override {
    world_.add_pod(kPodA, 3);
    world_.add_pod(kPodB, 4);
    world_.add_pod(kSmall, 5).mtu_bytes = 1280;
    world_.add_host(kHost);
    world_.publish();
  }
  void TearDown() override {
    world_.check_law();
    EXPECT_EQ(world_.pool().free_count(), world_.pool().size()) << "packets were lost";
  }
  TestSwitch world_;
};

/// A frame from pod 3, and the same one hop on.
PacketBuilder from_a() { return eth(pod_mac(3), kGatewayMac); }
PacketBuilder to(unsigned pod) { return eth(kGatewayMac, pod_mac(pod)); }

TEST_F(Pipeline, ForwardsOneHop) {
  struct Row {
    const char* name;
    net::PortId in;
    Bytes frame;
    net::PortId out;
    Bytes expected;
  };
  const auto from_host = [] { return eth(pod_mac(0xff), kGatewayMac); };
  for (const Row& row : std::vector<Row>{
           {"pod to pod, UDP", kPodA, from_a().ipv4("10.244.0.3", "10.244.0.4").ttl(64).udp(1, 2).payload("x").bytes(),
            kPodB, to(4).ipv4("10.244.0.3", "10.244.0.4").ttl(63).udp(1, 2).payload("x").bytes()},
           {"pod to pod, TCP left to offload", kPodA,
            from_a().ipv4("10.244.0.3", "10.244.0.4").ttl(64).tcp(1, 2).partial_checksum().payload(900).bytes(), kPodB,
            to(4).ipv4("10.244.0.3", "10.244.0.4").ttl(63).tcp(1, 2).payload(900).bytes()},
           {"pod to pod, IPv6", kPodA,
            from_a().ipv6("fd00:10:244::3", "fd00:10:244::4").ttl(64).udp(1, 2).payload("x").bytes(), kPodB,
            to(4).ipv6("fd00:10:244::3", "fd00:10:244::4").ttl(63).udp(1, 2).payload("x").bytes()},
           {"pod to pod, IPv6 with extension header", kPodA,
            from_a().ipv6("fd00:10:244::3", "fd00:10:244::4").ttl(2).extension(60).udp(1, 2).partial_checksum().bytes(),
            kPodB, to(4).ipv6("fd00:10:244::3", "fd00:10:244::4").ttl(1).extension(60).udp(1, 2).bytes()},
           {"pod to world", kPodA, from_a().ipv4("10.244.0.3", "198.51.100.1").ttl(64).icmp(8).bytes(), kHost,
            to(0xff).ipv4("10.244.0.3", "198.51.100.1").ttl(63).icmp(8).bytes()},
           {"world to pod", kHost, from_host().ipv4("198.51.100.1", "10.244.0.4").ttl(9).icmp(0).bytes(), kPodB,
            to(4).ipv4("198.51.100.1", "10.244.0.4").ttl(8).icmp(0).bytes()},
           {"pod to node", kPodA,
            from_a().ipv4("10.244.0.3", kNodeV4).ttl(64).sctp(1, 2).partial_checksum().payload(16).bytes(), kHost,
            to(0xff).ipv4("10.244.0.3", kNodeV4).ttl(63).sctp(1, 2).payload(16).bytes()},
           {"IPv4 options", kPodA,
            from_a().ipv4("10.244.0.3", "10.244.0.4").ttl(64).options({1, 1, 1, 0}).udp(1, 2).bytes(), kPodB,
            to(4).ipv4("10.244.0.3", "10.244.0.4").ttl(63).options({1, 1, 1, 0}).udp(1, 2).bytes()}}) {
    ASSERT_TRUE(world_.send(row.in, row.frame));
    world_.run();
    for (const net::PortId id : {kPodA, kPodB, kSmall, kHost}) {
      const std::vector<Bytes> frames = world_.receive(id);
      ASSERT_EQ(frames.size(), id == row.out ? 1u : 0u) << row.name << " port " << id << " " << world_.drop_text();
      if (id == row.out) {
        EXPECT_EQ(describe(frames[0]), describe(row.expected)) << row.name;
        EXPECT_EQ(frames[0], row.expected) << row.name;
      }
    }
  }
  EXPECT_EQ(world_.drop_text(), "");
}

TEST_F(Pipeline, CountsPacketsAndBytesOnBothPorts) {
  const Bytes frame = from_a().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).payload(100).bytes();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(world_.send(kPodA, frame));
  world_.run();
  EXPECT_EQ(world_.receive(kPodB).size(), 5u);
  const PortCounters& a = world_.counters(0).port(kPodA);
  const PortCounters& b = world_.counters(0).port(kPodB);
  EXPECT_EQ(a.rx_packets.get(), 5u);
  EXPECT_EQ(a.rx_bytes.get(), 5 * frame.size());
  EXPECT_EQ(b.tx_packets.get(), 5u);
  EXPECT_EQ(b.tx_bytes.get(), 5 * frame.size());
  EXPECT_EQ(a.tx_packets.get() + b.rx_packets.get(), 0u);
}

TEST_F(Pipeline, EveryDropHasItsName) {
  struct Row {
    const char* name;
    Bytes frame;
    const char* drops;
  };
  for (const Row& row : std::vector<Row>{
           {"no frame at all", {}, "frame_too_short=1"},
           {"cut IPv4", cut(from_a().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes(), 30), "ipv4_truncated=1"},
           {"spoofed", from_a().ipv4("10.244.0.9", "10.244.0.4").udp(1, 2).bytes(), "spoofed_address=1"},
           {"other's MAC", eth(pod_mac(4), kGatewayMac).ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes(),
            "spoofed_mac=1"},
           {"VLAN", from_a().vlan(3).ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes(), "vlan_on_pod=1"},
           {"to the gateway", from_a().ipv4("10.244.0.3", "169.254.1.1").udp(1, 2).bytes(), "gateway_protocol=1"},
           {"multicast DNS", eth(pod_mac(3), "01:00:5e:00:00:fb").ipv4("10.244.0.3", "224.0.0.251").udp(1, 2).bytes(),
            "multicast=1"},
           {"gratuitous ARP",
            eth(pod_mac(3), kBroadcastMac).arp(1, pod_mac(3), "10.244.0.3", "00:00:00:00:00:00", "10.244.0.3").bytes(),
            "arp_ignored=1"}}) {
    TestSwitch world;
    world.add_pod(kPodA, 3);
    world.add_pod(kPodB, 4);
    world.publish();
    ASSERT_TRUE(world.send(kPodA, row.frame));
    world.run();
    EXPECT_EQ(world.drop_text(), row.drops) << row.name;
    EXPECT_EQ(world.counters(0).port(kPodA).answered.get(), 0u) << row.name;
    EXPECT_EQ(world.pool().free_count(), world.pool().size()) << row.name;
    world.check_law();
  }
}

TEST_F(Pipeline, AnswersWithAnIcmpErrorThatQuotesThePacket) {
  struct Row {
    const char* name;
    net::PortId in;
    Bytes frame;
    const char* drops;
    std::uint8_t type, code;
    std::uint16_t mtu_bytes;
  };
  for (const Row& row : std::vector<Row>{
           {"TTL ran out", kPodA, from_a().ipv4("10.244.0.3", "10.244.0.4").ttl(1).udp(1, 2).payload(32).bytes(),
            "ttl_exceeded=1", 11, 0, 0},
           {"hop limit ran out", kPodA,
            from_a().ipv6("fd00:10:244::3", "fd00:10:244::4").ttl(1).udp(1, 2).payload(32).bytes(), "ttl_exceeded=1", 3,
            0, 0},
           {"too big, don't fragment", kPodA,
            from_a().ipv4("10.244.0.3", "10.244.0.5").dont_fragment().udp(1, 2).payload(1300).bytes(),
            "packet_too_big=1", 3, 4, 1280},
           {"too big, IPv6", kPodA, from_a().ipv6("fd00:10:244::3", "fd00:10:244::5").udp(1, 2).payload(1300).bytes(),
            "packet_too_big=1", 2, 0, 1280},
           {"an address no pod has, from the node", kHost,
            eth(pod_mac(0xff), kGatewayMac).ipv4("198.51.100.1", "10.244.0.99").udp(1, 2).bytes(), "same_route=1", 3, 1,
            0},
           {"loopback", kPodA, from_a().ipv4("10.244.0.3", "127.0.0.1").udp(1, 2).bytes(), "no_route=1", 3, 0, 0}}) {
    TestSwitch world;
    world.add_pod(kPodA, 3);
    world.add_pod(kPodB, 4);
    world.add_pod(kSmall, 5).mtu_bytes = 1280;
    world.add_host(kHost);
    world.publish();
    ASSERT_TRUE(world.send(row.in, row.frame));
    world.run();
    EXPECT_EQ(world.drop_text(), row.drops) << row.name;
    EXPECT_EQ(world.counters(0).port(row.in).answered.get(), 1u) << row.name;
    EXPECT_EQ(world.counters(0).port(row.in).created.get(), 1u) << row.name;
    world.check_law();
    const std::vector<Bytes> frames = world.receive(row.in);
    ASSERT_EQ(frames.size(), 1u) << row.name;
    TestPacket asked(row.frame), error(frames[0]);
    ASSERT_EQ(asked.parse(), Drop::kNone);
    ASSERT_EQ(error.parse(), Drop::kNone) << row.name;
    EXPECT_EQ(error->headers.icmp_type, row.type) << row.name;
    EXPECT_EQ(error->headers.icmp_code, row.code) << row.name;
    EXPECT_EQ(net::view<net::IcmpHeader>(error->data + error->headers.l4_offset).sequence.host(), row.mtu_bytes)
        << row.name;
    EXPECT_TRUE(net::l4_checksum_is_right(error->head(), error->headers)) << row.name;
    EXPECT_EQ(net::ethernet(*error).destination, net::ethernet(*asked).source) << row.name;
    EXPECT_EQ(net::ethernet(*error).source, mac(kGatewayMac)) << row.name;
    const std::uint32_t quote_bytes = error->head_bytes - error->headers.payload_offset;
    ASSERT_GE(quote_bytes, 28u) << row.name;
    EXPECT_EQ(Bytes(error->data + error->headers.payload_offset, error->data + error->head_bytes),
              Bytes(row.frame.begin() + 14, row.frame.begin() + 14 + quote_bytes))
        << row.name;
  }
}

TEST_F(Pipeline, LimitsIcmpErrorsAndCountsThoseItKeptBack) {
  const Bytes frame = from_a().ipv4("10.244.0.3", "10.244.0.4").ttl(1).udp(1, 2).bytes();
  constexpr unsigned kSent = kIcmpErrorBurst + 50;
  for (unsigned i = 0; i < kSent; ++i) ASSERT_TRUE(world_.send(kPodA, frame));
  world_.run();
  EXPECT_EQ(world_.receive(kPodA).size(), kIcmpErrorBurst);
  EXPECT_EQ(world_.drops(Drop::kTtlExceeded), kSent);
  EXPECT_EQ(world_.drops(Drop::kIcmpRateLimited), 50u);
  world_.check_law();
  world_.now_ns += 1'000'000'000 / kIcmpErrorsPerSecond;
  ASSERT_TRUE(world_.send(kPodA, frame));
  world_.run();
  EXPECT_EQ(world_.receive(kPodA).size(), 1u) << "the limit refills with time";
}

TEST_F(Pipeline, CutsWhatIsTooLargeAndMayBeCut) {
  const Bytes frame = from_a().ipv4("10.244.0.3", "10.244.0.5").udp(1, 2).partial_checksum().payload(1400).bytes();
  const Bytes whole = from_a().ipv4("10.244.0.3", "10.244.0.5").udp(1, 2).payload(1400).bytes();
  ASSERT_TRUE(world_.send(kPodA, frame));
  world_.run();
  const std::vector<Bytes> fragments = world_.receive(kSmall);
  ASSERT_EQ(fragments.size(), 2u) << world_.drop_text();
  Bytes rebuilt;
  for (const Bytes& each : fragments) {
    TestPacket fragment(each);
    ASSERT_EQ(fragment.parse(), Drop::kNone);
    EXPECT_LE(fragment->headers.l3_length, 1280u);
    EXPECT_EQ(fragment->headers.ttl, 63);
    EXPECT_EQ(net::ethernet(*fragment).destination, mac(pod_mac(5)));
    EXPECT_EQ(net::ethernet(*fragment).source, mac(kGatewayMac));
    EXPECT_EQ(net::ipv4(*fragment).offset_bytes(), rebuilt.size());
    rebuilt.insert(rebuilt.end(), each.begin() + 34, each.end());
  }
  EXPECT_EQ(rebuilt, Bytes(whole.begin() + 34, whole.end())) << "with the checksum completed over the whole";
  EXPECT_EQ(world_.counters(0).port(kPodA).created.get(), 1u);
}

TEST_F(Pipeline, DropsWhatItHasNoBuffersToCut) {
  TestSwitch world({.packets = 2});
  world.add_pod(kPodA, 3);
  world.add_pod(kSmall, 5).mtu_bytes = 1280;
  world.publish();
  ASSERT_TRUE(world.send(kPodA, from_a().ipv4("10.244.0.3", "10.244.0.5").udp(1, 2).payload(1400).bytes()));
  world.run();
  EXPECT_EQ(world.drop_text(), "no_buffers=1");
  EXPECT_EQ(world.pool().free_count(), 2u);
  world.check_law();
}

TEST_F(Pipeline, CountsWhatAFullPortDoesNotTake) {
  TestSwitch world({.ring_size = 100});
  world.add_pod(kPodA, 3);
  world.add_pod(kPodB, 4);
  world.publish();
  const Bytes frame = from_a().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 80; ++i) ASSERT_TRUE(world.send(kPodA, frame));
    world.run();
  }
  EXPECT_EQ(world.drop_text(), "tx_ring_full=60");
  EXPECT_EQ(world.counters(0).port(kPodA).drops[static_cast<std::size_t>(Drop::kTxRingFull)].get(), 60u)
      << "counted where they came in";
  EXPECT_EQ(world.counters(0).port(kPodB).tx_packets.get(), 100u);
  EXPECT_EQ(world.counters(0).port(kPodB).tx_bytes.get(), 100 * frame.size());
  EXPECT_EQ(world.receive(kPodB).size(), 100u);
  world.check_law();
}

/// Looks, when it is polled, at what another port has transmitted by then.
class Onlooker final : public Port {
 public:
  void watch(MemoryPort& port) { watched_ = &port; }
  unsigned receive(std::span<net::Packet*>) noexcept override {
    std::array<net::Packet*, kBurst> sent;
    const unsigned count = watched_ == nullptr ? 0 : watched_->collect(sent);
    seen_.insert(seen_.end(), sent.begin(), sent.begin() + count);
    return 0;
  }
  unsigned transmit(std::span<net::Packet* const>) noexcept override { return 0; }
  /// What it saw since the last call; the caller's.
  std::vector<net::Packet*> take() { return std::exchange(seen_, {}); }

 private:
  MemoryPort* watched_ = nullptr;
  std::vector<net::Packet*> seen_;
};

// A few packets do not wait for the ports that are polled behind theirs; more leave with those of the whole turn.
TEST_F(Pipeline, AFewPacketsLeaveBeforeOtherPortsArePolled) {
  Onlooker onlooker;
  TestSwitch world;
  world.add_pod(kPodA, 3);
  world.add_pod(kPodB, 4);
  onlooker.watch(world.device(kPodB));
  world.add_pod(kSmall, 5).port = &onlooker;
  world.publish();
  world.step(0);
  const Bytes frame = from_a().ipv4("10.244.0.3", "10.244.0.4").udp(1, 2).bytes();
  for (const unsigned count : {1u, 4u, 5u}) {
    for (unsigned i = 0; i < count; ++i) ASSERT_TRUE(world.send(kPodA, frame));
    world.step(0);
    const std::vector<net::Packet*> seen = onlooker.take();
    EXPECT_EQ(seen.size(), count <= 4 ? count : 0) << count;
    world.pool().release(seen);
    EXPECT_EQ(world.receive(kPodB).size(), count - seen.size());
  }
  EXPECT_EQ(world.device(kPodB).flushes(), 3u) << "one a turn";
}

// Many ports in one turn: order within a flow holds although packets are sorted by port, and each port is started once.
TEST_F(Pipeline, KeepsOrderAndStartsEachPortOnceATurn) {
  TestSwitch world({.packets = 4096});
  constexpr unsigned kPods = 12;
  for (unsigned pod = 0; pod < kPods; ++pod) world.add_pod(static_cast<net::PortId>(pod), pod + 1);
  world.publish();
  for (std::uint16_t i = 0; i < 60; ++i) {
    for (unsigned pod = 0; pod < kPods; ++pod) {
      const unsigned other = 1 + (pod + 1 + i % 5) % kPods;
      ASSERT_TRUE(world.send(static_cast<net::PortId>(pod), eth(pod_mac(pod + 1), kGatewayMac)
                                                                .ipv4(pod_v4(pod + 1), pod_v4(other))
                                                                .udp(static_cast<std::uint16_t>(pod), i)
                                                                .bytes()));
    }
  }
  world.step(0);
  for (unsigned pod = 0; pod < kPods; ++pod) {
    EXPECT_EQ(world.device(static_cast<net::PortId>(pod)).flushes(), 1u);
    std::array<int, kPods> last{};
    last.fill(-1);
    for (const Bytes& frame : world.receive(static_cast<net::PortId>(pod))) {
      TestPacket packet(frame);
      ASSERT_EQ(packet.parse(), Drop::kNone);
      EXPECT_GT(packet->headers.destination_port, last[packet->headers.source_port]);
      last[packet->headers.source_port] = packet->headers.destination_port;
    }
  }
  EXPECT_EQ(world.sum(&PortCounters::tx_packets), 60u * kPods);
  world.check_law();
}

}  // namespace
}  // namespace millrace::datapath
