// The agent as a whole over its socket, with the real kernel: ADD, CHECK, DEL, GC, many at once, and a start after a
// stop. Needs root; the host's side is a private network namespace. The switch is a recording one.
#include "control/agent/agent.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "control/agent/netns.h"
#include "control/api/agent.grpc.pb.h"
#include "control/netlink/netlink.h"
#include "tests/agent/agent_fixture.h"

namespace millrace::control::agent {
namespace {

using grpc::StatusCode;

TEST_F(AgentTest, a_pod_comes_and_goes) {
  api::AddPodReply reply;
  const auto added = add(add_request("a"), &reply);
  ASSERT_TRUE(added.ok()) << added.error_message();
  ASSERT_EQ(reply.addresses_size(), 2);
  EXPECT_EQ(reply.addresses(0), std::string("\x0a\xf4\0\2", 4));
  EXPECT_EQ(reply.gateways(0), std::string("\xa9\xfe\1\1", 4));
  EXPECT_EQ(reply.routes_size(), 3) << "the gateway's and the default route of IPv4, the default route of IPv6";
  const api::PortSpec port = switch_->port(reply.host_interface());
  EXPECT_EQ(port.kind(), api::PORT_KIND_POD);
  EXPECT_EQ(port.mac(), reply.mac());
  EXPECT_EQ(port.addresses_size(), 2);
  EXPECT_EQ(port.description(), "default/a");
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
  EXPECT_EQ(add("a").error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_TRUE(check("a").ok()) << "the refused ADD left the pod as it was";

  ASSERT_TRUE(del("a").ok());
  EXPECT_FALSE(has_link(reply.host_interface()));
  EXPECT_EQ(switch_->names(), std::vector<std::string>{"millrace9"});
  EXPECT_EQ(check("a").error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(del("a").ok()) << "DEL is repeatable";
}

TEST_F(AgentTest, the_node_itself_is_a_port) {
  const api::PortSpec port = switch_->port("millrace9");
  EXPECT_EQ(port.kind(), api::PORT_KIND_HOST);
  EXPECT_EQ(port.interface(), "millrace9s");
  EXPECT_EQ(port.prefixes_size(), 2);
  EXPECT_EQ(port.addresses(0), std::string("\x0a\xf4\0\1", 4));
  EXPECT_EQ(switch_->gateway().icmp_source_ipv4(), port.addresses(0));
  EXPECT_TRUE(has_link("millrace9"));
}

TEST_F(AgentTest, del_succeeds_when_namespace_or_interface_are_gone) {
  ASSERT_TRUE(add("a").ok());
  ASSERT_TRUE(add("b").ok());
  pods_["a"]->remove();
  ASSERT_TRUE(netlink::Netlink::open()->remove_link(list().pods(1).host_interface()).ok());
  EXPECT_TRUE(del("a").ok());
  EXPECT_TRUE(del("b").ok());
  EXPECT_EQ(status().pod_count(), 0u);
}

TEST_F(AgentTest, a_pod_that_goes_without_del_frees_its_port_and_keeps_its_address) {
  ASSERT_TRUE(add("a").ok());
  ASSERT_TRUE(add("b").ok());
  const std::string gone = list().pods(0).host_interface();
  const std::string stays = list().pods(1).host_interface();
  pods_["a"]->remove();
  ASSERT_TRUE(switch_->wait_until([&](const auto& ports) { return !ports.contains(gone); }));
  EXPECT_EQ(switch_->names(), (std::vector<std::string>{"millrace9", stays}));
  ASSERT_EQ(list().pods_size(), 2);
  EXPECT_TRUE(list().pods(0).interface_gone());
  EXPECT_FALSE(list().pods(1).interface_gone());
  EXPECT_EQ(status().pools(0).used(), 2u) << "the address is the attachment's until DEL or GC";
  start_switch("two");
  ASSERT_TRUE(switch_->wait_until([&](const auto& ports) { return ports.contains(stays); }));
  EXPECT_EQ(switch_->names(), (std::vector<std::string>{"millrace9", stays})) << "nor does a new switch get it";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  grpc::Status checked = check("b");  // until the agent has got the switch's answer
  while (!checked.ok() && std::chrono::steady_clock::now() < end) checked = check("b");
  EXPECT_TRUE(checked.ok()) << checked.error_message();
  EXPECT_TRUE(del("a").ok());
  EXPECT_EQ(status().pools(0).used(), 1u);
  pods_.erase("a");
  EXPECT_TRUE(add("a").ok()) << "the same name again, in a new namespace";
}

TEST_F(AgentTest, an_add_that_fails_leaves_nothing) {
  struct Row {
    const char* name;
    std::function<void(api::AddPodRequest&)> spoil;
    StatusCode code;
  };
  switch_->judge = [](const api::ApplyRequest& request, api::ApplyReply&) {
    const bool refused = request.upsert_ports_size() == 1 && request.upsert_ports(0).mtu() == 1313;
    return refused ? grpc::Status(StatusCode::RESOURCE_EXHAUSTED, "ports: all are in use") : grpc::Status::OK;
  };
  const Row rows[] = {
      {"no such namespace", [](auto& r) { r.set_netns("/none"); }, StatusCode::NOT_FOUND},
      {"the node's namespace", [](auto& r) { r.set_netns("/proc/self/ns/net"); }, StatusCode::INVALID_ARGUMENT},
      {"an interface that is there", [](auto& r) { r.mutable_key()->set_ifname("lo"); }, StatusCode::ALREADY_EXISTS},
      {"an MTU too small for IPv6", [](auto& r) { r.set_mtu(1000); }, StatusCode::INVALID_ARGUMENT},
      {"an address of no block", [](auto& r) { r.add_addresses("\x01\x02\x03\x04"); }, StatusCode::INVALID_ARGUMENT},
      {"refused by the switch", [](auto& r) { r.set_mtu(1313); }, StatusCode::RESOURCE_EXHAUSTED},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    auto request = add_request("a");
    row.spoil(request);
    const auto refused = add(request);
    EXPECT_EQ(refused.error_code(), row.code) << refused.error_message();
    EXPECT_EQ(status().pod_count(), 0u);
    EXPECT_EQ(status().pools(0).used(), 0u);
    EXPECT_EQ(switch_->names(), std::vector<std::string>{"millrace9"});
  }
  const auto added = add("a");
  EXPECT_TRUE(added.ok()) << added.error_message();
}

TEST_F(AgentTest, says_unavailable_while_the_switch_is_away_and_recovers) {
  ASSERT_TRUE(add("a").ok());
  switch_.reset();
  grpc::Status refused = add("b");
  EXPECT_EQ(refused.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_NE(refused.error_message().find("switch"), std::string::npos);
  EXPECT_TRUE(del("a").ok()) << "DEL does not need the switch";
  ASSERT_TRUE(status().pod_count() == 0 && !status().ready());
  start_switch("two");
  ASSERT_TRUE(switch_->wait_until([](const auto& ports) { return ports.size() == 1; }));
}

TEST_F(AgentTest, comes_back_to_the_same_pods) {
  ASSERT_TRUE(add("a").ok());
  ASSERT_TRUE(add("b").ok());
  const api::ListPodsReply before = list();
  agent_.reset();
  EXPECT_TRUE(has_link(before.pods(0).host_interface())) << "pods stay when the agent ends";
  EXPECT_TRUE(has_link("millrace9"));
  ASSERT_TRUE(netlink::Netlink::open()->remove_link(before.pods(1).host_interface()).ok());  // pod b ends meanwhile
  start_agent();
  ASSERT_EQ(list().pods_size(), 1);
  EXPECT_EQ(list().pods(0).SerializeAsString(), before.pods(0).SerializeAsString());
  const std::string kept = before.pods(0).host_interface();
  EXPECT_TRUE(switch_->wait_until([&](const auto& p) { return p.size() == 2 && p.contains(kept); }));
  EXPECT_TRUE(check("a").ok());
}

TEST_F(AgentTest, gc_removes_what_is_not_valid) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(add(name).ok());
  grpc::ClientContext context;
  api::GcPodsRequest request;
  request.set_network("net");
  fill(*request.add_valid(), "b");
  api::GcPodsReply reply;
  ASSERT_TRUE(stub_->GcPods(&context, request, &reply).ok());
  EXPECT_EQ(reply.removed(), 2u);
  ASSERT_EQ(list().pods_size(), 1);
  EXPECT_EQ(list().pods(0).key().container_id(), "b");
}

TEST_F(AgentTest, takes_delegated_addresses_as_they_are) {
  auto request = add_request("a");
  auto& delegated = *request.add_delegated();
  delegated.set_address(std::string("\xc0\0\2\7", 4));
  delegated.set_prefix_length(24);
  api::AddPodReply reply;
  const auto added = add(request, &reply);
  ASSERT_TRUE(added.ok()) << added.error_message();
  EXPECT_EQ(reply.addresses_size(), 1);
  EXPECT_EQ(reply.addresses(0), delegated.address());
  EXPECT_EQ(status().pools(0).used(), 0u);
  auto netlink = netlink::Netlink::open();
  const auto routes = netlink->routes(netlink->link("millrace9")->index, 4).value();
  EXPECT_TRUE(std::any_of(routes.begin(), routes.end(), [](const netlink::LinkRoute& r) {
    return r.destination.to_string() == "192.0.2.7/32";
  })) << "the node finds a pod outside of its block";
  auto twice = add_request("b");
  *twice.add_delegated() = delegated;
  EXPECT_EQ(add(twice).error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_TRUE(del("a").ok());
}

TEST_F(AgentTest, sets_the_routes_it_is_asked_for_and_checks_them_after_a_restart) {
  auto request = add_request("a");
  auto& delegated = *request.add_delegated();
  delegated.set_address(std::string("\xc0\0\2\7", 4));
  delegated.set_prefix_length(24);
  delegated.set_gateway(std::string("\xc0\0\2\1", 4));
  auto& route = *request.add_routes();
  route.set_destination(std::string("\x0a\x08\0\0", 4));
  route.set_prefix_length(16);
  route.set_gateway(delegated.gateway());
  route.set_mtu(1300);
  route.set_advmss(1200);
  route.set_priority(9);
  request.add_routes()->set_destination(std::string("\x0a\x09\0\0", 4));  // 10.9.0.0/0: bits behind the prefix
  const auto refused = add(request);
  EXPECT_EQ(refused.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(refused.error_message().starts_with("routes[1].destination: ")) << refused.error_message();
  EXPECT_EQ(status().pod_count(), 0u);

  request.mutable_routes()->RemoveLast();
  api::AddPodReply reply;
  const auto added = add(request, &reply);
  ASSERT_TRUE(added.ok()) << added.error_message();
  ASSERT_EQ(reply.routes_size(), 3) << "the gateway's, the default route, and the one that was asked for";
  EXPECT_EQ(reply.routes(2).gateway(), std::string("\xa9\xfe\1\1", 4)) << "the pod's own gateway";
  EXPECT_EQ(reply.routes(2).mtu(), 1300u);
  start_agent();
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
  const auto gone = Netns::open(netns("a"))->run([] {
    auto netlink = netlink::Netlink::open();
    return netlink->remove_route(netlink->link("eth0")->index, {.destination = *net::Prefix::parse("10.8.0.0/16"),
                                                                .gateway = net::IpAddress::parse("169.254.1.1").value(),
                                                                .source = {},
                                                                .priority = 9});
  });
  ASSERT_TRUE(gone.ok()) << gone.error().message;
  EXPECT_EQ(check("a").error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(check("a").error_message().find("10.8.0.0/16"), std::string::npos) << check("a").error_message();
}

TEST_F(AgentTest, sixteen_pods_at_the_same_moment) {
  constexpr int kPods = 16;
  std::vector<api::AddPodRequest> requests;
  for (int i = 0; i < kPods; ++i) requests.push_back(add_request("pod" + std::to_string(i)));
  std::vector<std::thread> callers;
  for (const auto& request : requests) {
    callers.emplace_back([&] {
      const auto added = add(request);
      EXPECT_TRUE(added.ok()) << added.error_message();
    });
  }
  for (auto& caller : callers) caller.join();
  std::set<std::string> addresses;
  const auto pods = list();
  for (const api::Pod& pod : pods.pods()) addresses.insert(pod.addresses(0));
  EXPECT_EQ(addresses.size(), std::size_t{kPods});
  EXPECT_EQ(switch_->names().size(), std::size_t{kPods} + 1);
  for (int i = 0; i < kPods; ++i) EXPECT_TRUE(check("pod" + std::to_string(i)).ok());
}

TEST_F(AgentTest, joins_what_was_said_of_a_pod_to_its_attachment) {
  grpc::ClientContext context;
  api::SetPodObjectRequest request;
  api::SetPodObjectReply reply;
  request.mutable_object()->set_namespace_("default");
  request.mutable_object()->set_name("a");
  request.mutable_object()->mutable_labels()->insert({"app", "web"});
  ASSERT_TRUE(stub_->SetPodObject(&context, request, &reply).ok());
  ASSERT_TRUE(add("a").ok());
  EXPECT_EQ(list().pods(0).labels().at("app"), "web");
  EXPECT_EQ(status().node_name(), "node-a");
}

TEST_F(AgentTest, cleans_up_only_when_it_is_stopped) {
  ASSERT_TRUE(add("a").ok());
  const std::string interface = list().pods(0).host_interface();
  EXPECT_EQ(clean_up(config_, true).error().code, net::ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(has_link(interface));
  agent_.reset();
  ASSERT_TRUE(clean_up(config_, false).ok());
  EXPECT_TRUE(has_link(interface));
  EXPECT_FALSE(has_link("millrace9"));
  start_agent();
  EXPECT_EQ(status().pod_count(), 1u) << "a pod that has its interface comes back";
  agent_.reset();
  ASSERT_TRUE(clean_up(config_, true).ok());
  EXPECT_FALSE(has_link(interface));
  EXPECT_FALSE(has_link("millrace9"));
  start_agent();
  EXPECT_EQ(status().pod_count(), 0u) << "the next start sees that the pods are gone";
}

}  // namespace
}  // namespace millrace::control::agent
