// The uplink, the node's addresses and its reserved ports, in a network namespace of its own. Needs root.
#include <gtest/gtest.h>

#include "control/agent/host_port.h"
#include "control/agent/node_link.h"
#include "control/agent/requests.h"
#include "control/agent/reserved_ports.h"
#include "control/agent/sysctl.h"
#include "control/agent/uplink.h"
#include "control/netlink/netlink.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }
config::Config parsed(const std::string& text) { return config::parse(text, "test").value(); }

const std::vector<AddressBlock> kBlocks = {*AddressBlock::make(prefix("10.244.0.0/16"), 24, 0),
                                           *AddressBlock::make(prefix("fd00:10:244::/112"), 120, 0)};

class NodeNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(netlink
                    ->add_veth({"up0", *net::Mac::parse("02:00:00:00:00:01")},
                               {"up1", *net::Mac::parse("02:00:00:00:00:02")}, -1, 1500)
                    .ok());
    for (const char* name : {"up0", "up1"}) ASSERT_TRUE(netlink->set_up(netlink->link(name)->index).ok());
    const int index = netlink->link("up0")->index;
    ASSERT_TRUE(netlink->add_address(index, ip("192.0.2.7")).ok());
    ASSERT_TRUE(netlink->add_address(index, ip("2001:db8::7")).ok());
  }
  static void add_default_route() {
    auto netlink = netlink::Netlink::open();
    netlink::LinkRoute route;
    route.destination = prefix("0.0.0.0/0");
    route.gateway = ip("192.0.2.1");
    route.gateway_on_link = true;
    ASSERT_TRUE(netlink->set_route(netlink->link("up0")->index, route).ok());
  }
  ScratchDirectory directory_;
};

TEST_F(NodeNetworkTest, finds_the_uplink_and_its_addresses) {
  auto none = find_node_network(parsed("uplink: auto"));
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_FALSE(none->uplink) << "no default route";
  add_default_route();
  for (const char* text : {"uplink: auto", "uplink: up0"}) {
    SCOPED_TRACE(text);
    auto node = find_node_network(parsed(text));
    ASSERT_TRUE(node.ok()) << node.error().message;
    ASSERT_TRUE(node->uplink);
    EXPECT_EQ(node->uplink->interface, "up0");
    EXPECT_EQ(node->addresses, (std::vector{ip("192.0.2.7"), ip("2001:db8::7")}));
  }
  auto named = find_node_network(parsed("uplink: up0\nnodeAddresses: [198.51.100.1]"));
  EXPECT_EQ(named->addresses, std::vector{ip("198.51.100.1")});
  EXPECT_FALSE(find_node_network(parsed(""))->uplink);
  EXPECT_EQ(named->local, (std::vector{ip("192.0.2.7"), ip("2001:db8::7")})) << "of all interfaces, without loopback";
  auto wrong = find_node_network(parsed("uplink: nosuch0"));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, net::ErrorCode::kNotFound);
  EXPECT_NE(wrong.error().message.find("uplink: interface nosuch0"), std::string::npos) << wrong.error().message;
}

TEST_F(NodeNetworkTest, tells_the_switch_what_to_masquerade) {
  const config::Config config = parsed(
      "uplink: up0\nnat: {excluded: [172.16.0.0/12]}\nipam: {ipv6: {natOutgoing: false}}\nservices: {ipv6: none}");
  auto node = find_node_network(config);
  ASSERT_TRUE(node.ok()) << node.error().message;
  const api::Nat nat = nat_of(config, *node, kBlocks);
  EXPECT_EQ(nat.masquerade_ipv4(), to_bytes(ip("192.0.2.7")));
  EXPECT_EQ(nat.masquerade_ipv6(), to_bytes(ip("2001:db8::7")));
  const std::vector<std::string> nodes(nat.node_addresses().begin(), nat.node_addresses().end());
  EXPECT_EQ(nodes, (std::vector{to_bytes(ip("192.0.2.7")), to_bytes(ip("2001:db8::7")), to_bytes(ip("10.244.0.1")),
                                to_bytes(ip("fd00:10:244::1"))}));
  ASSERT_EQ(nat.not_masqueraded_size(), 5);
  EXPECT_EQ(nat.not_masqueraded(0).length(), 16u);
  EXPECT_EQ(nat.not_masqueraded(1).length(), 0u) << "IPv6 leaves as it is";
  EXPECT_EQ(nat.not_masqueraded(2).length(), 12u);
  EXPECT_EQ(nat.not_masqueraded(3).address(), to_bytes(ip("192.0.2.7"))) << "a pod may reach the node itself";
  EXPECT_EQ(nat.not_masqueraded(4).address(), to_bytes(ip("2001:db8::7")));
  ASSERT_EQ(nat.service_prefixes_size(), 1);
  EXPECT_EQ(nat.service_prefixes(0).length(), 12u);
  const api::PortSpec port = uplink_ports(config, *node->uplink).front();
  EXPECT_EQ(port.kind(), api::PORT_KIND_UPLINK);
  EXPECT_EQ(port.interface(), "up0");
  EXPECT_EQ(port.addresses_size() + port.prefixes_size(), 0);
  const api::Nat alone = nat_of(parsed(""), NodeNetwork{}, kBlocks);
  EXPECT_EQ(alone.masquerade_ipv4(), to_bytes(ip("10.244.0.1"))) << "the node's address on the host port";
}

TEST_F(NodeNetworkTest, a_device_has_a_node_link) {
  const config::Config config = parsed("uplink: nic\nuplinkDevice: \"0000:3b:00.0\"");
  ASSERT_TRUE(ensure_node_link(config).ok());
  auto netlink = netlink::Netlink::open();
  ASSERT_TRUE(netlink.ok());
  const auto node_end = netlink->link("nic");
  const auto switch_end = netlink->link("nics");
  ASSERT_TRUE(node_end.ok() && switch_end.ok());
  EXPECT_TRUE(node_end->up && switch_end->up);
  EXPECT_EQ(node_end->peer_index, switch_end->index);
  EXPECT_EQ(node_end->mtu, 1500u);

  const net::Mac of_device{{0x02, 1, 2, 3, 4, 5}};
  ASSERT_TRUE(netlink->set_mac(node_end->index, of_device).ok());
  ASSERT_TRUE(netlink->set_mtu(node_end->index, 2000).ok());
  ASSERT_TRUE(ensure_node_link(config).ok()) << "the next start";
  EXPECT_EQ(netlink->link("nic")->index, node_end->index) << "the same, with its addresses";
  EXPECT_EQ(netlink->link("nics")->mtu, 2000u);

  auto node = find_node_network(config);
  ASSERT_TRUE(node.ok()) << node.error().message;
  const std::vector<api::PortSpec> ports = uplink_ports(config, *node->uplink);
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].device(), "0000:3b:00.0");
  EXPECT_EQ(ports[0].interface(), "nic");
  EXPECT_EQ(ports[0].mac(), to_bytes(of_device));
  EXPECT_EQ(ports[1].kind(), api::PORT_KIND_NODE_LINK);
  EXPECT_EQ(ports[1].interface(), "nics");

  ASSERT_TRUE(remove_node_link(config).ok());
  EXPECT_FALSE(netlink->link("nic").ok());
  ASSERT_TRUE(remove_node_link(config).ok()) << "it is gone";
}

TEST_F(NodeNetworkTest, a_node_link_takes_no_interface_that_is_another) {
  const auto made = ensure_node_link(parsed("uplink: up0\nuplinkDevice: net_null0"));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_NE(made.error().message.find("up0 is made as one end of a veth pair with up0s"), std::string::npos);
}

TEST_F(NodeNetworkTest, reserves_ports_and_gives_back_its_own_alone) {
  const std::string sysctl = "ipv4/ip_local_reserved_ports";
  ASSERT_TRUE(write_sysctl(sysctl, "8080,50000-50009").ok());
  auto store = Store::open(directory_.path());
  ASSERT_TRUE(store.ok()) << store.error().message;
  ASSERT_TRUE(reserve_ports(**store, port_range(50005, 60000)).ok());
  EXPECT_EQ(*read_sysctl(sysctl), "8080,50000-60000");
  ASSERT_TRUE(reserve_ports(**store, port_range(50005, 60000)).ok()) << "the next start";
  EXPECT_EQ(*read_sysctl(sysctl), "8080,50000-60000");
  ASSERT_TRUE(reserve_ports(**store, port_range(40000, 40001)).ok()) << "another range";
  EXPECT_EQ(*read_sysctl(sysctl), "8080,40000-40001,50000-50009");
  ASSERT_TRUE(release_ports(**store).ok());
  EXPECT_EQ(*read_sysctl(sysctl), "8080,50000-50009");
  ASSERT_TRUE(release_ports(**store).ok());
  EXPECT_EQ(*read_sysctl(sysctl), "8080,50000-50009");
  ASSERT_TRUE(write_sysctl(sysctl, "\n").ok());
  ASSERT_TRUE(reserve_ports(**store, port_range(40960, 65535)).ok());
  EXPECT_EQ(*read_sysctl(sysctl), "40960-65535");
  ASSERT_TRUE(release_ports(**store).ok());
  EXPECT_EQ(*read_sysctl(sysctl), "");
}

TEST_F(NodeNetworkTest, routes_services_to_the_host_port) {
  const HostPort port{.name = "millrace0",
                      .mtu = 1500,
                      .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
                      .gateway_ipv6 = *net::Ipv6::parse("fe80::1"),
                      .blocks = kBlocks,
                      .extra_pods = {},
                      .services = {prefix("10.96.0.0/12"), prefix("fd00:10:96::/112")}};
  auto made = ensure_host_port(port);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(*read_sysctl("ipv4/conf/millrace0/accept_local"), "1");
  const auto destinations = [] {
    auto netlink = netlink::Netlink::open();
    const int index = netlink->link("millrace0")->index;
    std::vector<std::string> found;
    for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
      const std::vector<netlink::LinkRoute> routes = netlink->routes(index, family).value();
      for (const netlink::LinkRoute& route : routes) {
        if (route.gateway) found.push_back(route.destination.to_string());
      }
    }
    return found;
  };
  EXPECT_EQ(destinations(),
            (std::vector<std::string>{"10.96.0.0/12", "10.244.0.0/24", "fd00:10:96::/112", "fd00:10:244::/120"}));
  HostPort without = port;
  without.services = {};
  ASSERT_TRUE(ensure_host_port(without).ok());
  EXPECT_EQ(destinations(), (std::vector<std::string>{"10.244.0.0/24", "fd00:10:244::/120"}));
}

}  // namespace
}  // namespace millrace::control::agent
