// Flow keys: a request and its reply have the same hash; different flows almost never do.

#include "net/flow_key.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <unordered_set>

#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;

TEST(FlowKey, RequestAndReplyHashAlike) {
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto port = [&] { return static_cast<std::uint16_t>(random()); };
    const auto address = [&] { return Ipv4::from_host(static_cast<std::uint32_t>(random())); };
    const FlowKeyV4 key{address(), address(), port(), port(), 6};
    ASSERT_EQ(key.symmetric_hash(), key.reversed().symmetric_hash());
    FlowKeyV6 key6{{}, {}, port(), port(), 17};
    for (auto& byte : key6.source.bytes) byte = static_cast<std::uint8_t>(random());
    for (auto& byte : key6.destination.bytes) byte = static_cast<std::uint8_t>(random());
    ASSERT_EQ(key6.symmetric_hash(), key6.reversed().symmetric_hash());
    ASSERT_EQ(key6.reversed().reversed(), key6);
  }
}

TEST(FlowKey, IsReadFromAPacket) {
  TestPacket request(eth().ipv4("10.0.0.1", "10.0.0.2").tcp(4000, 80).bytes());
  TestPacket reply(eth().ipv4("10.0.0.2", "10.0.0.1").tcp(80, 4000).bytes());
  ASSERT_EQ(request.parse(), Drop::kNone);
  ASSERT_EQ(reply.parse(), Drop::kNone);
  EXPECT_EQ(FlowKeyV4::of(*request), (FlowKeyV4{v4("10.0.0.1"), v4("10.0.0.2"), 4000, 80, 6}));
  EXPECT_EQ(FlowKeyV4::of(*request).reversed(), FlowKeyV4::of(*reply));

  TestPacket request6(eth().ipv6("fd00::1", "fd00::2").udp(4000, 53).bytes());
  ASSERT_EQ(request6.parse(), Drop::kNone);
  EXPECT_EQ(FlowKeyV6::of(*request6), (FlowKeyV6{v6("fd00::1"), v6("fd00::2"), 4000, 53, 17}));
}

TEST(FlowKey, NeighbouringAddressesAndPortsDoNotCollide) {
  std::unordered_set<std::uint64_t> hashes;
  std::size_t flows = 0;
  for (std::uint32_t client = 0; client < 64; ++client) {
    for (std::uint32_t server = 0; server < 64; ++server) {
      for (std::uint16_t port = 0; port < 8; ++port) {
        const FlowKeyV4 key{Ipv4::from_host(0x0a000000 + client), Ipv4::from_host(0x0a000100 + server),
                            static_cast<std::uint16_t>(40000 + port), 80, 6};
        hashes.insert(key.symmetric_hash());
        ++flows;
      }
    }
  }
  EXPECT_EQ(hashes.size(), flows);
}

TEST(FlowKey, EveryPartOfTheKeyCounts) {
  const FlowKeyV4 key{v4("10.0.0.1"), v4("10.0.0.2"), 1000, 2000, 6};
  const FlowKeyV4 others[] = {{v4("10.0.0.3"), v4("10.0.0.2"), 1000, 2000, 6},
                              {v4("10.0.0.1"), v4("10.0.0.3"), 1000, 2000, 6},
                              {v4("10.0.0.1"), v4("10.0.0.2"), 1001, 2000, 6},
                              {v4("10.0.0.1"), v4("10.0.0.2"), 1000, 2001, 6},
                              {v4("10.0.0.1"), v4("10.0.0.2"), 1000, 2000, 17},
                              {v4("10.0.0.1"), v4("10.0.0.2"), 2000, 1000, 6}};  // ports swapped, addresses not
  for (const FlowKeyV4& other : others) EXPECT_NE(other.symmetric_hash(), key.symmetric_hash());
}

TEST(FlowKey, SpreadsEvenlyOverWorkers) {
  std::array<unsigned, 8> workers{};
  for (std::uint16_t port = 0; port < 8000; ++port) {
    const FlowKeyV4 key{v4("10.0.0.1"), v4("10.0.0.2"), static_cast<std::uint16_t>(32768 + port), 80, 6};
    ++workers[key.symmetric_hash() % workers.size()];
  }
  // 1000 each, standard deviation about 30: five of them.
  for (const unsigned count : workers) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace millrace::tests
