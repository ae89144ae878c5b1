// The commands against an agent behind real gRPC, with Debian's host-local as the delegated IPAM plugin.
#include "cni-shim/commands.h"

#include <sys/stat.h>

#include <fstream>

#include "tests/cni/commands_fixture.h"
#include "tests/cni/raw_peer.h"

namespace millrace::cni_shim::testing {
namespace {

TEST_F(Commands, AddTellsTheAgentAllThatTheRuntimeSaid) {
  AgentServer agent(socket_, [](const auto&, const std::string& bytes) { return added(bytes); });
  const auto result = run({.command = "ADD",
                           .body = R"("mtu":1400,"runtimeConfig":{"mac":"02:aa:bb:cc:dd:ee"})",
                           .more = {{"CNI_ARGS",
                                     "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web;K8S_POD_UID=u1;"
                                     "IP=10.244.0.5;MAC=02:00:00:00:00:09"}}});
  ASSERT_TRUE(result.ok()) << result.error().message;
  api::AddPodRequest sent;
  ASSERT_TRUE(sent.ParseFromString(agent.seen().at(0).request));
  EXPECT_EQ(sent.key().network(), "testnet");
  EXPECT_EQ(sent.key().container_id(), "c1");
  EXPECT_EQ(sent.key().ifname(), "eth0");
  EXPECT_EQ(sent.netns(), kNetns);
  EXPECT_EQ(sent.pod_namespace(), "prod");
  EXPECT_EQ(sent.pod_name(), "web");
  EXPECT_EQ(sent.pod_uid(), "u1");
  EXPECT_EQ(sent.mac(), "\x02\xaa\xbb\xcc\xdd\xee") << "runtimeConfig comes before CNI_ARGS";
  ASSERT_EQ(sent.addresses_size(), 1);
  EXPECT_EQ(sent.addresses(0), bytes_of("10.244.0.5"));
  EXPECT_EQ(sent.mtu(), 1400U);
  const Json json = json_of(*result);
  EXPECT_EQ(json["ips"], json_of(R"([{"address":"10.244.0.5/32","gateway":"169.254.1.1","interface":1}])"));
  EXPECT_EQ(json["interfaces"][1]["mac"], "02:aa:bb:cc:dd:ee");
}

TEST_F(Commands, EveryStatusOfTheAgentIsAnErrorOfTheCni) {
  struct Row {
    grpc::StatusCode status;
    int code;
  };
  const Row rows[] = {
      {grpc::StatusCode::UNAVAILABLE, 11},
      {grpc::StatusCode::DEADLINE_EXCEEDED, 11},
      {grpc::StatusCode::CANCELLED, 11},
      {grpc::StatusCode::ABORTED, 11},
      {grpc::StatusCode::INVALID_ARGUMENT, 7},
      {grpc::StatusCode::NOT_FOUND, 3},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, 100},
      {grpc::StatusCode::ALREADY_EXISTS, 101},
      {grpc::StatusCode::FAILED_PRECONDITION, 102},
      {grpc::StatusCode::INTERNAL, 103},
      {grpc::StatusCode::UNKNOWN, 103},
      {grpc::StatusCode::PERMISSION_DENIED, 104},
      {grpc::StatusCode::UNIMPLEMENTED, 105},
  };
  grpc::Status answer;
  AgentServer agent(socket_, [&](const auto&, const auto&) { return Reply{answer, ""}; });
  for (const Row& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.status));
    answer = grpc::Status(row.status, "pool 10.244.0.0/24 is full");
    const auto result = run({.command = "ADD"});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(static_cast<int>(result.error().code), row.code);
    EXPECT_EQ(result.error().message, "pool 10.244.0.0/24 is full");
  }
}

TEST_F(Commands, AddToWhatIsNoNamespaceAsksNobody) {
  AgentServer agent(socket_, [](const auto&, const std::string& bytes) { return added(bytes); });
  for (const std::string netns : {"/run/netns/no-such", "/", "/etc/passwd"}) {
    SCOPED_TRACE(netns);
    const auto result = run({.command = "ADD", .body = host_local(), .more = {{"CNI_NETNS", netns}}});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kInvalidEnvironment);
    EXPECT_NE(result.error().message.find(netns), std::string::npos);
  }
  EXPECT_TRUE(agent.seen().empty());
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "testnet")) << "host-local was not asked either";
}

TEST_F(Commands, WithoutAnAgentItIsTryAgainLater) {
  for (const std::string command : {"ADD", "DEL"}) {
    const auto result = run({.command = command});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kTryAgainLater);
    EXPECT_NE(result.error().message.find("millrace-agent cannot be reached"), std::string::npos);
  }
}

TEST_F(Commands, AnAgentThatAnswersNonsenseIsAnIoError) {
  const std::string replies[] = {"\xff\xff\xff", "", api::AddPodReply().SerializeAsString()};
  std::string reply;
  AgentServer agent(socket_, [&](const auto&, const auto&) { return Reply{{}, reply}; });
  for (const std::string& bytes : replies) {
    reply = bytes;
    const auto result = run({.command = "ADD"});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kIoFailure) << result.error().message;
  }
}

TEST_F(Commands, HostLocalAssignsAndDelGivesBack) {
  AgentServer agent(socket_, [](const std::string& method, const std::string& bytes) {
    return method.ends_with("AddPod") ? added(bytes) : Reply{};
  });
  const auto result = run({.command = "ADD", .body = host_local()});
  ASSERT_TRUE(result.ok()) << result.error().message;
  const Json json = json_of(*result);
  EXPECT_EQ(json["ips"], json_of(R"([{"address":"10.99.0.2/24","gateway":"10.99.0.1","interface":1},
                                     {"address":"fd00:99::2/64","gateway":"fd00:99::1","interface":1}])"));
  api::AddPodRequest sent;
  ASSERT_TRUE(sent.ParseFromString(agent.seen().at(0).request));
  ASSERT_EQ(sent.delegated_size(), 2);
  EXPECT_EQ(sent.delegated(0).prefix_length(), 24U);
  EXPECT_TRUE(reserved("10.99.0.2"));

  const auto check = run({.command = "CHECK", .body = host_local() + ",\"prevResult\":" + *result});
  EXPECT_TRUE(check.ok()) << check.error().message;
  for (int repeat = 0; repeat < 2; ++repeat) {
    const auto del = run({.command = "DEL", .body = host_local(), .more = {{"CNI_NETNS", ""}}});
    EXPECT_TRUE(del.ok()) << del.error().message;
    EXPECT_FALSE(reserved("10.99.0.2"));
  }
}

TEST_F(Commands, AnAddTheAgentRefusesGivesTheAddressBack) {
  AgentServer agent(socket_, [](const auto&, const auto&) {
    return Reply{grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "ports are full"), ""};
  });
  const auto result = run({.command = "ADD", .body = host_local()});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, CniCode::kExhausted);
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "testnet")) << "host-local did run";
  EXPECT_FALSE(reserved("10.99.0.2"));
}

TEST_F(Commands, AnAddOfUnknownOutcomeLeavesTheAddressToDel) {
  {
    RawPeer agent(socket_, [](int fd) { read_until(fd, "testnet"); });  // takes the request, then dies
    const auto result = run({.command = "ADD", .body = host_local()});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, CniCode::kTryAgainLater);
    EXPECT_TRUE(reserved("10.99.0.2")) << "the pod may have it";
  }
  EXPECT_FALSE(run({.command = "DEL", .body = host_local()}).ok());
  EXPECT_TRUE(reserved("10.99.0.2")) << "and still may, while no agent says otherwise";
  std::filesystem::remove(socket_);
  AgentServer agent(socket_, [](const auto&, const auto&) { return Reply{}; });
  EXPECT_TRUE(run({.command = "DEL", .body = host_local()}).ok());
  EXPECT_FALSE(reserved("10.99.0.2"));
}

TEST_F(Commands, TheErrorOfTheIpamPluginIsPassedOnAndTheAgentNotAsked) {
  AgentServer agent(socket_, [](const auto&, const auto&) { return Reply{}; });
  const auto missing = run({.command = "ADD", .body = R"("ipam":{"type":"no-such-ipam"})"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, CniCode::kInvalidEnvironment);
  EXPECT_NE(missing.error().message.find("no-such-ipam"), std::string::npos);
  const auto broken = run({.command = "ADD", .body = R"("ipam":{"type":"host-local"})"});
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("host-local"), std::string::npos) << broken.error().message;
  EXPECT_TRUE(agent.seen().empty());
}

TEST_F(Commands, RoutesOfTheIpamPluginReachTheAgent) {
  AgentServer agent(socket_, [](const auto&, const std::string& bytes) { return added(bytes); });
  std::string body = host_local();
  body.pop_back();
  const auto result = run({.command = "ADD", .body = body + R"(,"routes":[{"dst":"10.8.0.0/16","gw":"10.99.0.1"}]})"});
  ASSERT_TRUE(result.ok()) << result.error().message;
  api::AddPodRequest sent;
  ASSERT_TRUE(sent.ParseFromString(agent.seen().at(0).request));
  ASSERT_EQ(sent.routes_size(), 1);
  EXPECT_EQ(sent.routes(0).destination(), bytes_of("10.8.0.0"));
  EXPECT_EQ(sent.routes(0).prefix_length(), 16U);
  EXPECT_EQ(sent.routes(0).gateway(), bytes_of("10.99.0.1"));
  EXPECT_TRUE(run({.command = "DEL", .body = host_local()}).ok());
}

TEST_F(Commands, GcNamesWhatStays) {
  AgentServer agent(socket_, [](const auto&, const auto&) { return Reply{}; });
  const auto result = run({.command = "GC",
                           .version = "1.1.0",
                           .body = R"("cni.dev/valid-attachments":[{"containerID":"keep","ifname":"eth0"}])"});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, "");
  api::GcPodsRequest sent;
  ASSERT_TRUE(sent.ParseFromString(agent.seen().at(0).request));
  EXPECT_EQ(sent.network(), "testnet");
  ASSERT_EQ(sent.valid_size(), 1);
  EXPECT_EQ(sent.valid(0).container_id(), "keep");
}

TEST_F(Commands, StatusIsTheAgentsReadiness) {
  struct Row {
    std::string name;
    bool ready, connected;
    int code;  // 0: success
  };
  const Row rows[] = {{"ready", true, true, 0}, {"switch away", false, false, 51}, {"not yet ready", false, true, 50}};
  api::AgentStatus status;
  AgentServer agent(socket_, [&](const auto&, const auto&) { return Reply{{}, status.SerializeAsString()}; });
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    status.set_ready(row.ready);
    status.set_switch_connected(row.connected);
    status.set_switch_message("the switch is starting");
    const auto result = run({.command = "STATUS", .version = "1.1.0"});
    EXPECT_EQ(result.ok() ? 0 : static_cast<int>(result.error().code), row.code);
    if (!result) { EXPECT_NE(result.error().message.find("the switch is starting"), std::string::npos); }
  }
  agent.stop();
  const auto result = run({.command = "STATUS", .version = "1.1.0"});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, CniCode::kNotAvailable);
}

/// A plugin that writes down with what it was called; Debian's plugins know neither GC nor STATUS.
TEST_F(Commands, GcAndStatusAreForwardedWithTheWholeStdin) {
  const std::string plugin = directory_.file("recorder");
  std::ofstream(plugin) << "#!/bin/sh\nd=" << directory_.path().string()
                        << "\n/bin/cat > $d/stdin.$CNI_COMMAND\n[ -e $d/fail ] || exit 0\n"
                        << "echo '{\"cniVersion\":\"1.1.0\",\"code\":50,\"msg\":\"no leases\"}'\nexit 1\n";
  ::chmod(plugin.c_str(), 0755);
  api::AgentStatus status;
  status.set_ready(true);
  AgentServer agent(socket_, [&](const std::string& method, const auto&) {
    return Reply{{}, method.ends_with("GetStatus") ? status.SerializeAsString() : ""};
  });
  const std::string body = R"("ipam":{"type":"recorder","own":1},"cni.dev/valid-attachments":[])";
  const Variables path = {{"CNI_PATH", "/nonexistent:relative:" + directory_.path().string()}};
  for (const std::string command : {"GC", "STATUS"}) {
    SCOPED_TRACE(command);
    const auto result = run({.command = command, .version = "1.1.0", .body = body, .more = path});
    ASSERT_TRUE(result.ok()) << result.error().message;
    std::ifstream recorded(directory_.file("stdin." + command));
    const std::string text{std::istreambuf_iterator<char>(recorded), {}};
    EXPECT_EQ(json_of(text)["ipam"]["own"], 1);
  }
  std::ofstream(directory_.file("fail")) << "";
  const auto result = run({.command = "STATUS", .version = "1.1.0", .body = body, .more = path});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, CniCode::kNotAvailable);
  EXPECT_NE(result.error().message.find("no leases"), std::string::npos);
}

}  // namespace
}  // namespace millrace::cni_shim::testing
