// The whole agent while the kernel's addresses change: node ports, and what pods leave with, follow. Needs root.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "control/agent/requests.h"
#include "tests/agent/agent_fixture.h"

namespace millrace::control::agent {
namespace {

net::IpAddress ip(const std::string& text) { return *net::IpAddress::parse(text); }

class NodeFollowerTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    agent_.reset();
    make_uplink("192.0.2.7");
    config_.uplink = "up0";
    start_agent();
    apply(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
              "spec": {"type": "NodePort", "ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80, "nodePort": 30500}]}})");
  }
  static void make_uplink(const std::string& address, const std::string& mac = "02:00:00:00:00:01") {
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(
        netlink->add_veth({"up0", *net::Mac::parse(mac)}, {"up1", *net::Mac::parse("02:00:00:00:00:02")}, -1, 1500)
            .ok());
    add("up0", address);
    for (const char* name : {"up0", "up1"}) ASSERT_TRUE(netlink->set_up(netlink->link(name)->index).ok());
  }
  static void add(const char* link, const std::string& address) {
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(netlink->add_address(netlink->link(link)->index, ip(address)).ok());
  }
  static void remove(const char* link, const std::string& address) {
    auto netlink = netlink::Netlink::open();
    ASSERT_TRUE(netlink->remove_address(netlink->link(link)->index, ip(address)).ok());
  }
  void apply(const std::string& json) {
    grpc::ClientContext context;
    api::ApplyObjectsRequest request;
    api::ApplyObjectsReply reply;
    request.add_objects(json);
    const grpc::Status status = stub_->ApplyObjects(&context, request, &reply);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  /// Where the switch has the node port.
  std::set<std::string> node_ports() const {
    std::set<std::string> addresses;
    const api::Service service = switch_->service("default/web");
    for (const api::Frontend& frontend : service.frontends()) {
      if (frontend.port() == 30500) addresses.insert(to_address("address", frontend.address())->to_string());
    }
    return addresses;
  }
  bool is_node(const std::string& address) const {
    const api::Nat nat = switch_->nat();
    return std::ranges::find(nat.node_addresses(), to_bytes(ip(address))) != nat.node_addresses().end();
  }
  /// Each Apply makes the switch look again; five seconds at most.
  bool becomes(const std::function<bool()>& is_so) { return switch_->wait_unlocked_until(is_so); }
};

TEST_F(NodeFollowerTest, node_ports_are_on_the_addresses_the_node_has) {
  EXPECT_EQ(node_ports(), std::set<std::string>{"192.0.2.7"});
  EXPECT_EQ(switch_->nat().masquerade_ipv4(), to_bytes(ip("192.0.2.7")));
  EXPECT_EQ(switch_->nat().masquerade_ipv6(), to_bytes(ip("fd00:10:244::1"))) << "the host port's, for want of another";

  add("up0", "192.0.2.8");
  add("up0", "2001:db8::8");
  EXPECT_TRUE(becomes([&] { return node_ports().size() == 3; }));
  EXPECT_EQ(node_ports(), (std::set<std::string>{"192.0.2.7", "192.0.2.8", "2001:db8::8"}));
  EXPECT_TRUE(is_node("192.0.2.8") && is_node("2001:db8::8"));
  EXPECT_EQ(switch_->nat().masquerade_ipv4(), to_bytes(ip("192.0.2.7"))) << "the first stays the first";
  EXPECT_EQ(switch_->nat().masquerade_ipv6(), to_bytes(ip("2001:db8::8")));

  remove("up0", "192.0.2.7");
  EXPECT_TRUE(becomes([&] { return node_ports().size() == 2; }));
  EXPECT_EQ(node_ports(), (std::set<std::string>{"192.0.2.8", "2001:db8::8"}));
  EXPECT_FALSE(is_node("192.0.2.7"));
  EXPECT_EQ(switch_->nat().masquerade_ipv4(), to_bytes(ip("192.0.2.8"))) << "what pods leave with follows";
}

TEST_F(NodeFollowerTest, an_address_of_another_interface_sees_the_pods_and_has_no_node_ports) {
  const auto is_excluded = [&](const std::string& address) {
    const api::Nat nat = switch_->nat();
    return std::ranges::any_of(nat.not_masqueraded(), [&](const api::RoutePrefix& prefix) {
      return prefix.address() == to_bytes(ip(address)) && prefix.length() == 32;
    });
  };
  add("up1", "203.0.113.5");
  EXPECT_TRUE(becomes([&] { return is_excluded("203.0.113.5"); }));
  EXPECT_EQ(node_ports(), std::set<std::string>{"192.0.2.7"});
  remove("up1", "203.0.113.5");
  EXPECT_TRUE(becomes([&] { return !is_excluded("203.0.113.5"); }));
}

TEST_F(NodeFollowerTest, a_switch_that_was_away_hears_of_it_when_it_is_back) {
  switch_.reset();
  add("up0", "192.0.2.8");
  start_switch("two");
  EXPECT_TRUE(becomes([&] { return node_ports().size() == 2 && is_node("192.0.2.8"); }));
}

TEST_F(NodeFollowerTest, an_uplink_that_was_gone_is_followed_again) {
  ASSERT_TRUE(netlink::Netlink::open()->remove_link("up0").ok());
  make_uplink("192.0.2.9", "02:00:00:00:00:03");
  EXPECT_TRUE(becomes([&] { return node_ports() == std::set<std::string>{"192.0.2.9"} && is_node("192.0.2.9"); }));
  EXPECT_TRUE(becomes([&] { return switch_->port("uplink").mac() == to_bytes(*net::Mac::parse("02:00:00:00:00:03")); }))
      << "the port is opened again";
}

TEST_F(NodeFollowerTest, addresses_of_the_configuration_stay) {
  config_.node_addresses = {ip("198.51.100.1")};
  start_agent();
  EXPECT_TRUE(becomes([&] { return node_ports() == std::set<std::string>{"198.51.100.1"}; }));
  add("up0", "192.0.2.8");
  EXPECT_TRUE(becomes([&] {
    const api::Nat nat = switch_->nat();
    return std::ranges::any_of(nat.not_masqueraded(),
                               [&](const api::RoutePrefix& it) { return it.address() == to_bytes(ip("192.0.2.8")); });
  }));
  EXPECT_EQ(node_ports(), std::set<std::string>{"198.51.100.1"});
}

}  // namespace
}  // namespace millrace::control::agent
