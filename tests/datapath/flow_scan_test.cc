// Listing: each flow exactly once, whatever the size of the span and however many slices it takes; only those asked
// for.
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
  TestSwitch world_;
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

}  // namespace
}  // namespace millrace::datapath
