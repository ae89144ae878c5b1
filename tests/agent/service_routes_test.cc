// The node's own way to external addresses of Services, asked of the real kernel in a network namespace of its own.
// Needs root.
#include "control/agent/service_routes.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "control/agent/requests.h"
#include "control/agent/sysctl.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::IpAddress ip(const std::string& text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

constexpr std::uint32_t kTcp = 6, kUdp = 17;

struct End {
  std::string address;
  std::uint32_t protocol;
  std::uint32_t port;
};

api::Service service(const std::string& name, const std::vector<End>& ends) {
  api::Service made;
  made.set_name(name);
  for (const End& end : ends) {
    api::Frontend& frontend = *made.add_frontends();
    frontend.set_address(to_bytes(ip(end.address)));
    frontend.set_protocol(end.protocol);
    frontend.set_port(end.port);
  }
  return made;
}

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

class ServiceRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(netlink
                    ->add_veth({"up0", *net::Mac::parse("02:00:00:00:00:01")},
                               {"up1", *net::Mac::parse("02:00:00:00:00:02")}, -1, 1500)
                    .ok());
    for (const char* name : {"lo", "up0", "up1"}) ASSERT_TRUE(netlink->set_up(netlink->link(name)->index).ok());
    const int index = netlink->link("up0")->index;
    for (const char* address : {"192.0.2.7", "2001:db8::7"}) ASSERT_TRUE(netlink->add_address(index, ip(address)).ok());
    for (const auto& [destination, gateway] : {std::pair{"0.0.0.0/0", "192.0.2.1"}, {"::/0", "2001:db8::1"}}) {
      netlink::LinkRoute route;
      route.destination = prefix(destination);
      route.gateway = ip(gateway);
      route.gateway_on_link = true;
      ASSERT_TRUE(netlink->set_route(index, route).ok());
    }
    make_host_port(host_);
  }
  static void make_host_port(const HostPort& host) {
    auto made = ensure_host_port(host);
    ASSERT_TRUE(made.ok()) << made.error().message;
  }
  /// The interface by which the kernel sends a packet to this address and port.
  static std::string way(const std::string& address, const std::string& protocol, unsigned port,
                         const std::string& more = "") {
    const std::string text = output_of("ip route get " + address + " ipproto " + protocol + " sport 40000 dport " +
                                       std::to_string(port) + " " + more + " 2>&1");
    const std::size_t device = text.find("dev ");
    return device == std::string::npos ? text : text.substr(device + 4, text.find(' ', device + 4) - device - 4);
  }
  static std::size_t rule_count() {
    const std::string text = output_of("ip rule; ip -6 rule");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("proto 77", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  const HostPort host_{.name = "millrace9",
                       .mtu = 1500,
                       .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
                       .gateway_ipv6 = *net::Ipv6::parse("fe80::1"),
                       .blocks = {*AddressBlock::make(prefix("10.244.0.0/16"), 24, 0),
                                  *AddressBlock::make(prefix("fd00:10:244::/112"), 120, 0)},
                       .extra_pods = {},
                       .services = {prefix("10.96.0.0/12"), prefix("fd00:10:96::/112")}};
};

TEST_F(ServiceRoutesTest, leads_the_ports_of_services_to_the_switch_and_nothing_else) {
  ServiceRoutes routes(host_);
  routes.start();
  routes.set_node_addresses({ip("192.0.2.7"), ip("2001:db8::7")});
  routes.update({service("default/web", {{"10.96.0.5", kTcp, 80},
                                         {"192.0.2.7", kTcp, 30500},
                                         {"198.51.100.10", kTcp, 80},
                                         {"2001:db8:5::10", kUdp, 53}})},
                {});
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "millrace9");
  EXPECT_EQ(way("2001:db8:5::10", "udp", 53), "millrace9");
  EXPECT_NE(output_of("ip route get 198.51.100.10 ipproto tcp dport 80").find("src 10.244.0.1"), std::string::npos);
  EXPECT_EQ(way("198.51.100.10", "tcp", 81), "up0") << "another port";
  EXPECT_EQ(way("198.51.100.10", "udp", 80), "up0") << "another protocol";
  EXPECT_EQ(way("198.51.100.11", "tcp", 80), "up0") << "another address";
  ASSERT_TRUE(write_sysctl("ipv4/ip_forward", "1").ok());
  EXPECT_EQ(way("198.51.100.10", "tcp", 80, "from 192.0.2.99 iif up0"), "up0") << "what is forwarded goes as it went";
  EXPECT_EQ(rule_count(), 2u) << "none for the service range and for the node's own address";

  routes.update({service("default/web", {{"198.51.100.10", kTcp, 81}})}, {});
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "up0");
  EXPECT_EQ(way("198.51.100.10", "tcp", 81), "millrace9");
  EXPECT_EQ(way("2001:db8:5::10", "udp", 53), "up0");
  routes.update({}, {"default/web"});
  EXPECT_EQ(way("198.51.100.10", "tcp", 81), "up0");
  EXPECT_EQ(rule_count(), 0u);
}

TEST_F(ServiceRoutesTest, an_address_of_the_node_stays_its_own) {
  ServiceRoutes routes(host_);
  routes.start();
  routes.update({service("default/web", {{"192.0.2.50", kTcp, 80}})}, {});
  EXPECT_EQ(way("192.0.2.50", "tcp", 80), "millrace9");
  auto netlink = netlink::Netlink::open();
  const int index = netlink->link("up0")->index;
  ASSERT_TRUE(netlink->add_address(index, ip("192.0.2.50")).ok());
  EXPECT_EQ(way("192.0.2.50", "tcp", 80), "lo");
  ASSERT_TRUE(netlink->remove_address(index, ip("192.0.2.50")).ok());
  EXPECT_EQ(way("192.0.2.50", "tcp", 80), "millrace9") << "a floating address that left";
}

TEST_F(ServiceRoutesTest, follows_where_node_ports_are) {
  ServiceRoutes routes(host_);
  routes.start();
  routes.set_node_addresses({ip("192.0.2.7")});
  routes.update({service("default/web", {{"192.0.2.7", kTcp, 30500}, {"192.0.2.8", kTcp, 80}})}, {});
  EXPECT_EQ(rule_count(), 1u);
  routes.set_node_addresses({ip("192.0.2.7"), ip("192.0.2.8")});
  routes.update({}, {});
  EXPECT_EQ(rule_count(), 0u);
  routes.set_node_addresses({ip("192.0.2.7")});
  routes.update({}, {});
  EXPECT_EQ(rule_count(), 1u);
}

TEST_F(ServiceRoutesTest, a_frontend_that_passes_to_another_service_keeps_its_rule) {
  ServiceRoutes routes(host_);
  routes.start();
  routes.update({service("default/a", {{"198.51.100.10", kTcp, 80}})}, {});
  routes.update({service("default/b", {{"198.51.100.10", kTcp, 80}})}, {"default/a"});
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "millrace9");
  routes.update({service("default/c", {{"198.51.100.10", kTcp, 80}})}, {});
  routes.update({}, {"default/b"});
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "millrace9") << "of two, one is left";
  EXPECT_EQ(rule_count(), 1u);
}

TEST_F(ServiceRoutesTest, the_next_start_mends_what_was_left) {
  {
    ServiceRoutes before(host_);
    before.start();
    before.update({service("default/a", {{"198.51.100.10", kTcp, 80}, {"198.51.100.11", kTcp, 80}})}, {});
  }
  ASSERT_TRUE(remove_host_port(host_.name).ok());
  make_host_port(host_);
  ServiceRoutes routes(host_);
  routes.start();
  routes.update({service("default/a", {{"198.51.100.11", kTcp, 80}, {"198.51.100.12", kTcp, 80}})}, {});
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "up0");
  EXPECT_EQ(way("198.51.100.11", "tcp", 80), "millrace9");
  EXPECT_EQ(way("198.51.100.12", "tcp", 80), "millrace9");
}

TEST_F(ServiceRoutesTest, two_instances_have_rules_of_their_own) {
  HostPort other = host_;
  other.name = "millrace8";
  other.blocks = {*AddressBlock::make(prefix("10.245.0.0/16"), 24, 0)};
  make_host_port(other);
  ServiceRoutes routes(host_), others(other);
  routes.start();
  others.start();
  routes.update({service("default/a", {{"198.51.100.10", kTcp, 80}})}, {});
  others.update({service("default/a", {{"198.51.100.11", kTcp, 80}, {"2001:db8:5::10", kTcp, 80}})}, {});
  EXPECT_EQ(rule_count(), 2u) << "the other has no IPv6";
  ASSERT_TRUE(remove_service_routes(host_.name).ok());
  EXPECT_EQ(way("198.51.100.10", "tcp", 80), "up0");
  EXPECT_EQ(way("198.51.100.11", "tcp", 80), "millrace8");
  ASSERT_TRUE(remove_service_routes(other.name).ok());
  ASSERT_TRUE(remove_service_routes(other.name).ok()) << "again";
  EXPECT_EQ(rule_count(), 0u);
}

TEST_F(ServiceRoutesTest, has_a_limit_and_gives_a_place_that_is_free_to_one_that_waited) {
  ServiceRoutes routes(host_);
  routes.start();
  std::vector<End> ends;
  for (std::uint32_t port = 1; port <= kMaxServiceRules; ++port) ends.push_back({"198.51.100.10", kTcp, port});
  routes.update({service("default/a", ends), service("default/b", {{"198.51.100.10", kTcp, 2000}})}, {});
  EXPECT_EQ(rule_count(), kMaxServiceRules);
  EXPECT_EQ(way("198.51.100.10", "tcp", 2000), "up0");
  ends.erase(ends.begin());
  routes.update({service("default/a", ends)}, {});
  EXPECT_EQ(rule_count(), kMaxServiceRules);
  EXPECT_EQ(way("198.51.100.10", "tcp", 1), "up0");
  EXPECT_EQ(way("198.51.100.10", "tcp", 2000), "millrace9");
}

}  // namespace
}  // namespace millrace::control::agent
