// Pods and the host port in real network namespaces. Needs root; the host's side is a private namespace.
#include "control/agent/pod_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "control/agent/host_port.h"
#include "control/agent/offload.h"
#include "control/agent/sysctl.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

class PodLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    // A namespace of its own for each test: nothing of the machine is touched, nothing is left.
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    ASSERT_TRUE(pod_.made());
    auto netns = Netns::open(pod_.path());
    ASSERT_TRUE(netns.ok()) << netns.error().message;
    netns_.emplace(*std::move(netns));
  }
  PodLink link() const {
    return {.node = {"mr0123456789abc", *net::Mac::parse("02:00:00:00:00:01")},
            .pod = {"eth0", *net::Mac::parse("02:00:00:00:00:02")},
            .mtu = 1400,
            .addresses = {ip("10.244.0.2"), ip("fd00:10:244::2")},
            .routes = {},
            .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
            .gateway_ipv6 = *net::Ipv6::parse("fe80::1")};
  }
  /// What `read` finds inside of the pod.
  template <typename Read>
  auto in_pod(Read read) {
    return netns_->run(std::move(read));
  }
  net::Result<netlink::LinkInfo> node_end() {
    auto netlink = netlink::Netlink::open();
    return netlink->link(link().node.name);
  }

  ScratchDirectory directory_;
  ScratchNetns pod_{directory_.file("pod")};
  std::optional<Netns> netns_;
};

TEST_F(PodLinkTest, makes_the_pods_end_ready_to_use) {
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  auto info = in_pod([] { return netlink::Netlink::open()->link("eth0"); });
  ASSERT_TRUE(info.ok()) << info.error().message;
  EXPECT_TRUE(info->up);
  EXPECT_EQ(info->mtu, 1400u);
  EXPECT_EQ(info->mac.to_string(), "02:00:00:00:00:02");
  auto addresses = in_pod([&] { return netlink::Netlink::open()->addresses(info->index); });
  ASSERT_TRUE(addresses.ok());
  EXPECT_EQ(*addresses, link().addresses);
  EXPECT_TRUE(in_pod([] { return has_gro("eth0"); }).value());
  EXPECT_EQ(in_pod([] { return read_sysctl("ipv6/conf/eth0/accept_ra"); }).value(), "0");
  EXPECT_FALSE(in_pod([] { return netlink::Netlink::open()->link("lo"); })->up) << "lo is the runtime's";
  auto checked = check_pod_link(*netns_, link());
  EXPECT_TRUE(checked.ok()) << checked.error().message;
}

TEST_F(PodLinkTest, routes_everything_to_the_gateway) {
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  const int index = in_pod([] { return netlink::Netlink::open()->link("eth0"); })->index;
  auto v4 = in_pod([&] { return netlink::Netlink::open()->routes(index, 4); });
  auto v6 = in_pod([&] { return netlink::Netlink::open()->routes(index, 6); });
  ASSERT_TRUE(v4.ok() && v6.ok());
  const auto has = [](const std::vector<netlink::LinkRoute>& routes, const char* destination, const char* gateway) {
    return std::any_of(routes.begin(), routes.end(), [&](const netlink::LinkRoute& r) {
      return r.destination.to_string() == destination && (r.gateway ? r.gateway->to_string() : "") == gateway;
    });
  };
  EXPECT_TRUE(has(*v4, "169.254.1.1/32", ""));
  EXPECT_TRUE(has(*v4, "0.0.0.0/0", "169.254.1.1"));
  EXPECT_TRUE(has(*v6, "::/0", "fe80::1"));
}

TEST_F(PodLinkTest, a_second_interface_leaves_the_routes_of_the_first) {
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  const auto routes_of = [&](const char* name, std::uint8_t family) {
    return in_pod([&] {
             auto netlink = netlink::Netlink::open();
             return netlink->routes(netlink->link(name)->index, family);
           })
        .value();
  };
  const auto before4 = routes_of("eth0", 4), before6 = routes_of("eth0", 6);
  PodLink second = link();
  second.node.name = "mr0123456789abd";
  second.pod.name = "net1";
  second.addresses = {ip("10.244.0.3"), ip("fd00:10:244::3")};
  second.routes = {{.destination = *net::Prefix::parse("10.99.0.0/16")}};
  auto made = create_pod_link(*netns_, second);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(routes_of("eth0", 4), before4);
  EXPECT_EQ(routes_of("eth0", 6), before6);
  const auto own = routes_of("net1", 4);
  ASSERT_EQ(own.size(), 1u) << "what nobody else leads to";
  EXPECT_EQ(own[0].destination.to_string(), "10.99.0.0/16");
  EXPECT_EQ(own[0].gateway, ip("169.254.1.1"));
  for (const PodLink& each : {link(), second}) {
    auto checked = check_pod_link(*netns_, each);
    EXPECT_TRUE(checked.ok()) << checked.error().message;
  }
}

TEST_F(PodLinkTest, keeps_the_kernel_quiet_on_the_nodes_end) {
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  auto info = node_end();
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->up);
  EXPECT_EQ(info->mac.to_string(), "02:00:00:00:00:01");
  EXPECT_EQ(read_sysctl("ipv6/conf/" + info->name + "/disable_ipv6").value(), "1");
  EXPECT_TRUE(netlink::Netlink::open()->addresses(info->index)->empty());
}

TEST_F(PodLinkTest, turns_ipv6_on_where_the_runtime_turned_it_off) {
  ASSERT_TRUE(in_pod([] { return write_sysctl("ipv6/conf/default/disable_ipv6", "1"); }).ok());
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  EXPECT_TRUE(check_pod_link(*netns_, link()).ok());
}

TEST_F(PodLinkTest, refuses_an_interface_that_is_there_and_changes_nothing) {
  ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
  PodLink other = link();
  other.node.name = "mr00000000000ff";
  auto made = create_pod_link(*netns_, other);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, net::ErrorCode::kAlreadyExists) << made.error().message;
  EXPECT_FALSE(netlink::Netlink::open()->link(other.node.name).ok());
  EXPECT_TRUE(check_pod_link(*netns_, link()).ok());
}

TEST_F(PodLinkTest, removes_the_pair_when_a_step_fails) {
  PodLink bad = link();
  bad.mtu = 1000;  // IPv6 needs 1280: the kernel refuses the address
  auto made = create_pod_link(*netns_, bad);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(node_end().error().code, net::ErrorCode::kNotFound);
  EXPECT_EQ(in_pod([] { return netlink::Netlink::open()->link("eth0"); }).error().code, net::ErrorCode::kNotFound);
}

TEST_F(PodLinkTest, check_names_the_first_thing_that_differs) {
  struct Row {
    const char* name;
    std::function<net::Result<void>(netlink::Netlink&, int)> spoil;  // in the pod
    const char* says;
  };
  const Row rows[] = {
      {"an address", [](netlink::Netlink& n, int i) { return n.remove_address(i, ip("10.244.0.2")); },
       "10.244.0.2 is missing"},
      {"the MTU", [](netlink::Netlink& n, int i) { return n.set_mtu(i, 1300); }, "mtu 1300 is not 1400"},
      {"a route",
       [](netlink::Netlink& n, int i) {
         return n.remove_route(i, {.destination = *net::Prefix::parse("::/0"), .gateway = ip("fe80::1"), .source = {}});
       },
       "route ::/0 is missing"},
      {"all of it", [](netlink::Netlink& n, int) { return n.remove_link("eth0"); }, "mr0123456789abc"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    ASSERT_TRUE(create_pod_link(*netns_, link()).ok());
    auto spoilt = in_pod([&] {
      auto netlink = netlink::Netlink::open();
      return row.spoil(*netlink, netlink->link("eth0")->index);
    });
    ASSERT_TRUE(spoilt.ok()) << spoilt.error().message;
    auto checked = check_pod_link(*netns_, link());
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code, net::ErrorCode::kFailedPrecondition);
    EXPECT_NE(checked.error().message.find(row.says), std::string::npos) << checked.error().message;
    ASSERT_TRUE(netlink::remove_link_if_there(link().node.name).ok());
  }
}

TEST_F(PodLinkTest, opens_only_the_network_namespace_of_somebody_else) {
  struct Row {
    const char* name;
    std::string path;
    net::ErrorCode code;
  };
  const Row rows[] = {
      {"nothing there", directory_.file("none"), net::ErrorCode::kNotFound},
      {"a plain file", "/etc/hostname", net::ErrorCode::kInvalidArgument},
      {"a namespace of another kind", "/proc/self/ns/mnt", net::ErrorCode::kInvalidArgument},
      {"its own", "/proc/self/ns/net", net::ErrorCode::kInvalidArgument},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    auto opened = Netns::open(row.path);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, row.code) << opened.error().message;
  }
}

class HostPortTest : public PodLinkTest {
 protected:
  static AddressBlock block(const char* pool, std::uint8_t bits, unsigned index) {
    return *AddressBlock::make(*net::Prefix::parse(pool), bits, index);
  }
  HostPort port() const {
    return {.name = "millrace0",
            .mtu = 1500,
            .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
            .gateway_ipv6 = *net::Ipv6::parse("fe80::1"),
            .blocks = {block("10.244.0.0/16", 24, 0), block("fd00:10:244::/112", 120, 0)},
            .extra_pods = {},
            .services = {}};
  }
  static std::vector<std::string> gateway_routes() {
    auto netlink = netlink::Netlink::open();
    const int index = netlink->link("millrace0")->index;
    std::vector<std::string> found;
    for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
      const std::vector<netlink::LinkRoute> routes = netlink->routes(index, family).value();
      for (const netlink::LinkRoute& route : routes) {
        if (route.gateway) found.push_back(route.destination.to_string() + " via " + route.gateway->to_string());
      }
    }
    return found;
  }
};

TEST_F(HostPortTest, leads_from_the_node_to_its_pods) {
  auto mac = ensure_host_port(port());
  ASSERT_TRUE(mac.ok()) << mac.error().message;
  auto netlink = netlink::Netlink::open();
  auto info = netlink->link("millrace0");
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->up);
  EXPECT_EQ(info->mac, *mac);
  EXPECT_TRUE(netlink->link("millrace0s")->up);
  EXPECT_EQ(*netlink->addresses(info->index), (std::vector{ip("10.244.0.1"), ip("fd00:10:244::1")}));
  EXPECT_EQ(gateway_routes(),
            (std::vector<std::string>{"10.244.0.0/24 via 169.254.1.1", "fd00:10:244::/120 via fe80::1"}));
  EXPECT_EQ(read_sysctl("ipv4/conf/millrace0/forwarding").value(), "1");
  EXPECT_EQ(read_sysctl("ipv4/conf/millrace0/rp_filter").value(), "2");
}

TEST_F(HostPortTest, is_kept_as_it_is_when_it_is_right) {
  auto first = ensure_host_port(port());
  ASSERT_TRUE(first.ok()) << first.error().message;
  const int index = netlink::Netlink::open()->link("millrace0")->index;
  auto second = ensure_host_port(port());
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(netlink::Netlink::open()->link("millrace0")->index, index);
}

TEST_F(HostPortTest, follows_a_changed_configuration) {
  ASSERT_TRUE(ensure_host_port(port()).ok());
  HostPort changed = port();
  changed.mtu = 1400;
  changed.blocks = {block("10.244.0.0/16", 24, 3)};
  changed.extra_pods = {ip("10.244.0.9")};  // still there from before
  ASSERT_TRUE(ensure_host_port(changed).ok());
  auto netlink = netlink::Netlink::open();
  auto info = netlink->link("millrace0");
  EXPECT_EQ(info->mtu, 1400u);
  EXPECT_EQ(*netlink->addresses(info->index), std::vector{ip("10.244.3.1")});
  EXPECT_EQ(gateway_routes(),
            (std::vector<std::string>{"10.244.0.9/32 via 169.254.1.1", "10.244.3.0/24 via 169.254.1.1"}));
  ASSERT_TRUE(remove_pod_route(changed, *net::Prefix::parse("10.244.0.9/32")).ok());
  ASSERT_TRUE(remove_pod_route(changed, *net::Prefix::parse("10.244.0.9/32")).ok()) << "removing what is gone succeeds";
  ASSERT_TRUE(add_pod_route(changed, *net::Prefix::parse("192.0.2.1/32")).ok());
  EXPECT_EQ(gateway_routes(),
            (std::vector<std::string>{"10.244.3.0/24 via 169.254.1.1", "192.0.2.1/32 via 169.254.1.1"}));
}

TEST_F(HostPortTest, leaves_a_strangers_interface_alone) {
  ASSERT_TRUE(
      netlink::Netlink::open()->add_veth({"millrace0", link().node.mac}, {"other", link().pod.mac}, -1, 1500).ok());
  auto made = ensure_host_port(port());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, net::ErrorCode::kFailedPrecondition);
}

TEST_F(HostPortTest, is_removed_and_removing_is_repeatable) {
  ASSERT_TRUE(ensure_host_port(port()).ok());
  ASSERT_TRUE(remove_host_port("millrace0").ok());
  ASSERT_TRUE(remove_host_port("millrace0").ok());
  EXPECT_FALSE(netlink::Netlink::open()->link("millrace0s").ok());
}

}  // namespace
}  // namespace millrace::control::agent
