// Network policy in the agent as a whole, over its socket with the real kernel: in force before ADD answers, refused
// before it is committed, closed when it is refused after. Needs root. The switch is a recording one, whose judge
// refuses what a full one would.
#include <gtest/gtest.h>

#include <chrono>

#include <algorithm>

#include "tests/agent/agent_fixture.h"

namespace millrace::control::agent {
namespace {

using grpc::StatusCode;
using Names = std::vector<std::string>;

/// A policy for the pods with the label app=`app`, which lets in from those with from=`from`.
std::string policy(const std::string& name, const std::string& app, const std::string& from) {
  return R"({"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":")" + name +
         R"(","namespace":"default"},"spec":{"podSelector":{"matchLabels":{"app":")" + app +
         R"("}},"ingress":[{"from":[{"podSelector":{"matchLabels":{"from":")" + from + R"("}}}]}]}})";
}

std::string pod(const std::string& name, const std::string& app) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","namespace":"default","labels":{"app":")" + app + R"("}},"spec":{"containers":[{"name":"main"}]}})";
}

bool names_policy(const api::ApplyRequest& request, const std::string& object) {
  return std::ranges::any_of(request.upsert_policies(),
                             [&](const api::Policy& each) { return each.object() == object; });
}

grpc::Status full() { return {StatusCode::RESOURCE_EXHAUSTED, "rules of a set: 70000; allowed: 65535"}; }

class AgentPolicyTest : public AgentTest {
 protected:
  grpc::Status apply(const std::vector<std::string>& objects) {
    grpc::ClientContext context;
    api::ApplyObjectsRequest request;
    api::ApplyObjectsReply reply;
    for (const std::string& object : objects) request.add_objects(object);
    return stub_->ApplyObjects(&context, request, &reply);
  }
  grpc::Status remove_policy(const std::string& name) {
    grpc::ClientContext context;
    api::DeleteObjectsRequest request;
    api::DeleteObjectsReply reply;
    api::ObjectName& object = *request.add_objects();
    object.set_kind("NetworkPolicy");
    object.set_namespace_("default");
    object.set_name(name);
    return stub_->DeleteObjects(&context, request, &reply);
  }
  int policy_count() {
    grpc::ClientContext context;
    api::GetObjectsRequest request;
    request.set_kind("NetworkPolicy");
    api::GetObjectsReply reply;
    EXPECT_TRUE(stub_->GetObjects(&context, request, &reply).ok());
    return reply.objects_size();
  }
  /// The switch's port of a pod; adds the pod.
  std::string port_of_new(const std::string& name) {
    api::AddPodReply reply;
    const grpc::Status added = add(add_request(name), &reply);
    EXPECT_TRUE(added.ok()) << added.error_message();
    return reply.host_interface();
  }
  bool is_open(const std::string& port) const {
    const Names open = switch_->open_ports();
    return std::ranges::find(open, port) != open.end();
  }
};

TEST_F(AgentPolicyTest, is_in_force_before_add_answers) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), pod("a", "web")}).ok());
  EXPECT_TRUE(switch_->policy().policies.empty()) << "it isolates nobody here yet";
  bool opened_closed = false;
  switch_->judge = [&](const api::ApplyRequest& request, api::ApplyReply&) {
    for (const api::PortSpec& each : request.upsert_ports()) opened_closed |= each.await_policy();
    return grpc::Status::OK;
  };
  const std::string port = port_of_new("a");
  EXPECT_TRUE(opened_closed);
  const PolicyState state = switch_->policy();
  ASSERT_TRUE(state.ports.contains(port));
  EXPECT_EQ(state.ports.at(port).ingress_size(), 1);
  EXPECT_EQ(state.ports.at(port).ingress(0), "default/web");
  EXPECT_EQ(state.endpoints.size(), 2u) << "IPv4 and IPv6";
  EXPECT_TRUE(state.groups.contains("pods from=any in namespace default"));
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();

  ASSERT_TRUE(del("a").ok());
  EXPECT_TRUE(switch_->policy().empty()) << "nothing is left of it";
}

TEST_F(AgentPolicyTest, follows_policies_and_labels) {
  const std::string a = port_of_new("a");
  EXPECT_TRUE(is_open(a));
  ASSERT_TRUE(apply({policy("web", "web", "any")}).ok());
  EXPECT_TRUE(switch_->policy().policies.empty());
  ASSERT_TRUE(apply({pod("a", "web")}).ok());
  EXPECT_EQ(switch_->policy().ports.at(a).ingress_size(), 1) << "the label came";
  ASSERT_TRUE(apply({pod("a", "db")}).ok());
  EXPECT_EQ(switch_->policy().ports.at(a).ingress_size(), 0) << "the label went";
  ASSERT_TRUE(apply({policy("web", "db", "any")}).ok());
  EXPECT_EQ(switch_->policy().ports.at(a).ingress_size(), 1);
  ASSERT_TRUE(remove_policy("web").ok());
  EXPECT_EQ(switch_->policy().ports.at(a).ingress_size(), 0);
  EXPECT_TRUE(switch_->policy().groups.empty());
}

TEST_F(AgentPolicyTest, goes_to_a_new_switch_and_from_a_new_agent_with_the_ports) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), pod("a", "web")}).ok());
  const std::string a = port_of_new("a");
  const auto has_policy = [&](const std::map<std::string, api::PortSpec>& ports) { return ports.contains(a); };
  start_switch("two");
  ASSERT_TRUE(switch_->wait_until(has_policy));
  EXPECT_TRUE(is_open(a));
  EXPECT_TRUE(switch_->policy().policies.contains("default/web")) << "in the request that brought the port";
  start_agent();
  start_switch("three");
  ASSERT_TRUE(switch_->wait_until(has_policy));
  EXPECT_TRUE(is_open(a));
  EXPECT_TRUE(switch_->policy().policies.contains("default/web"));
}

TEST_F(AgentPolicyTest, that_the_switch_would_refuse_is_refused_and_the_old_stays) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), pod("a", "web")}).ok());
  const std::string a = port_of_new("a");
  const std::vector<std::string> before = {switch_->policy().policies.at("default/web").SerializeAsString()};
  switch_->judge = [](const api::ApplyRequest& request, api::ApplyReply&) {
    return request.upsert_policies_size() > 0 ? full() : grpc::Status::OK;
  };
  const grpc::Status refused = apply({policy("web", "web", "other"), policy("more", "web", "any")});
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("allowed: 65535"), std::string::npos) << refused.error_message();
  EXPECT_EQ(policy_count(), 1) << "nothing was committed";
  EXPECT_TRUE(is_open(a));
  EXPECT_EQ(switch_->policy().policies.at("default/web").SerializeAsString(), before[0]);
  switch_->judge = nullptr;
  EXPECT_TRUE(apply({policy("web", "web", "other"), policy("more", "web", "any")}).ok());
  EXPECT_EQ(switch_->policy().ports.at(a).ingress_size(), 2);
}

TEST_F(AgentPolicyTest, that_is_refused_after_all_closes_the_pods_concerned_and_no_others) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), policy("db", "db", "any"), pod("a", "web"), pod("b", "db")}).ok());
  const std::string a = port_of_new("a"), b = port_of_new("b");
  switch_->judge = [](const api::ApplyRequest& request, api::ApplyReply&) {
    return !request.dry_run() && names_policy(request, "default/web") ? full() : grpc::Status::OK;
  };
  const grpc::Status refused = apply({policy("web", "web", "other")});
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find(a), std::string::npos) << refused.error_message();
  EXPECT_FALSE(is_open(a)) << "neither the new nor the old";
  EXPECT_FALSE(switch_->policy().policies.contains("default/web"));
  EXPECT_TRUE(is_open(b));

  switch_->judge = nullptr;
  EXPECT_TRUE(apply({policy("db", "db", "other")}).ok()) << "any change tries again";
  EXPECT_TRUE(is_open(a));
  EXPECT_TRUE(switch_->policy().groups.contains("pods from=other in namespace default"));
}

TEST_F(AgentPolicyTest, that_cannot_be_in_force_makes_add_fail) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), pod("a", "web")}).ok());
  switch_->judge = [](const api::ApplyRequest& request, api::ApplyReply&) {
    return names_policy(request, "default/web") ? full() : grpc::Status::OK;
  };
  const grpc::Status refused = add("a");
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("allowed: 65535"), std::string::npos) << refused.error_message();
  EXPECT_EQ(switch_->names(), Names{"millrace9"}) << "undone";
  EXPECT_EQ(status().pod_count(), 0u);
  EXPECT_TRUE(switch_->policy().endpoints.empty());
  EXPECT_TRUE(is_open(port_of_new("b"))) << "who is not concerned can be added";
  switch_->judge = nullptr;
  EXPECT_TRUE(is_open(port_of_new("a")));
}

TEST_F(AgentPolicyTest, that_a_new_switch_refuses_leaves_its_pods_closed) {
  ASSERT_TRUE(apply({policy("web", "web", "any"), policy("db", "db", "any"), pod("a", "web"), pod("b", "db")}).ok());
  const std::string a = port_of_new("a"), b = port_of_new("b");
  switch_.reset();
  switch_ = std::make_unique<RecordingSwitch>(config_.switch_socket(), "two",
                                              [](const api::ApplyRequest& request, api::ApplyReply&) {
                                                return names_policy(request, "default/web") ? full() : grpc::Status::OK;
                                              });
  ASSERT_TRUE(switch_->wait_until_open(b));
  EXPECT_FALSE(is_open(a));
  ASSERT_TRUE(switch_->wait_until([&](const auto& ports) { return ports.contains(a); }));
  // The agent knows a moment after the switch has answered; each question is a call of its own.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!check("b").ok() && std::chrono::steady_clock::now() < end) {}
  EXPECT_TRUE(check("b").ok());
}

}  // namespace
}  // namespace millrace::control::agent
