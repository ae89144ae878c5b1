// Longest-prefix match: rows a person can read, then the same answers as a naive scan over random tables.
#include "datapath/routes.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace millrace::datapath {
namespace {

net::Prefix prefix(const std::string& text) { return net::Prefix::parse(text).value(); }

net::PortId lookup(const RouteTable& table, const net::IpAddress& address) {
  return address.is_v4() ? table.lookup(address.v4()) : table.lookup(address.v6());
}

RouteTable build(const std::vector<Route>& routes) {
  auto table = RouteTable::build(routes);
  EXPECT_TRUE(table.ok()) << table.error().message;
  return std::move(table).value();
}

TEST(RouteTable, LongestPrefixWins) {
  const RouteTable table = build({
      {prefix("0.0.0.0/0"), 1},
      {prefix("10.0.0.0/8"), 2},
      {prefix("10.244.0.0/24"), 3},
      {prefix("10.244.0.7/32"), 4},
      {prefix("fd00::/8"), 5},
      {prefix("fd00:10:244::/64"), 6},
      {prefix("fd00:10:244::7/128"), 7},
  });
  struct Row {
    const char* address;
    net::PortId port;
  };
  for (const Row& row : std::vector<Row>{{"10.244.0.7", 4},
                                         {"10.244.0.8", 3},
                                         {"10.244.1.7", 2},
                                         {"11.0.0.1", 1},
                                         {"0.0.0.0", 1},
                                         {"255.255.255.255", 1},
                                         {"fd00:10:244::7", 7},
                                         {"fd00:10:244::8", 6},
                                         {"fd00:10:245::7", 5},
                                         {"2001:db8::1", net::kNoPort},
                                         {"::", net::kNoPort}}) {
    EXPECT_EQ(lookup(table, net::IpAddress::parse(row.address).value()), row.port) << row.address;
  }
  EXPECT_EQ(table.size(), 7u);
}

TEST(RouteTable, EmptyTableHasNoRoute) {
  const RouteTable table;
  EXPECT_EQ(table.lookup(net::Ipv4{}), net::kNoPort);
  EXPECT_EQ(table.lookup(net::Ipv6{}), net::kNoPort);
}

// An empty slot holds the key zero: it must neither be found nor hide a route to the zero address.
TEST(RouteTable, AddressZeroIsAnAddress) {
  const RouteTable table = build({{prefix("0.0.0.0/32"), 9}, {prefix("::/128"), 8}, {prefix("::/0"), 7}});
  EXPECT_EQ(table.lookup(net::Ipv4{}), 9);
  EXPECT_EQ(table.lookup(net::Ipv6{}), 8);
}

TEST(RouteTable, RefusesBadRoutesAndNamesThem) {
  struct Row {
    std::vector<Route> routes;
    const char* message;
  };
  net::Prefix host_bits{net::IpAddress::parse("10.0.0.1").value(), 8};
  net::Prefix too_long{net::IpAddress::parse("10.0.0.1").value(), 33};
  for (const Row& row :
       std::vector<Row>{{{{prefix("10.0.0.0/8"), 1}, {prefix("10.0.0.0/8"), 2}}, "10.0.0.0/8 is given twice"},
                        {{{prefix("::/0"), 1}, {prefix("::/0"), 1}}, "::/0 is given twice"},
                        {{{prefix("10.0.0.1/32"), 1}, {prefix("10.0.0.1/32"), 1}}, "10.0.0.1/32 is given twice"},
                        {{{host_bits, 1}}, "10.0.0.1/8"},
                        {{{too_long, 1}}, "10.0.0.1/33"},
                        {{{prefix("10.0.0.0/8"), net::kNoPort}}, "leads to no port"}}) {
    const auto table = RouteTable::build(row.routes);
    ASSERT_FALSE(table.ok()) << row.message;
    EXPECT_EQ(table.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_NE(table.error().message.find(row.message), std::string::npos) << table.error().message;
  }
}

TEST(RouteTable, RefusesMoreThanItsLimit) {
  const std::vector<Route> routes(kMaxRoutes + 1, Route{prefix("10.0.0.0/8"), 1});
  const auto table = RouteTable::build(routes);
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().code, net::ErrorCode::kResourceExhausted);
  EXPECT_NE(table.error().message.find("1000000"), std::string::npos) << table.error().message;
}

/// Addresses from a few bytes, so that random prefixes nest and collide.
net::IpAddress random_address(std::mt19937_64& random, bool v4) {
  static constexpr std::uint8_t kBytes[] = {0, 1, 10, 127, 128, 244, 255};
  net::IpAddress address;
  address.family = v4 ? 4 : 6;
  for (unsigned i = 0; i < address.bits() / 8; ++i) address.bytes[i] = kBytes[random() % std::size(kBytes)];
  return address;
}

net::PortId naive_lookup(const std::vector<Route>& routes, const net::IpAddress& address) {
  const Route* best = nullptr;
  for (const Route& route : routes) {
    if (route.prefix.address.family != address.family || !route.prefix.contains(address)) continue;
    if (best == nullptr || route.prefix.length_bits > best->prefix.length_bits) best = &route;
  }
  return best == nullptr ? net::kNoPort : best->port;
}

class RandomRoutes : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomRoutes, AgreeWithNaiveScan) {
  std::mt19937_64 random(GetParam());
  std::set<net::Prefix> prefixes;
  const std::size_t wanted = 1 + random() % 600;
  for (std::size_t tries = 0; tries < 4 * wanted && prefixes.size() < wanted; ++tries) {
    const net::IpAddress address = random_address(random, random() % 2 == 0);
    const unsigned bits = address.bits();
    const unsigned length = random() % 3 == 0 ? bits : static_cast<unsigned>(random() % (bits + 1));
    prefixes.insert(net::Prefix::of(address, static_cast<std::uint8_t>(length)));
  }
  std::vector<Route> routes;
  for (const net::Prefix& p : prefixes) routes.push_back({p, static_cast<net::PortId>(routes.size())});
  std::shuffle(routes.begin(), routes.end(), random);
  const RouteTable table = build(routes);
  for (unsigned i = 0; i < 2000; ++i) {
    net::IpAddress address = random_address(random, random() % 2 == 0);
    if (random() % 2 == 0) {  // near a route that is there
      address = routes[random() % routes.size()].prefix.address;
      if (random() % 2 == 0) address.bytes[random() % (address.bits() / 8)] ^= 1;
    }
    ASSERT_EQ(lookup(table, address), naive_lookup(routes, address)) << address.to_string() << " seed " << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomRoutes, testing::Range<std::uint64_t>(1, 41));

// Every bucket of the table is used and many are full: spilled keys are found, and no neighbour is.
TEST(RouteTable, FindsEveryHostRouteOfALargeTable) {
  constexpr std::uint32_t kCount = 50'000;
  std::vector<Route> routes;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const net::Ipv4 v4 = net::Ipv4::from_host(0x0a000000 + 2 * i);
    net::Ipv6 v6 = net::Ipv6::parse("fd00:10:244::").value();
    v6.bytes[13] = static_cast<std::uint8_t>(i >> 16);
    v6.bytes[14] = static_cast<std::uint8_t>(i >> 8);
    v6.bytes[15] = static_cast<std::uint8_t>(i);
    routes.push_back({net::Prefix::of(net::IpAddress::from(v4), 32), static_cast<net::PortId>(i % 4096)});
    routes.push_back({net::Prefix::of(net::IpAddress::from(v6), 128), static_cast<net::PortId>(i % 4095)});
  }
  const RouteTable table = build(routes);
  for (const Route& route : routes) ASSERT_EQ(lookup(table, route.prefix.address), route.port);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(table.lookup(net::Ipv4::from_host(0x0a000000 + 2 * i + 1)), net::kNoPort);
  }
}

}  // namespace
}  // namespace millrace::datapath
