// An ADD in two steps, for an IPAM plugin that leases an address over the pod's interface.
#include "tests/agent/agent_fixture.h"

namespace millrace::control::agent {
namespace {

using grpc::StatusCode;

/// The two calls of an ADD between which a plugin leases an address over the interface.
api::AddPodRequest prepare(api::AddPodRequest request) {
  request.set_step(api::ADD_POD_STEP_PREPARE);
  return request;
}
api::AddPodRequest complete(api::AddPodRequest request) {
  request.set_step(api::ADD_POD_STEP_COMPLETE);
  auto& leased = *request.add_delegated();
  leased.set_address(std::string("\xc0\0\2\7", 4));
  leased.set_prefix_length(24);
  return request;
}

TEST_F(AgentTest, a_pod_is_prepared_for_its_lease_and_completed_with_it) {
  api::AddPodReply reply;
  const auto prepared = add(prepare(add_request("a")), &reply);
  ASSERT_TRUE(prepared.ok()) << prepared.error_message();
  EXPECT_EQ(reply.addresses_size() + reply.routes_size(), 0);
  const std::string interface = reply.host_interface();
  EXPECT_TRUE(has_link(interface));
  EXPECT_TRUE(switch_->port(interface).dhcp());
  EXPECT_EQ(switch_->port(interface).addresses_size(), 0);
  EXPECT_EQ(list().pods_size(), 0) << "it is no pod yet";
  EXPECT_EQ(status().pools(0).used(), 0u);

  const auto completed = add(complete(add_request("a")), &reply);
  ASSERT_TRUE(completed.ok()) << completed.error_message();
  ASSERT_EQ(reply.addresses_size(), 1);
  EXPECT_EQ(reply.addresses(0), std::string("\xc0\0\2\7", 4));
  EXPECT_EQ(reply.routes_size(), 2);
  EXPECT_EQ(switch_->port(interface).addresses_size(), 1);
  EXPECT_TRUE(switch_->port(interface).dhcp()) << "for the renewals";
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
  EXPECT_EQ(add(complete(add_request("a"))).error_code(), StatusCode::FAILED_PRECONDITION) << "once";

  start_agent();
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
  EXPECT_TRUE(switch_->port(interface).dhcp()) << "after a restart, too";
  EXPECT_TRUE(del("a").ok());
  EXPECT_FALSE(has_link(interface));
}

TEST_F(AgentTest, what_was_prepared_and_not_completed_goes) {
  api::AddPodReply reply;
  EXPECT_EQ(add(complete(add_request("a"))).error_code(), StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(add(prepare(add_request("a")), &reply).ok());
  ASSERT_TRUE(del("a").ok());
  EXPECT_FALSE(has_link(reply.host_interface())) << "by a DEL";
  EXPECT_EQ(add(complete(add_request("a"))).error_code(), StatusCode::FAILED_PRECONDITION);

  ASSERT_TRUE(add(prepare(add_request("a"))).ok());
  start_agent();
  EXPECT_FALSE(has_link(reply.host_interface())) << "by a start of the agent";
  EXPECT_EQ(switch_->names(), std::vector<std::string>{"millrace9"});
  EXPECT_EQ(add(complete(add_request("a"))).error_code(), StatusCode::FAILED_PRECONDITION);

  ASSERT_TRUE(add(prepare(add_request("a"))).ok());
  ASSERT_TRUE(add(prepare(add_request("a")), &reply).ok()) << "by the next ADD";
  ASSERT_TRUE(add(prepare(add_request("b"))).ok());
  ASSERT_TRUE(add(complete(add_request("b"))).ok());
  EXPECT_EQ(add(complete(add_request("a"))).error_code(), StatusCode::ALREADY_EXISTS) << "the address is b's";
  EXPECT_TRUE(has_link(reply.host_interface())) << "so that the lease can be given back";
  EXPECT_TRUE(switch_->port(reply.host_interface()).dhcp());
  EXPECT_TRUE(del("a").ok());
  EXPECT_TRUE(del("b").ok());
}

}  // namespace
}  // namespace millrace::control::agent
