#include "nat/port_pool.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "net/parser.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {
namespace {

using namespace net;
using namespace nat;
using namespace net::ip_protocol;

using Inside = InsideEndpoint<Ipv4>;

Inside tcp(std::uint16_t port, std::string_view address = "10.0.0.1") { return {v4(address), port, kTcp}; }

TEST(PortPool, AnEndpointHasOnePortForAllItsFlows) {
  PortPool<Ipv4> pool({30000, 100}, 1);
  const auto port = pool.take(tcp(4000));
  ASSERT_TRUE(port);
  EXPECT_TRUE(pool.range().holds(*port));
  EXPECT_EQ(pool.take(tcp(4000)), port);
  EXPECT_EQ(pool.used(kTcp), 1u);
  EXPECT_EQ(pool.inside_of(kTcp, *port), tcp(4000));
  pool.release(kTcp, *port);
  EXPECT_EQ(pool.inside_of(kTcp, *port), tcp(4000)) << "one flow still holds it";
  pool.release(kTcp, *port);
  EXPECT_EQ(pool.inside_of(kTcp, *port), std::nullopt);
  EXPECT_EQ(pool.used(kTcp), 0u);
}

TEST(PortPool, AConnectionApartHasAPortOfItsOwn) {
  PortPool<Ipv4> pool({30000, 3}, 1);
  const auto port = pool.take(tcp(4000));
  const auto apart = pool.take_apart(tcp(4000));
  ASSERT_TRUE(port && apart);
  EXPECT_NE(port, apart);
  EXPECT_EQ(pool.inside_of(kTcp, *apart), tcp(4000));
  EXPECT_EQ(pool.take(tcp(4000)), port) << "the endpoint's own stays what it is";
  EXPECT_TRUE(pool.take_apart(tcp(4000)));
  EXPECT_EQ(pool.take_apart(tcp(4000)), std::nullopt) << "none is left";
  pool.release(kTcp, *apart);
  EXPECT_EQ(pool.inside_of(kTcp, *apart), std::nullopt);
  EXPECT_EQ(pool.take(tcp(4000)), port);
  EXPECT_EQ(pool.take(tcp(4001)), apart) << "as any other, when it is given back";
}

TEST(PortPool, EveryPortIsGivenOnceAndThenNone) {
  PortPool<Ipv4> pool({65436, 100}, 2);
  std::set<std::uint16_t> given;
  for (std::uint16_t port = 0; port < 100; ++port) {
    const auto outside = pool.take(tcp(port));
    ASSERT_TRUE(outside);
    EXPECT_TRUE(given.insert(*outside).second) << "no overloading";
  }
  EXPECT_EQ(*given.begin(), 65436);
  EXPECT_EQ(*given.rbegin(), 65535);
  EXPECT_EQ(pool.take(tcp(100)), std::nullopt);
  EXPECT_TRUE(pool.take(tcp(7))) << "who has a port keeps it";
  pool.release(kTcp, 65500);
  EXPECT_EQ(pool.take(tcp(100)), 65500) << "the only one";
}

TEST(PortPool, TheLastReleasedIsTheLastGiven) {
  PortPool<Ipv4> pool({1024, 8}, 3);
  std::vector<std::uint16_t> order;
  for (std::uint16_t port = 0; port < 8; ++port) order.push_back(pool.take(tcp(port)).value());
  for (const unsigned at : {5u, 2u, 7u}) pool.release(kTcp, order[at]);
  EXPECT_EQ(pool.take(tcp(100)), order[5]);
  EXPECT_EQ(pool.take(tcp(101)), order[2]);
  EXPECT_EQ(pool.take(tcp(102)), order[7]);
  EXPECT_EQ(pool.take(tcp(103)), std::nullopt);
}

TEST(PortPool, ProtocolsAreCountedApart) {
  PortPool<Ipv4> pool({1024, 1}, 4);
  for (const std::uint8_t protocol : {kTcp, kUdp, kSctp, kIcmp}) {
    EXPECT_EQ(pool.take({v4("10.0.0.1"), 4000, protocol}), 1024) << int{protocol};
    EXPECT_EQ(pool.take({v4("10.0.0.2"), 4000, protocol}), std::nullopt) << int{protocol};
    EXPECT_EQ(pool.used(protocol), 1u);
  }
  EXPECT_EQ(pool.take({v4("10.0.0.1"), 0, 47}), std::nullopt) << "GRE has no ports";
  EXPECT_EQ(pool.inside_of(47, 1024), std::nullopt);
  EXPECT_EQ(pool.used(47), 0u);

  PortPool<Ipv6> pool6({1024, 1}, 4);
  EXPECT_EQ(pool6.take({v6("fd00::1"), 9, kIcmpv6}), 1024);
  EXPECT_EQ(pool6.inside_of(kIcmpv6, 1024)->address, v6("fd00::1"));
}

TEST(PortPool, ThePortsOfTwoSeedsAndOfTwoProtocolsComeInAnotherOrder) {
  const auto order = [](std::uint64_t seed, std::uint8_t protocol) {
    PortPool<Ipv4> pool({1024, 1000}, seed);
    std::vector<std::uint16_t> ports;
    for (std::uint16_t port = 0; port < 1000; ++port)
      ports.push_back(pool.take({v4("10.0.0.1"), port, protocol}).value());
    return ports;
  };
  EXPECT_EQ(order(1, kTcp), order(1, kTcp));
  EXPECT_NE(order(1, kTcp), order(2, kTcp));
  EXPECT_NE(order(1, kTcp), order(1, kUdp));
  const auto ports = order(1, kTcp);
  unsigned neighbours = 0;
  for (std::size_t i = 1; i < ports.size(); ++i) neighbours += ports[i] == ports[i - 1] + 1 ? 1u : 0u;
  EXPECT_LT(neighbours, 20u) << "one in a thousand is to be expected";
}

TEST(PortPool, ARangeOfNoneGivesNone) {
  PortPool<Ipv4> pool({0, 0}, 1);
  EXPECT_EQ(pool.take(tcp(1)), std::nullopt);
  EXPECT_EQ(pool.inside_of(kTcp, 0), std::nullopt);
  PortPool<Ipv4> whole({0, 65536}, 1);
  EXPECT_TRUE(whole.take(tcp(1)));
}

/// The pool as one would write it without thinking of time.
template <typename Address>
class Model {
 public:
  explicit Model(std::uint32_t count) : free_(count) {}

  void expect_take(const InsideEndpoint<Address>& inside, bool apart, std::optional<std::uint16_t> got) {
    const auto key = std::tuple(inside.protocol, inside.address, inside.port);
    if (const auto found = by_inside_.find(key); found != by_inside_.end() && !apart) {
      ASSERT_EQ(got, found->second);
      ++holds_[{inside.protocol, *got}].second;
      return;
    }
    auto& released = released_[inside.protocol];
    std::uint32_t& never_given = never_given_.try_emplace(inside.protocol, free_).first->second;
    if (never_given == 0 && released.empty()) {
      ASSERT_EQ(got, std::nullopt);
      return;
    }
    ASSERT_TRUE(got);
    ASSERT_EQ(holds_.count({inside.protocol, *got}), 0u) << "it belongs to another";
    if (never_given > 0) {
      --never_given;
    } else {
      ASSERT_EQ(*got, released.front());
      released.pop_front();
    }
    if (!apart) by_inside_[key] = *got;
    holds_[{inside.protocol, *got}] = {inside, 1u};
  }

  void release(std::uint8_t protocol, std::uint16_t outside) {
    auto& [inside, holds] = holds_.at({protocol, outside});
    if (--holds > 0) return;
    const auto found = by_inside_.find(std::tuple(inside.protocol, inside.address, inside.port));
    if (found != by_inside_.end() && found->second == outside) by_inside_.erase(found);
    holds_.erase({protocol, outside});
    released_[protocol].push_back(outside);
  }

  std::optional<InsideEndpoint<Address>> inside_of(std::uint8_t protocol, std::uint16_t outside) const {
    const auto found = holds_.find({protocol, outside});
    if (found == holds_.end()) return std::nullopt;
    return found->second.first;
  }

  std::uint32_t used(std::uint8_t protocol) const {
    std::uint32_t count = 0;
    for (const auto& [outside, bound] : holds_) count += outside.first == protocol ? 1u : 0u;
    return count;
  }
  const auto& held() const { return holds_; }

 private:
  std::uint32_t free_;
  std::map<std::tuple<std::uint8_t, Address, std::uint16_t>, std::uint16_t> by_inside_;
  std::map<std::pair<std::uint8_t, std::uint16_t>, std::pair<InsideEndpoint<Address>, std::uint32_t>> holds_;
  std::map<std::uint8_t, std::deque<std::uint16_t>> released_;
  std::map<std::uint8_t, std::uint32_t> never_given_;
};

template <typename Address>
Address pod(unsigned number);
template <>
Ipv4 pod<Ipv4>(unsigned number) {
  return Ipv4::from_host(0x0a000000 + number);
}
template <>
Ipv6 pod<Ipv6>(unsigned number) {
  Ipv6 address = v6("fd00::");
  address.bytes[15] = static_cast<std::uint8_t>(number);
  return address;
}

/// Random takes and releases, more endpoints than ports, so that the pool is often full and its map crowded.
template <typename Address>
void expect_like_model(std::uint32_t count, std::uint32_t seed) {
  constexpr std::uint16_t kFirst = 2000;
  PortPool<Address> pool({kFirst, count}, seed);
  Model<Address> model(count);
  std::mt19937 random(seed);
  const std::uint8_t protocols[] = {kTcp, kUdp};
  for (unsigned step = 0; step < 20'000; ++step) {
    const std::uint8_t protocol = protocols[random() % 2];
    if (random() % 2 == 0) {
      const InsideEndpoint<Address> inside{pod<Address>(static_cast<unsigned>(random() % 4)),
                                           static_cast<std::uint16_t>(random() % (count / 2)), protocol};
      const bool apart = random() % 4 == 0;
      model.expect_take(inside, apart, apart ? pool.take_apart(inside) : pool.take(inside));
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "step " << step;
    } else if (!model.held().empty()) {
      auto bound = model.held().lower_bound({protocol, static_cast<std::uint16_t>(kFirst + random() % count)});
      if (bound == model.held().end()) bound = model.held().begin();
      const auto [held_protocol, outside] = bound->first;
      pool.release(held_protocol, outside);
      model.release(held_protocol, outside);
    }
    const auto probe = static_cast<std::uint16_t>(kFirst + random() % count);
    ASSERT_EQ(pool.inside_of(protocol, probe), model.inside_of(protocol, probe)) << "step " << step;
    ASSERT_EQ(pool.used(protocol), model.used(protocol)) << "step " << step;
  }
}

TEST(PortPoolModel, RandomTakesAndReleasesIpv4) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) expect_like_model<Ipv4>(seed * 13, seed);
}
TEST(PortPoolModel, RandomTakesAndReleasesIpv6) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) expect_like_model<Ipv6>(seed * 13, seed);
}

}  // namespace
}  // namespace millrace::tests
