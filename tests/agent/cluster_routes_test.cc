// The node's own way to pods of all nodes, asked of the real kernel in a network namespace of its own. Needs root.
#include "control/agent/cluster_routes.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "control/agent/sysctl.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

/// What ip(8) prints.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  pclose(pipe);
  return text;
}

class ClusterRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(netlink->set_up(netlink->link("lo")->index).ok());
    ASSERT_TRUE(netlink
                    ->add_veth({"up0", *net::Mac::parse("02:00:00:00:00:01")},
                               {"up1", *net::Mac::parse("02:00:00:00:00:02")}, -1, 1500)
                    .ok());
    for (const char* name : {"up0", "up1"}) ASSERT_TRUE(netlink->set_up(netlink->link(name)->index).ok());
    ASSERT_TRUE(netlink->add_address(netlink->link("up0")->index, *net::IpAddress::parse("192.0.2.7")).ok());
    netlink::LinkRoute out;
    out.destination = prefix("0.0.0.0/0");
    out.gateway = *net::IpAddress::parse("192.0.2.1");
    out.gateway_on_link = true;
    ASSERT_TRUE(netlink->set_route(netlink->link("up0")->index, out).ok());
    ASSERT_TRUE(ensure_host_port(host_).ok());
  }
  /// "by the host port", "unreachable", or "out".
  static std::string way_to(const std::string& address) {
    const std::string text = output_of("ip route get " + address + " 2>&1");
    if (text.find("dev millrace0 src 10.244.1.1") != std::string::npos) return "by the host port";
    if (text.find("dev up0") != std::string::npos) return "out";
    return text.find("unreachable") != std::string::npos || text.find("No route to host") != std::string::npos
               ? "unreachable"
               : text;
  }

  const std::vector<net::Prefix> pools_ = {prefix("10.244.0.0/16"), prefix("fd00:10:244::/112")};
  const net::Prefix own_ = prefix("10.244.1.0/24");
  const HostPort host_ = {.name = "millrace0",
                          .mtu = 1450,
                          .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
                          .gateway_ipv6 = *net::Ipv6::parse("fe80::1"),
                          .blocks = {*AddressBlock::make(prefix("10.244.0.0/16"), 24, 1)},
                          .more_blocks = {},
                          .extra_pods = {},
                          .services = {}};
};

TEST_F(ClusterRoutesTest, follows_the_blocks_of_all_nodes_and_answers_for_the_rest_of_the_pools) {
  struct Row {
    const char* what;
    ClusterRoutes::Blocks others;
    const char* of_two;    // the way to 10.244.2.9
    const char* of_three;  // 10.244.3.9
  };
  const Row rows[] = {
      {"alone", {}, "unreachable", "unreachable"},
      {"a node comes", {prefix("10.244.2.0/24")}, "by the host port", "unreachable"},
      {"another", {prefix("10.244.2.0/24"), prefix("10.244.3.0/24")}, "by the host port", "by the host port"},
      {"the first goes", {prefix("10.244.3.0/24")}, "unreachable", "by the host port"},
      {"and the other", {}, "unreachable", "unreachable"},
  };
  ClusterRoutes routes(host_, pools_, {own_}, {});
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    routes.set_others(row.others);
    EXPECT_EQ(way_to("10.244.2.9"), row.of_two);
    EXPECT_EQ(way_to("10.244.3.9"), row.of_three);
    EXPECT_EQ(way_to("10.244.1.9"), "by the host port") << "its own";
    EXPECT_EQ(way_to("10.245.0.9"), "out") << "in no pool";
  }
}

TEST_F(ClusterRoutesTest, a_block_that_goes_from_one_node_to_another_keeps_its_route) {
  const net::Prefix block = prefix("10.244.2.0/24");
  ClusterRoutes routes(host_, pools_, {own_}, {});
  routes.set_others({block});
  routes.set_own(block, true);  // claimed here before it was heard that the other gave it back
  routes.set_others({});
  EXPECT_EQ(way_to("10.244.2.9"), "by the host port");
  routes.set_others({block});
  routes.set_own(block, false);
  EXPECT_EQ(way_to("10.244.2.9"), "by the host port");
  routes.set_others({});
  EXPECT_EQ(way_to("10.244.2.9"), "unreachable");
}

TEST_F(ClusterRoutesTest, another_pool_and_the_clean_up_leave_nothing_of_the_one_before) {
  { ClusterRoutes before(host_, {prefix("10.250.0.0/16")}, {own_}, {}); }
  EXPECT_EQ(way_to("10.250.0.9"), "unreachable");
  ClusterRoutes routes(host_, pools_, {own_}, {});
  EXPECT_EQ(way_to("10.250.0.9"), "out");
  EXPECT_EQ(way_to("10.244.9.9"), "unreachable");
  ASSERT_TRUE(remove_cluster_routes(host_.name).ok());
  EXPECT_EQ(way_to("10.244.9.9"), "out");
  EXPECT_EQ(output_of("ip route show table all proto 77; ip -6 route show table all proto 77"), "");
}

TEST_F(ClusterRoutesTest, two_instances_of_one_node_open_their_own_alone) {
  ClusterRoutes routes(host_, pools_, {own_}, {});
  ASSERT_TRUE(remove_cluster_routes("other0").ok());
  EXPECT_EQ(way_to("10.244.9.9"), "unreachable");
}

}  // namespace
}  // namespace millrace::control::agent
