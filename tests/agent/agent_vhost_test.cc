// Pods by a vhost-user socket, through the whole agent: what the switch is told, where the socket lies, and that
// neither needs a kernel interface. Needs root; the switch is a recording one.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/agent/agent_fixture.h"

namespace millrace::control::agent {
namespace {

using grpc::StatusCode;
namespace fs = std::filesystem;

class AgentVhostTest : public AgentTest {
 protected:
  api::AddPodRequest vhost_request(const std::string& container) {
    api::AddPodRequest request = add_request(container);
    request.set_pod_uid("uid-" + container);
    request.set_port_type(api::PORT_TYPE_VHOST_USER);
    return request;
  }
  std::string socket_of(const std::string& container) {
    return config_.runtime_dir + "/vhost/uid-" + container + "/eth0/vhost.sock";
  }
  static std::string directory_of(const std::string& socket) { return fs::path(socket).parent_path(); }
};

TEST_F(AgentVhostTest, a_pod_comes_and_goes) {
  auto request = vhost_request("a");
  request.mutable_vhost_user()->set_pod_listens(true);
  request.mutable_vhost_user()->set_queue_pairs(4);
  api::AddPodReply reply;
  const auto added = add(request, &reply);
  ASSERT_TRUE(added.ok()) << added.error_message();
  EXPECT_EQ(reply.socket_path(), socket_of("a"));
  EXPECT_EQ(reply.host_mac(), "");
  EXPECT_EQ(reply.addresses_size(), 2);
  EXPECT_EQ(reply.gateways_size(), 2);
  EXPECT_FALSE(has_link(reply.host_interface()));
  EXPECT_TRUE(fs::is_directory(directory_of(reply.socket_path())));
  const api::PortSpec port = switch_->port(reply.host_interface());
  EXPECT_EQ(port.kind(), api::PORT_KIND_POD);
  EXPECT_EQ(port.interface(), "");
  EXPECT_EQ(port.vhost_user().path(), reply.socket_path());
  EXPECT_EQ(port.vhost_user().role(), api::VHOST_ROLE_CLIENT);
  EXPECT_EQ(port.vhost_user().queue_pairs(), 4u);
  EXPECT_EQ(port.mac(), reply.mac());
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
  const api::ListPodsReply pods = list();
  ASSERT_EQ(pods.pods_size(), 1);
  EXPECT_EQ(pods.pods(0).port_type(), api::PORT_TYPE_VHOST_USER);
  EXPECT_EQ(pods.pods(0).socket_path(), reply.socket_path());
  EXPECT_TRUE(pods.pods(0).vhost_user().pod_listens());
  EXPECT_FALSE(pods.pods(0).interface_gone());

  ASSERT_TRUE(del("a").ok());
  EXPECT_FALSE(fs::exists(directory_of(directory_of(reply.socket_path()))));
  EXPECT_EQ(switch_->names(), std::vector<std::string>{"millrace9"});
  EXPECT_TRUE(del("a").ok()) << "DEL is repeatable";
}

TEST_F(AgentVhostTest, stays_when_agent_and_switch_start_again) {
  api::AddPodReply reply;
  ASSERT_TRUE(add(vhost_request("a"), &reply).ok());
  start_agent();
  EXPECT_TRUE(switch_->wait_until([&](const auto& ports) { return ports.contains(reply.host_interface()); }));
  start_switch("two");
  ASSERT_TRUE(switch_->wait_until([&](const auto& ports) { return ports.contains(reply.host_interface()); }));
  const api::PortSpec port = switch_->port(reply.host_interface());
  EXPECT_EQ(port.vhost_user().path(), reply.socket_path());
  EXPECT_EQ(port.vhost_user().role(), api::VHOST_ROLE_SERVER);
  EXPECT_TRUE(check("a").ok()) << check("a").error_message();
}

TEST_F(AgentVhostTest, another_container_of_the_pod_cannot_have_its_socket) {
  ASSERT_TRUE(add(vhost_request("a")).ok());
  auto other = vhost_request("b");
  other.set_pod_uid("uid-a");
  const auto refused = add(other);
  EXPECT_EQ(refused.error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(refused.error_message(), "vhost-user socket " + socket_of("a") + " is that of attachment net/a/eth0");
  EXPECT_TRUE(check("a").ok()) << "and the first has it still";
  other.mutable_key()->set_ifname("net1");
  api::AddPodReply reply;
  const auto added = add(other, &reply);
  ASSERT_TRUE(added.ok()) << added.error_message();
  ASSERT_TRUE(del("a").ok());
  EXPECT_TRUE(fs::is_directory(directory_of(reply.socket_path()))) << "the pod may listen there yet";
}

TEST_F(AgentVhostTest, is_gone_with_its_directory) {
  api::AddPodReply reply;
  ASSERT_TRUE(add(vhost_request("a"), &reply).ok());
  ASSERT_TRUE(add(vhost_request("b")).ok());
  fs::remove_all(directory_of(reply.socket_path()));
  EXPECT_TRUE(list().pods(0).interface_gone());
  EXPECT_FALSE(list().pods(1).interface_gone());
  EXPECT_EQ(check("a").error_code(), StatusCode::FAILED_PRECONDITION);
  start_agent();  // as after a start of the machine, which has lost runtimeDir
  ASSERT_EQ(list().pods_size(), 1);
  EXPECT_EQ(list().pods(0).pod_name(), "b");
}

TEST_F(AgentVhostTest, what_went_without_a_del_goes_when_the_agent_starts) {
  api::AddPodReply reply;
  ASSERT_TRUE(add(vhost_request("a"), &reply).ok());
  ASSERT_TRUE(add(vhost_request("b")).ok());
  fs::create_directories(config_.runtime_dir + "/vhost/uid-nobody/eth0");
  pods_.at("a")->remove();
  EXPECT_TRUE(list().pods(0).interface_gone());
  EXPECT_FALSE(list().pods(1).interface_gone());
  start_agent();
  ASSERT_EQ(list().pods_size(), 1);
  EXPECT_EQ(list().pods(0).pod_name(), "b");
  EXPECT_FALSE(fs::exists(directory_of(directory_of(reply.socket_path()))));
  EXPECT_TRUE(fs::is_directory(directory_of(socket_of("b"))));
  EXPECT_FALSE(fs::exists(config_.runtime_dir + "/vhost/uid-nobody")) << "of a pod that nothing is known of";
  EXPECT_TRUE(switch_->wait_until([&](const auto& ports) { return !ports.contains(reply.host_interface()); }));
}

TEST_F(AgentVhostTest, an_add_that_the_switch_refuses_leaves_nothing) {
  switch_->judge = [](const api::ApplyRequest& request, api::ApplyReply&) {
    const bool refused = request.upsert_ports_size() == 1 && request.upsert_ports(0).has_vhost_user();
    return refused ? grpc::Status(StatusCode::FAILED_PRECONDITION, "listen: no") : grpc::Status::OK;
  };
  EXPECT_EQ(add(vhost_request("a")).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_FALSE(fs::exists(directory_of(socket_of("a"))));
  EXPECT_EQ(status().pod_count(), 0u);
  EXPECT_EQ(status().pools(0).used(), 0u);
}

TEST_F(AgentVhostTest, the_annotation_of_the_pods_object_chooses) {
  api::ApplyObjectsRequest objects;
  objects.add_objects(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default","annotations":
    {"millrace.io/port-type":"vhost-user","millrace.io/vhost-listener":"pod"}},
    "spec":{"containers":[{"name":"main"}]}})");
  grpc::ClientContext context;
  api::ApplyObjectsReply applied;
  const auto done = stub_->ApplyObjects(&context, objects, &applied);
  ASSERT_TRUE(done.ok()) << done.error_message();
  api::AddPodReply reply;
  ASSERT_TRUE(add(add_request("a"), &reply).ok());
  EXPECT_EQ(switch_->port(reply.host_interface()).vhost_user().role(), api::VHOST_ROLE_CLIENT);
  EXPECT_EQ(reply.socket_path(), config_.runtime_dir + "/vhost/" + reply.host_interface() + "/eth0/vhost.sock");
}

}  // namespace
}  // namespace millrace::control::agent
