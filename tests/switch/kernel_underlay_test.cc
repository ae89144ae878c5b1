// Ways that follow the real kernel: routes, routers, neighbours, links that go and come. Needs root.
#include "control/switch/kernel_underlay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <condition_variable>

#include "tests/io/pod_net.h"

namespace millrace::control::switchd {
namespace {

using tests::shell;

net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }

constexpr const char* kPeerMac = "02:00:00:00:00:22";

/// This node with up0 (192.0.2.1, 2001:db8::1), and its peer, .2 and .3, which answers.
class KernelUnderlayTest : public testing::Test {
 protected:
  void SetUp() override {
    MILLRACE_NEEDS_ROOT();
    peer_ = std::make_unique<tests::Pod>("up0");
    shell("sysctl -qw net.ipv6.conf.up0.disable_ipv6=0");
    shell("ip link set lo up; ip link set up0 arp on mtu 1500");
    shell("ip addr add 192.0.2.1/24 dev up0; ip -6 addr add 2001:db8::1/64 dev up0 nodad");
    peer_->netns().run([] {
      shell(fmt::format("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0; ip link set eth0 address {} arp on", kPeerMac));
      shell("ip addr add 192.0.2.2/24 dev eth0; ip addr add 192.0.2.3/24 dev eth0");
      shell("ip -6 addr add 2001:db8::2/64 dev eth0 nodad");
    });
    auto opened = KernelUnderlay::open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    underlay_ = std::move(opened).value();
    underlay_->start([this] {
      const std::lock_guard lock(mutex_);
      ++changes_;
      changed_.notify_all();
    });
    link_ = static_cast<int>(::if_nametoindex("up0"));
  }
  void TearDown() override { underlay_.reset(); }

  void follow(const std::set<std::string>& remotes) {
    std::set<net::IpAddress> addresses;
    for (const std::string& remote : remotes) addresses.insert(ip(remote));
    underlay_->follow(addresses, {link_});
  }
  UnderlayWay way(const std::string& remote) const { return underlay_->ways().at(ip(remote)); }
  /// "by up0 to HOP MAC mtu N", "by up0 to HOP ?", "no route"
  std::string text(const std::string& remote) const {
    const UnderlayWay now = way(remote);
    if (now.link == 0) return "no route";
    return fmt::format("by {} {} {} {} mtu {}", now.interface, now.is_routed ? "via" : "to", now.next_hop.to_string(),
                       now.mac ? now.mac->to_string() : "?", now.mtu_bytes);
  }
  /// Waits for changes until the way is `wanted`; returns what it is then.
  std::string becomes(const std::string& remote, const std::string& wanted) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(15), [&] { return text(remote) == wanted; });
    return text(remote);
  }
  int changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  const std::string near_ = fmt::format("by up0 to 192.0.2.2 {} mtu 1500", kPeerMac);
  std::unique_ptr<tests::Pod> peer_;
  std::unique_ptr<KernelUnderlay> underlay_;
  int link_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  int changes_ = 0;
};

TEST_F(KernelUnderlayTest, RoutesAreKnownAtOnceAndNeighboursWhenTheyAnswer) {
  shell("ip route add 198.51.100.0/24 via 192.0.2.3 mtu 1400");
  follow({"192.0.2.2", "198.51.100.7", "203.0.113.1", "2001:db8::2"});
  EXPECT_EQ(way("192.0.2.2").link, link_);
  EXPECT_EQ(text("203.0.113.1"), "no route");
  EXPECT_EQ(becomes("192.0.2.2", near_), near_);
  const std::string routed = fmt::format("by up0 via 192.0.2.3 {} mtu 1400", kPeerMac);
  EXPECT_EQ(becomes("198.51.100.7", routed), routed);
  const std::string near6 = fmt::format("by up0 to 2001:db8::2 {} mtu 1500", kPeerMac);
  EXPECT_EQ(becomes("2001:db8::2", near6), near6);
  follow({"192.0.2.2"});
  EXPECT_EQ(underlay_->ways().size(), 1u);
  shell("ip neigh show dev up0 192.0.2.2 | grep -q managed");
  shell("! ip neigh show dev up0 192.0.2.3 | grep -q managed");
}

TEST_F(KernelUnderlayTest, FollowsRoutesAsTheyComeAndGo) {
  follow({"198.51.100.7"});
  EXPECT_EQ(text("198.51.100.7"), "no route");
  shell("ip route add default via 192.0.2.2");
  const std::string first = fmt::format("by up0 via 192.0.2.2 {} mtu 1500", kPeerMac);
  EXPECT_EQ(becomes("198.51.100.7", first), first);
  shell("ip route add 198.51.100.0/24 via 192.0.2.3");
  const std::string second = fmt::format("by up0 via 192.0.2.3 {} mtu 1500", kPeerMac);
  EXPECT_EQ(becomes("198.51.100.7", second), second);
  shell("ip route del 198.51.100.0/24");
  EXPECT_EQ(becomes("198.51.100.7", first), first);
  shell("ip rule add to 198.51.100.7 blackhole");
  EXPECT_EQ(becomes("198.51.100.7", "no route"), "no route");
}

TEST_F(KernelUnderlayTest, FollowsTheNeighboursMac) {
  follow({"192.0.2.2"});
  ASSERT_EQ(becomes("192.0.2.2", near_), near_);
  // The far end is another machine now, and says so as one does that takes over an address (RFC 5227 section 2.3).
  peer_->netns().run([] {
    shell("ip link set eth0 address 02:00:00:00:00:33");
    shell("sysctl -qw net.ipv4.conf.eth0.arp_notify=1; ip link set eth0 down; ip link set eth0 up");
  });
  const std::string other = "by up0 to 192.0.2.2 02:00:00:00:00:33 mtu 1500";
  EXPECT_EQ(becomes("192.0.2.2", other), other);
}

TEST_F(KernelUnderlayTest, AnAdministratorsNeighbourStaysAsItIs) {
  shell("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:44 dev up0 nud permanent");
  follow({"192.0.2.2", "2001:db8::2"});
  const std::string given = "by up0 to 192.0.2.2 02:00:00:00:00:44 mtu 1500";
  EXPECT_EQ(becomes("192.0.2.2", given), given);
  // Made static while it is kept; and both are left as they are when they are followed no more.
  const std::string near6 = fmt::format("by up0 to 2001:db8::2 {} mtu 1500", kPeerMac);
  ASSERT_EQ(becomes("2001:db8::2", near6), near6);
  shell("ip neigh replace 2001:db8::2 lladdr 02:00:00:00:00:45 dev up0 nud permanent");
  const std::string given6 = "by up0 to 2001:db8::2 02:00:00:00:00:45 mtu 1500";
  EXPECT_EQ(becomes("2001:db8::2", given6), given6);
  follow({});
  shell("ip neigh show dev up0 192.0.2.2 | grep -q PERMANENT");
  shell("ip neigh show dev up0 2001:db8::2 | grep -q PERMANENT");
}

TEST_F(KernelUnderlayTest, ALinkThatGoesDownAndComesBackIsFollowed) {
  follow({"192.0.2.2"});
  ASSERT_EQ(becomes("192.0.2.2", near_), near_);
  shell("ip link set up0 down");
  EXPECT_EQ(becomes("192.0.2.2", "no route"), "no route");
  shell("ip link set up0 up");
  EXPECT_EQ(becomes("192.0.2.2", near_), near_);
  shell("ip link set up0 mtu 1400");
  const std::string narrow = fmt::format("by up0 to 192.0.2.2 {} mtu 1400", kPeerMac);
  EXPECT_EQ(becomes("192.0.2.2", narrow), narrow);
  shell("ip addr del 192.0.2.1/24 dev up0");
  EXPECT_EQ(becomes("192.0.2.2", "no route"), "no route");
}

TEST_F(KernelUnderlayTest, AfterLostMessagesEverythingIsAskedAgain) {
  follow({"192.0.2.2", "10.100.7.1"});
  ASSERT_EQ(becomes("192.0.2.2", near_), near_);
  // More than the socket's buffer holds, and one that matters among them.
  shell(
      "for i in $(seq 0 199); do for j in $(seq 0 254); do echo route add 10.$i.$j.0/24 via 192.0.2.2; done; done "
      "| ip -batch -");
  const std::string routed = fmt::format("by up0 via 192.0.2.2 {} mtu 1500", kPeerMac);
  EXPECT_EQ(becomes("10.100.7.1", routed), routed);
}

TEST_F(KernelUnderlayTest, WhatDoesNotMatterChangesNothing) {
  follow({"192.0.2.2"});
  ASSERT_EQ(becomes("192.0.2.2", near_), near_);
  const int before = changes();
  shell("ip route add 203.0.113.0/24 via 192.0.2.3; ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev up0");
  shell("ip link add pod0 type veth peer name pod1; ip link set pod0 up; ip link del pod0");
  // A change that matters comes after them, and is the only one.
  shell("ip route add 192.0.2.2/32 dev up0 mtu 1300");
  const std::string narrow = fmt::format("by up0 to 192.0.2.2 {} mtu 1300", kPeerMac);
  EXPECT_EQ(becomes("192.0.2.2", narrow), narrow);
  EXPECT_EQ(changes(), before + 1);
}

TEST_F(KernelUnderlayTest, AThousandRemotesAreFollowedInNoTime) {
  std::set<std::string> remotes;
  for (int i = 0; i < 1000; ++i) remotes.insert(fmt::format("10.0.{}.{}", i / 250, i % 250 + 1));
  shell("ip route add 10.0.0.0/16 via 192.0.2.2");
  const auto begin = std::chrono::steady_clock::now();
  follow(remotes);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took, std::chrono::seconds(1));
  const std::string routed = fmt::format("by up0 via 192.0.2.2 {} mtu 1500", kPeerMac);
  EXPECT_EQ(becomes("10.0.3.9", routed), routed);
  EXPECT_EQ(text("10.0.0.1"), routed);
}

}  // namespace
}  // namespace millrace::control::switchd
