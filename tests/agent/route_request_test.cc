// Routes of an AddPodRequest: what is refused and by which name, and what the kernel then holds.
#include "control/agent/route_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "control/agent/pod_link.h"
#include "control/agent/requests.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

RouteContext dual_stack() {
  return {.gateway_ipv4 = ip("169.254.1.1"),
          .gateway_ipv6 = ip("fe80::1"),
          .delegated_gateways = {ip("10.99.0.1")},
          .has_ipv4 = true,
          .has_ipv6 = true,
          .mtu = 1500};
}

struct Route {
  const char* destination;  // an address; the length is beside it
  std::uint32_t prefix_length;
  const char* gateway = "";
  std::uint32_t mtu = 0, advmss = 0, priority = 0;
};

/// Both steps, as an ADD takes them.
net::Result<std::vector<ExtraRoute>> plan(const std::vector<Route>& routes, const RouteContext& context) {
  api::AddPodRequest message;
  for (const Route& route : routes) {
    api::PodRoute& entry = *message.add_routes();
    entry.set_destination(to_bytes(ip(route.destination)));
    entry.set_prefix_length(route.prefix_length);
    if (*route.gateway != 0) entry.set_gateway(to_bytes(ip(route.gateway)));
    entry.set_mtu(route.mtu);
    entry.set_advmss(route.advmss);
    entry.set_priority(route.priority);
  }
  auto requests = to_route_requests(message.routes());
  if (!requests) return requests.error();
  return plan_routes(*requests, context);
}

TEST(RouteRequest, is_refused_with_the_field_that_is_wrong) {
  RouteContext only_ipv4 = dual_stack();
  only_ipv4.has_ipv6 = false;
  struct Row {
    const char* name;
    std::vector<Route> routes;
    RouteContext context;
    const char* field;
  };
  const Row rows[] = {
      {"a length past the family", {{"10.0.0.0", 33}}, dual_stack(), "routes[0].prefix_length: "},
      {"bits behind the prefix", {{"10.0.0.1", 8}}, dual_stack(), "routes[0].destination: "},
      {"the second one", {{"10.0.0.0", 8}, {"10.0.0.1", 8}}, dual_stack(), "routes[1].destination: "},
      {"a gateway of the other family", {{"10.0.0.0", 8, "fe80::1"}}, dual_stack(), "routes[0].gateway: "},
      {"a gateway out of reach", {{"10.0.0.0", 8, "10.99.0.2"}}, dual_stack(), "routes[0].gateway: "},
      {"a family the pod has not", {{"fd00::", 8}}, only_ipv4, "routes[0].destination: "},
      {"the way to the gateway", {{"169.254.1.1", 32}}, dual_stack(), "routes[0].destination: "},
      {"an MTU above the link's", {{"10.0.0.0", 8, "", 1501}}, dual_stack(), "routes[0].mtu: "},
      {"an MTU too small for IPv4", {{"10.0.0.0", 8, "", 575}}, dual_stack(), "routes[0].mtu: "},
      {"an MTU too small for IPv6", {{"fd00::", 8, "", 1279}}, dual_stack(), "routes[0].mtu: "},
      {"a segment the kernel cuts down", {{"10.0.0.0", 8, "", 0, 65496}}, dual_stack(), "routes[0].advmss: "},
      {"one twice", {{"10.0.0.0", 8}, {"10.0.0.0", 8, "10.99.0.1"}}, dual_stack(), "routes[1].destination: "},
      {"one twice, the kernel's priority",
       {{"fd00::", 8}, {"fd00::", 8, "", 0, 0, 1024}},
       dual_stack(),
       "routes[1].destination: "},
      {"too many", std::vector<Route>(kMaxRoutes + 1, {"10.0.0.0", 8}), dual_stack(), "routes: "},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto planned = plan(row.routes, row.context);
    ASSERT_FALSE(planned.ok());
    EXPECT_EQ(planned.error().code, net::ErrorCode::kInvalidArgument);
    EXPECT_TRUE(planned.error().message.starts_with(row.field)) << planned.error().message;
  }
  api::AddPodRequest message;
  message.add_routes()->set_destination("12345");
  EXPECT_TRUE(to_route_requests(message.routes()).error().message.starts_with("routes[0].destination: "));
}

TEST(RouteRequest, every_way_to_name_the_gateway_is_the_pods_gateway) {
  const auto planned = plan({{"0.0.0.0", 0},
                             {"10.0.0.0", 8, "10.99.0.1"},
                             {"10.1.0.0", 16, "169.254.1.1", 1400},
                             {"::", 0, "fe80::1", 0, 1200, 7},
                             {"::", 0, "fe80::1"}},
                            dual_stack());
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  EXPECT_EQ(*planned, (std::vector<ExtraRoute>{{prefix("0.0.0.0/0"), 0, 0, 0},
                                               {prefix("10.0.0.0/8"), 0, 0, 0},
                                               {prefix("10.1.0.0/16"), 1400, 0, 0},
                                               {prefix("::/0"), 0, 1200, 7},
                                               {prefix("::/0"), 0, 0, 0}}));
}

/// In real network namespaces: root.
TEST(RouteRequest, the_kernel_holds_them_as_they_were_asked_for) {
  if (!enter_private_netns()) GTEST_SKIP() << "needs the right to make network namespaces";
  const ScratchDirectory directory;
  const ScratchNetns pod(directory.file("pod"));
  auto netns = Netns::open(pod.path());
  ASSERT_TRUE(netns.ok()) << netns.error().message;
  const PodLink link{.node = {"mr0123456789abc", *net::Mac::parse("02:00:00:00:00:01")},
                     .pod = {"eth0", *net::Mac::parse("02:00:00:00:00:02")},
                     .mtu = 1500,
                     .addresses = {ip("10.244.0.2"), ip("fd00:10:244::2")},
                     .routes = {{prefix("10.0.0.0/8"), 1400, 1300, 9},
                                {prefix("0.0.0.0/0"), 1450, 0, 0},
                                {prefix("0.0.0.0/0"), 0, 0, 50},
                                {prefix("fd00::/8"), 1400, 1300, 9},
                                {prefix("fd01::/16"), 0, 0, 0}},
                     .gateway_ipv4 = *net::Ipv4::parse("169.254.1.1"),
                     .gateway_ipv6 = *net::Ipv6::parse("fe80::1")};
  const auto made = create_pod_link(*netns, link);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const auto checked = check_pod_link(*netns, link);
  EXPECT_TRUE(checked.ok()) << checked.error().message;

  const auto routes = netns->run([] {
    auto netlink = netlink::Netlink::open();
    return netlink->routes(netlink->link("eth0")->index, 4);
  });
  ASSERT_TRUE(routes.ok());
  const net::IpAddress gateway = ip("169.254.1.1");
  // By table order of the kernel: the gateway, and each of those above; the plain default route is not there.
  EXPECT_EQ(routes->size(), 4u);
  for (const netlink::LinkRoute& wanted :
       {netlink::LinkRoute{.destination = prefix("10.0.0.0/8"),
       .gateway = gateway,
       .source = {},
       .mtu_bytes = 1400,
       .advmss_bytes = 1300,
       .priority = 9},
        netlink::LinkRoute{.destination = prefix("0.0.0.0/0"), .gateway = gateway, .source = {}, .mtu_bytes = 1450},
        netlink::LinkRoute{.destination = prefix("0.0.0.0/0"), .gateway = gateway, .source = {}, .priority = 50}}) {
    EXPECT_EQ(std::count(routes->begin(), routes->end(), wanted), 1) << wanted.destination.to_string();
  }
}

}  // namespace
}  // namespace millrace::control::agent
