// Ways and neighbours as the kernel has them, and what it tells of changes. Needs root.
#include "control/netlink/ways.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <functional>

#include "control/netlink/follower.h"
#include "tests/io/pod_net.h"

namespace millrace::control::netlink {
namespace {

using tests::shell;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

/// This node with up0 (192.0.2.1, 2001:db8::1), and its peer, .2, which answers.
class Ways : public testing::Test {
 protected:
  void SetUp() override {
    MILLRACE_NEEDS_ROOT();
    peer_ = std::make_unique<tests::Pod>("up0");
    shell("sysctl -qw net.ipv6.conf.up0.disable_ipv6=0");
    shell("ip link set lo up; ip link set up0 arp on mtu 1500");
    shell("ip addr add 192.0.2.1/24 dev up0; ip -6 addr add 2001:db8::1/64 dev up0 nodad");
    peer_->netns().run([] {
      shell("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0; ip link set eth0 address 02:00:00:00:00:22 arp on");
      shell("ip addr add 192.0.2.2/24 dev eth0; ip -6 addr add 2001:db8::2/64 dev eth0 nodad");
    });
    auto follower = Follower::open();
    ASSERT_TRUE(follower.ok()) << follower.error().message;
    follower_.emplace(std::move(follower).value());
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink.ok());
    netlink_.emplace(std::move(netlink).value());
    link_ = netlink_->link("up0")->index;
  }

  /// Reads until `is_it` says so of everything told so far.
  bool told(const std::function<bool(const KernelChanges&)>& is_it) {
    KernelChanges all;
    pollfd waits{follower_->descriptor(), POLLIN, 0};
    while (::poll(&waits, 1, 10'000) > 0) {
      auto changes = follower_->read();
      if (!changes) return false;
      all.lost |= changes->lost;
      all.all_ways |= changes->all_ways;
      all.routes.insert(all.routes.end(), changes->routes.begin(), changes->routes.end());
      all.links.insert(changes->links.begin(), changes->links.end());
      all.neighbors.insert(all.neighbors.end(), changes->neighbors.begin(), changes->neighbors.end());
      if (is_it(all)) return true;
    }
    return false;
  }
  bool told_mac(const char* address, const std::string& mac) {
    return told([&](const KernelChanges& changes) {
      return std::any_of(changes.neighbors.begin(), changes.neighbors.end(), [&](const Neighbor& neighbor) {
        return neighbor.address == ip(address) && neighbor.mac && neighbor.mac->to_string() == mac;
      });
    });
  }

  std::unique_ptr<tests::Pod> peer_;
  std::optional<Follower> follower_;
  std::optional<Netlink> netlink_;
  int link_ = 0;
};

TEST_F(Ways, OneAddressOnTheLinkBehindARouterAndNowhere) {
  shell("ip route add 198.51.100.0/24 via 192.0.2.2 mtu 1400; ip -6 route add 2001:db8:9::/48 via 2001:db8::2");
  shell("ip route add 203.0.113.0/24 via inet6 2001:db8::2 dev up0; ip route add blackhole 198.51.100.128/25");
  struct Row {
    const char* to;
    const char* gateway;  // "": on the link
    std::uint32_t mtu;
  };
  for (const Row& row : {Row{"192.0.2.2", "", 0}, Row{"2001:db8::2", "", 0}, Row{"198.51.100.7", "192.0.2.2", 1400},
                         Row{"2001:db8:9::7", "2001:db8::2", 0}, Row{"203.0.113.7", "2001:db8::2", 0}}) {
    const auto way = way_to(*netlink_, ip(row.to));
    ASSERT_TRUE(way.ok()) << row.to << ": " << way.error().message;
    EXPECT_EQ(way->link, link_) << row.to;
    EXPECT_EQ(way->gateway ? way->gateway->to_string() : "", row.gateway) << row.to;
    EXPECT_EQ(way->mtu_bytes, row.mtu) << row.to;
  }
  EXPECT_EQ(way_to(*netlink_, ip("192.0.2.1"))->link, netlink_->link("lo")->index) << "this node itself";
  for (const char* nowhere : {"8.8.8.8", "198.51.100.200", "2001:db8:1::1"}) {
    const auto way = way_to(*netlink_, ip(nowhere));
    ASSERT_FALSE(way.ok()) << nowhere;
    EXPECT_EQ(way.error().code, net::ErrorCode::kNotFound) << nowhere;
  }
}

TEST_F(Ways, ANeighbourIsResolvedKeptAndLeft) {
  for (const char* address : {"192.0.2.2", "2001:db8::2"}) {
    ASSERT_TRUE(keep_neighbor(*netlink_, link_, ip(address)).ok());
    EXPECT_TRUE(told_mac(address, "02:00:00:00:00:22")) << address;
    const auto known = neighbors(*netlink_);
    ASSERT_TRUE(known.ok());
    EXPECT_TRUE(std::any_of(known->begin(), known->end(), [&](const Neighbor& neighbor) {
      return neighbor.link == link_ && neighbor.address == ip(address);
    })) << address;
    shell(fmt::format("ip neigh show dev up0 {} | grep -q managed", address));
    EXPECT_TRUE(leave_neighbor(*netlink_, link_, ip(address)).ok());
    shell(fmt::format("! ip neigh show dev up0 {} | grep -q managed", address));
  }
  EXPECT_TRUE(leave_neighbor(*netlink_, link_, ip("192.0.2.99")).ok()) << "nobody was asked for";
  EXPECT_FALSE(keep_neighbor(*netlink_, 9999, ip("192.0.2.2")).ok()) << "no such link";
}

TEST_F(Ways, ANeighboursNewMacAndItsEndAreTold) {
  shell("ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev up0");
  EXPECT_TRUE(told_mac("192.0.2.9", "02:00:00:00:00:09"));
  shell("ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:0a dev up0");
  EXPECT_TRUE(told_mac("192.0.2.9", "02:00:00:00:00:0a"));
  shell("ip neigh del 192.0.2.9 dev up0");
  EXPECT_TRUE(told([](const KernelChanges& changes) {
    return std::any_of(changes.neighbors.begin(), changes.neighbors.end(),
                       [](const Neighbor& neighbor) { return neighbor.address == ip("192.0.2.9") && !neighbor.mac; });
  }));
}

TEST_F(Ways, WhatChangesWaysIsTold) {
  const auto told_route = [&](const char* prefix) {
    const auto wanted = *net::Prefix::parse(prefix);
    return told([&](const KernelChanges& changes) {
      return std::find(changes.routes.begin(), changes.routes.end(), wanted) != changes.routes.end();
    });
  };
  const auto told_all = [&] { return told([](const KernelChanges& changes) { return changes.all_ways; }); };
  shell("ip route add 198.51.100.0/24 via 192.0.2.2");
  EXPECT_TRUE(told_route("198.51.100.0/24"));
  shell("ip route add default via 192.0.2.2");
  EXPECT_TRUE(told_route("0.0.0.0/0"));
  shell("ip -6 route add 2001:db8:9::/48 via 2001:db8::2");
  EXPECT_TRUE(told_route("2001:db8:9::/48"));
  shell("ip rule add to 198.51.100.7 lookup 99");
  EXPECT_TRUE(told_all()) << "a rule";
  shell("ip addr add 192.0.2.33/24 dev up0");
  EXPECT_TRUE(told_all()) << "an address";
  shell("ip link set up0 mtu 1400");
  EXPECT_TRUE(told([&](const KernelChanges& changes) { return changes.links.contains(link_); }));
  shell("ip link set up0 down");
  EXPECT_TRUE(told_all()) << "a link, with which routes go in silence";
}

TEST_F(Ways, LostMessagesAreTold) {
  // More than the buffer holds: routes are told one by one.
  shell(
      "for i in $(seq 0 199); do for j in $(seq 0 254); do echo route add 10.$i.$j.0/24 dev up0; done; done "
      "| ip -batch -");
  bool lost = false;
  pollfd waits{follower_->descriptor(), POLLIN, 0};
  while (!lost && ::poll(&waits, 1, 1000) > 0) lost = follower_->read()->lost;
  EXPECT_TRUE(lost);
  shell("ip route add 198.51.100.0/24 via 192.0.2.2");
  EXPECT_TRUE(told([](const KernelChanges& changes) { return !changes.routes.empty(); })) << "it goes on after that";
}

}  // namespace
}  // namespace millrace::control::netlink
