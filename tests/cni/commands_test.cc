// The commands against an agent behind real gRPC, with Debian's host-local as the delegated IPAM plugin.
#include "cni-shim/commands.h"

#include <sys/stat.h>

#include <fstream>

#include "control/api/lite/agent.pb.h"
#include "tests/cni/agent_server.h"
#include "tests/cni/raw_peer.h"
#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

constexpr const char* kNetns = "/proc/self/ns/net";

std::string bytes_of(const std::string& address) {
  const auto parsed = *net::IpAddress::parse(address);
  return {reinterpret_cast<const char*>(parsed.raw().data()), parsed.raw().size()};
}

/// What the agent answers to AddPod: the delegated addresses, else one of its own.
Reply added(const std::string& bytes) {
  api::AddPodRequest request;
  EXPECT_TRUE(request.ParseFromString(bytes));
  api::AddPodReply reply;
  reply.set_host_interface("mrhost0");
  reply.set_host_mac("\x02\x01\x01\x01\x01\x01");
  reply.set_mac(request.mac().empty() ? std::string("\x02\x02\x02\x02\x02\x02") : request.mac());
  reply.set_mtu(1500);
  for (const auto& entry : request.delegated()) {
    reply.add_addresses(entry.address());
    reply.add_gateways(bytes_of(entry.address().size() == 4 ? "169.254.1.1" : "fe80::1"));
  }
  if (request.delegated().empty()) {
    reply.add_addresses(bytes_of("10.244.0.5"));
    reply.add_gateways(bytes_of("169.254.1.1"));
  }
  return {{}, reply.SerializeAsString()};
}

class Commands : public ::testing::Test {
 protected:
  struct Call {
    std::string command;
    std::string version = "1.0.0";
    std::string body = {};  // of the configuration, behind agentSocket
    Variables more = {};
  };

  CniResult<std::string> run(const Call& call) {
    Variables variables = runtime_variables(call.command);
    variables["CNI_NETNS"] = kNetns;
    for (const auto& [name, value] : call.more) variables[name] = value;
    const std::string text = R"({"cniVersion":")" + call.version +
                             R"(","name":"testnet","type":"millrace-cni","agentSocket":")" + socket_ + "\"" +
                             (call.body.empty() ? "" : "," + call.body) + "}";
    const auto request = parse(variables, text);
    EXPECT_TRUE(request.ok()) << (request ? "" : request.error().error.message);
    if (!request) return request.error().error;
    std::vector<std::string> environment;
    for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
    return run_command(*request, text, environment);
  }

  std::string host_local() const {
    return R"("ipam":{"type":"host-local","dataDir":")" + directory_.path().string() +
           R"(","ranges":[[{"subnet":"10.99.0.0/24","gateway":"10.99.0.1"}],[{"subnet":"fd00:99::/64"}]]})";
  }
  bool reserved(const std::string& address) const {
    return std::filesystem::exists(directory_.path() / "testnet" / address);
  }

  TempDirectory directory_;
  std::string socket_ = directory_.file("agent.sock");
};

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

/// The plugin that would be run says of itself that it was.
TEST_F(Commands, DhcpIsRefusedBeforeAnythingIsDoneAndDelDoesWithoutIt) {
  const std::string plugin = directory_.file("dhcp");
  std::ofstream(plugin) << "#!/bin/sh\n: > " << directory_.file("was-run") << "\nexit 1\n";
  ::chmod(plugin.c_str(), 0755);
  AgentServer agent(socket_, [](const auto&, const auto&) { return Reply{}; });
  const std::string body = R"("ipam":{"type":"dhcp"},"cni.dev/valid-attachments":[])";
  const Variables path = {{"CNI_PATH", directory_.path().string()}};
  struct Row {
    std::string command;
    int code;           // 0: success
    std::size_t calls;  // of the agent, so far
  };
  for (const Row& row : {Row{"ADD", 7, 0}, Row{"STATUS", 50, 0}, Row{"DEL", 0, 1}, Row{"GC", 0, 2}}) {
    SCOPED_TRACE(row.command);
    const auto result = run({.command = row.command, .version = "1.1.0", .body = body, .more = path});
    EXPECT_EQ(result.ok() ? 0 : static_cast<int>(result.error().code), row.code);
    if (!result) { EXPECT_TRUE(result.error().message.starts_with("ipam.type \"dhcp\"")) << result.error().message; }
    EXPECT_EQ(agent.seen().size(), row.calls);
  }
  EXPECT_FALSE(std::filesystem::exists(directory_.file("was-run")));
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
