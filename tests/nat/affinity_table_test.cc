#include "nat/affinity_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::nat {
namespace {

constexpr std::uint64_t kSeed = 7;
constexpr std::uint64_t kWeb = 0x1111, kDns = 0x2222;
constexpr std::uint32_t kSeconds = 10;

net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }
Backend backend(const std::string& address, std::uint16_t port) { return {ip(address), port}; }
net::IpAddress client(std::uint32_t number) { return net::IpAddress::from(net::Ipv4::from_host(0x0a000000 + number)); }

TEST(AffinityTable, GivesAClientTheBackendItHad) {
  AffinityTable table(64, kSeed);
  table.put(kWeb, ip("10.0.0.1"), backend("10.244.0.5", 80), 0);
  table.put(kWeb, ip("fd00::1"), backend("fd00:244::5", 8080), 0);
  EXPECT_EQ(table.find(kWeb, ip("10.0.0.1"), kSeconds, 1), backend("10.244.0.5", 80));
  EXPECT_EQ(table.find(kWeb, ip("fd00::1"), kSeconds, 1), backend("fd00:244::5", 8080));
}

TEST(AffinityTable, TellsServicesClientsAndFamiliesApart) {
  AffinityTable table(64, kSeed);
  table.put(kWeb, ip("10.0.0.1"), backend("10.244.0.5", 80), 0);
  EXPECT_EQ(table.find(kDns, ip("10.0.0.1"), kSeconds, 1), std::nullopt);
  EXPECT_EQ(table.find(kWeb, ip("10.0.0.2"), kSeconds, 1), std::nullopt);
  EXPECT_EQ(table.find(kWeb, ip("a00:1::"), kSeconds, 1), std::nullopt) << "the same first bytes";
}

TEST(AffinityTable, PutReplacesWhatTheClientHad) {
  AffinityTable table(4, kSeed);
  table.put(kWeb, client(1), backend("10.244.0.5", 80), 0);
  table.put(kWeb, client(2), backend("10.244.0.6", 80), 0);
  table.put(kWeb, client(1), backend("10.244.0.7", 80), 1);
  EXPECT_EQ(table.find(kWeb, client(1), kSeconds, 2), backend("10.244.0.7", 80));
  EXPECT_EQ(table.find(kWeb, client(2), kSeconds, 2), backend("10.244.0.6", 80));
}

TEST(AffinityTable, ForgetsAfterTheServicesSecondsSinceTheLastUse) {
  struct Row {
    const char* name;
    std::vector<TickMs> uses;  // after the put
    TickMs asked;
    bool found;
  };
  for (const TickMs start : {TickMs{0}, TickMs{0xffffff00}}) {  // the second wraps on its way
    for (const Row& row : {
             Row{"just before", {}, 9'999, true},
             Row{"at the time", {}, 10'000, false},
             Row{"kept by a use", {6'000}, 15'999, true},
             Row{"kept by each use", {9'000, 18'000, 27'000}, 36'999, true},
             Row{"over after the last use", {6'000}, 16'000, false},
             Row{"a late question is no use", {10'000}, 10'001, false},
         }) {
      AffinityTable table(64, kSeed);
      table.put(kWeb, client(1), backend("10.244.0.5", 80), start);
      for (const TickMs use : row.uses) table.find(kWeb, client(1), kSeconds, start + use);
      EXPECT_EQ(table.find(kWeb, client(1), kSeconds, start + row.asked).has_value(), row.found)
          << row.name << ", from " << start;
    }
  }
}

TEST(AffinityTable, GivesUpTheOneUsedLongestAgoWhenASetIsFull) {
  AffinityTable table(kAffinityWays, kSeed);
  ASSERT_EQ(table.capacity(), kAffinityWays) << "one set";
  for (unsigned i = 0; i < kAffinityWays; ++i) table.put(kWeb, client(i), backend("10.244.0.5", 80), 10 + i);
  ASSERT_TRUE(table.find(kWeb, client(0), kSeconds, 20)) << "used again: client 1 is the oldest now";
  table.put(kWeb, client(9), backend("10.244.0.9", 80), 21);
  EXPECT_FALSE(table.find(kWeb, client(1), kSeconds, 22));
  for (const unsigned kept : {0u, 2u, 3u, 9u}) EXPECT_TRUE(table.find(kWeb, client(kept), kSeconds, 22)) << kept;
}

TEST(AffinityTable, TakesAFreeEntryBeforeALiveOne) {
  AffinityTable table(kAffinityWays, kSeed);
  for (unsigned i = 0; i < kAffinityWays; ++i) table.put(kWeb, client(i), backend("10.244.0.5", 80), 10 + i);
  ASSERT_FALSE(table.find(kWeb, client(3), 0, 20)) << "its time was over: it is free, though used last";
  table.put(kWeb, client(9), backend("10.244.0.9", 80), 21);
  for (const unsigned kept : {0u, 1u, 2u, 9u}) EXPECT_TRUE(table.find(kWeb, client(kept), kSeconds, 22)) << kept;
}

TEST(AffinityTable, KeepsNearlyAllClientsAtHalfItsSize) {
  AffinityTable table(kAffinityTableSize, kSeed);
  constexpr unsigned kClients = kAffinityTableSize / 2;
  for (unsigned i = 0; i < kClients; ++i) table.put(kWeb, client(i), backend("10.244.0.5", 80), 0);
  unsigned kept = 0;
  for (unsigned i = 0; i < kClients; ++i) kept += table.find(kWeb, client(i), kSeconds, 1).has_value();
  // Sets of four, two expected: Poisson loses sum over k > 4 of (k - 4) P(k) / 2 = 3.6 %.
  EXPECT_GT(kept, kClients * 95 / 100);
}

TEST(AffinityTable, PlacesClientsByItsSeed) {
  constexpr unsigned kClients = 32'768;
  const auto kept_of = [](std::uint64_t seed) {
    AffinityTable table(kClients / 8, seed);
    for (unsigned i = 0; i < kClients; ++i) table.put(kWeb, client(i), backend("10.244.0.5", 80), i);
    std::vector<unsigned> kept;
    for (unsigned i = 0; i < kClients; ++i) {
      if (table.find(kWeb, client(i), kMaxAffinitySeconds, kClients)) kept.push_back(i);
    }
    return kept;
  };
  const auto kept = kept_of(1);
  EXPECT_EQ(kept.size(), kClients / 8) << "every entry is used";
  EXPECT_EQ(kept, kept_of(1));
  EXPECT_NE(kept, kept_of(2)) << "who pushes whom out is the seed's secret";
}

}  // namespace
}  // namespace millrace::nat
