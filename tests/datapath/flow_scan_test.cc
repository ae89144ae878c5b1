// Listing: each flow exactly once, whatever the size of the span and however many slices it takes; only those asked
// for. Ending them: the same ones, with all that they held, and no more than its share in a turn.
#include "datapath/flow_scan.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/datapath/flow_world.h"

namespace millrace::datapath {
namespace {

using namespace tests;

/// 700 flows of pod 3 and 100 of pod 4, of both families, to the world: more than one slice holds.
class Scan : public testing::Test {
 protected:
  void SetUp() override {
    describe_nat(world_);
    world_.add_pod(1, 3).masquerade = true;
    world_.add_pod(2, 4);
    world_.add_host(3);
    world_.publish();
    begin_flows();
  }
  void begin_flows() {
    for (std::uint16_t i = 0; i < 400; ++i) {
      const auto port = static_cast<std::uint16_t>(1000 + i);
      pass(world_, 1, eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "198.51.100.1").udp(port, 53).bytes());
      if (i < 300) pass(world_, 1, eth(pod_mac(3), kGatewayMac).ipv6(pod_v6(3), "2001:db8:1::1").udp(port, 53).bytes());
      if (i < 100) pass(world_, 2, eth(pod_mac(4), kGatewayMac).ipv4(pod_v4(4), "198.51.100.1").udp(port, 53).bytes());
    }
  }
  /// Posts the scan until it is through; all records.
  std::vector<FlowRecord> list(std::size_t records_a_time, std::vector<net::IpAddress> addresses = {}) {
    std::vector<FlowRecord> all, records(records_a_time);
    FlowScan scan;
    scan.addresses = std::move(addresses);
    scan.records = records;
    do {
      scan.count = 0;
      world_.worker(0).post(scan);
      while (scan.state.load() == FlowScan::State::kPosted) world_.step(0);
      all.insert(all.end(), records.begin(), records.begin() + static_cast<std::ptrdiff_t>(scan.count));
    } while (scan.state.load() == FlowScan::State::kFull);
    EXPECT_EQ(scan.state.load(), FlowScan::State::kThrough);
    return all;
  }
  /// Ends flows, so many slots a piece. Turns it took.
  unsigned end(std::size_t slots_a_piece, std::vector<net::IpAddress> addresses = {}) {
    FlowScan scan;
    scan.ends = true;
    scan.addresses = std::move(addresses);
    unsigned turns = 0;
    do {
      scan.slots = slots_a_piece;
      world_.worker(0).post(scan);
      for (; scan.state.load() == FlowScan::State::kPosted; ++turns) {
        const std::size_t before = scan.count;
        world_.step(0);
        EXPECT_LE(scan.count - before, kEndSlice) << "in one turn";
      }
    } while (scan.state.load() == FlowScan::State::kFull);
    EXPECT_EQ(scan.state.load(), FlowScan::State::kThrough);
    ended_ += scan.count;
    return turns;
  }
  const FlowCounters& gauges() { return world_.counters(0).flows; }
  /// Ports of UDP that the masquerade has given, of both families.
  std::uint64_t ports_in_use() { return gauges().ports_v4[1].get() + gauges().ports_v6[1].get(); }

  TestSwitch world_;
  std::size_t ended_ = 0;
};

TEST_F(Scan, EachFlowIsListedOnce) {
  for (const std::size_t size : {1u, 7u, 512u, 800u, 5000u}) {
    const auto records = list(size);
    EXPECT_EQ(records.size(), 800u) << "in spans of " << size;
    std::set<std::pair<net::IpAddress, std::uint16_t>> sources;
    for (const FlowRecord& record : records) sources.emplace(record.original.source, record.original.source_port);
    EXPECT_EQ(sources.size(), 800u) << "in spans of " << size;
  }
}

TEST_F(Scan, AnAddressOfEitherEndAsDescribedOrTranslatedIsFound) {
  EXPECT_EQ(list(64, {net::IpAddress::from(v4(pod_v4(3)))}).size(), 400u);
  EXPECT_EQ(list(64, {net::IpAddress::from(v6(pod_v6(3)))}).size(), 300u);
  EXPECT_EQ(list(64, {net::IpAddress::from(v4(pod_v4(4))), net::IpAddress::from(v6(pod_v6(3)))}).size(), 400u);
  EXPECT_EQ(list(64, {net::IpAddress::from(v4("198.51.100.1"))}).size(), 500u);
  EXPECT_EQ(list(64, {net::IpAddress::from(v4(kNodeV4))}).size(), 400u) << "masqueraded";
  EXPECT_EQ(list(64, {net::IpAddress::from(v4("203.0.113.1"))}).size(), 0u);
}

TEST_F(Scan, ARecordSaysWhatTheFlowIs) {
  world_.now_ns += 3'000'000'000;
  const auto records = list(64, {net::IpAddress::from(v4(pod_v4(3)))});
  ASSERT_FALSE(records.empty());
  const FlowRecord& record = records.front();
  EXPECT_EQ(record.protocol, net::ip_protocol::kUdp);
  EXPECT_EQ(record.timer, nat::FlowTimer::kUdpOneShotShort);
  EXPECT_FALSE(record.replied);
  EXPECT_EQ(record.out_port, 3);
  EXPECT_EQ(record.packets, 1u);
  EXPECT_EQ(record.bytes, 28u);
  EXPECT_EQ(record.reply_packets, 0u);
  EXPECT_EQ(record.translated.source, net::IpAddress::from(v4(kNodeV4)));
  EXPECT_TRUE(kMasqueradePorts.holds(record.translated.source_port));
  EXPECT_EQ(record.idle_ms, 3000u);
  EXPECT_EQ(record.expires_ms, 27'000u);
}

TEST_F(Scan, AllFlowsEndWithTheirPortsAndTheGaugesAreRightAtOnce) {
  world_.now_ns += 2'000'000;
  world_.step(0);
  ASSERT_EQ(gauges().flows_v4.get(), 500u);
  ASSERT_EQ(gauges().flows_v6.get(), 300u);
  ASSERT_EQ(ports_in_use(), 700u);
  const unsigned turns = end(FlowScan::kAllSlots);
  EXPECT_GE(turns, 800u / kEndSlice);
  EXPECT_EQ(ended_, 800u);
  EXPECT_EQ(gauges().flows_v4.get() + gauges().flows_v6.get(), 0u);
  EXPECT_EQ(ports_in_use(), 0u);
  EXPECT_EQ(gauges().created.get(), 800u);
  EXPECT_EQ(gauges().ended.get(), 800u);
  EXPECT_EQ(gauges().evicted.get(), 0u);
  EXPECT_TRUE(list(64).empty());
  end(FlowScan::kAllSlots);
  EXPECT_EQ(ended_, 800u) << "none ends twice";
}

TEST_F(Scan, EndingInPiecesOfAnySizeEndsTheSame) {
  std::size_t expected = 0;
  for (const std::size_t size : {1u, 31u, 33u, 127u, 512u, 5000u}) {
    end(size);
    EXPECT_EQ(ended_, expected += 800) << "in pieces of " << size;
    EXPECT_TRUE(list(64).empty());
    EXPECT_EQ(ports_in_use(), 0u);
    begin_flows();
  }
}

TEST_F(Scan, OnlyFlowsOfTheAddressesEnd) {
  const auto pod_4 = net::IpAddress::from(v4(pod_v4(4)));
  end(100, {pod_4});
  EXPECT_EQ(ended_, 100u);
  EXPECT_EQ(list(64).size(), 700u);
  EXPECT_TRUE(list(64, {pod_4}).empty());
  EXPECT_EQ(ports_in_use(), 700u) << "pod 4 is not masqueraded";
  end(100, {net::IpAddress::from(v4(kNodeV4))});
  EXPECT_EQ(ended_, 500u) << "by the translated end";
  EXPECT_EQ(ports_in_use(), 300u);
  end(100, {net::IpAddress::from(v4("203.0.113.1"))});
  EXPECT_EQ(ended_, 500u);
}

TEST_F(Scan, TheNextPacketOfAnEndedConnectionBeginsAFlow) {
  end(FlowScan::kAllSlots);
  const Bytes frame = eth(pod_mac(3), kGatewayMac).ipv4(pod_v4(3), "198.51.100.1").udp(1000, 53).bytes();
  std::uint16_t port = 0;
  EXPECT_NE(pass(world_, 1, frame, &port), "dropped");
  EXPECT_TRUE(kMasqueradePorts.holds(port));
  EXPECT_EQ(list(64).size(), 1u);
  EXPECT_EQ(gauges().created.get(), 801u);
}

}  // namespace
}  // namespace millrace::datapath
