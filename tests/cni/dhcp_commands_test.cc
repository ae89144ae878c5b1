// ipam.type dhcp: the order in which agent and plugin are asked, and what is undone.
#include <sys/stat.h>

#include <fstream>

#include "tests/cni/commands_fixture.h"
#include "tests/cni/raw_peer.h"

namespace millrace::cni_shim::testing {
namespace {

/// The real plugin needs a server on a link: the system tests have both. Here it is the order that counts: the agent
/// and a plugin of that name write down in one file when they were asked.
class DhcpCommands : public Commands {
 protected:
  void SetUp() override {
    const std::string plugin = directory_.file("dhcp");
    std::ofstream(plugin)
        << "#!/bin/sh\nd=" << directory_.path().string()
        << "\n/bin/cat > $d/stdin\necho plugin $CNI_COMMAND >> $d/order\n[ ! -e $d/fail.$CNI_COMMAND ] || "
           "{ echo '{\"code\":999,\"msg\":\"no lease\"}'; exit 1; }\n"
           "[ $CNI_COMMAND != ADD ] || echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":"
           "\"10.95.0.10/24\",\"gateway\":\"10.95.0.1\"}]}'\n";
    ::chmod(plugin.c_str(), 0755);
  }
  CniResult<std::string> run_dhcp(const std::string& command) {
    return run({.command = command,
                .version = command == "STATUS" ? "1.1.0" : "1.0.0",
                .body = R"("ipam":{"type":"dhcp","daemonSocketPath":")" + daemon_socket_ + "\"}",
                .more = {{"CNI_PATH", directory_.path().string()}}});
  }
  /// What the agent does with each call is the row's.
  Reply answer(const std::string& method, const std::string& bytes, grpc::StatusCode to_prepare,
               grpc::StatusCode to_complete) {
    const std::string name = method.substr(method.rfind('/') + 1);
    api::AddPodRequest request;
    if (name != "AddPod") {
      note(name);
      return {};
    }
    EXPECT_TRUE(request.ParseFromString(bytes));
    const bool prepares = request.step() == api::ADD_POD_STEP_PREPARE;
    note(prepares ? "prepare" : request.step() == api::ADD_POD_STEP_COMPLETE ? "complete" : "whole");
    EXPECT_EQ(request.delegated_size(), prepares ? 0 : 1);
    const auto status = prepares ? to_prepare : to_complete;
    if (status != grpc::StatusCode::OK) return {grpc::Status(status, "refused"), ""};
    return added(bytes);
  }
  void note(const std::string& what) { std::ofstream(directory_.file("order"), std::ios::app) << what << "\n"; }
  /// What was asked since the last time, with commas between.
  std::string order() {
    std::ifstream file(directory_.file("order"));
    std::string all;
    for (std::string line; std::getline(file, line);) all += (all.empty() ? "" : ", ") + line;
    std::filesystem::remove(directory_.file("order"));
    return all;
  }

  std::string daemon_socket_ = directory_.file("dhcp.sock");
};

TEST_F(DhcpCommands, TheLeaseIsAskedForBetweenTheTwoHalvesOfAnAdd) {
  using grpc::StatusCode;
  struct Row {
    std::string name;
    StatusCode to_prepare, to_complete;
    std::string failing;  // command of the plugin
    int code;             // 0: success
    std::string order;
  };
  const Row rows[] = {
      {"success", StatusCode::OK, StatusCode::OK, "", 0, "prepare, plugin ADD, complete"},
      {"the agent refuses to prepare", StatusCode::ALREADY_EXISTS, StatusCode::OK, "", 101, "prepare"},
      {"no lease", StatusCode::OK, StatusCode::OK, "ADD", 999, "prepare, plugin ADD, plugin DEL, DelPod"},
      {"the agent refuses the lease", StatusCode::OK, StatusCode::ALREADY_EXISTS, "", 101,
       "prepare, plugin ADD, complete, plugin DEL, DelPod"},
      {"and it cannot be given back", StatusCode::OK, StatusCode::ALREADY_EXISTS, "DEL", 101,
       "prepare, plugin ADD, complete, plugin DEL, DelPod"},
      {"the agent may have done it: the rest is for DEL", StatusCode::OK, StatusCode::UNAVAILABLE, "", 11,
       "prepare, plugin ADD, complete"},
  };
  const Row* now = nullptr;
  AgentServer agent(socket_, [&](const std::string& method, const std::string& bytes) {
    return answer(method, bytes, now->to_prepare, now->to_complete);
  });
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    now = &row;
    std::filesystem::remove(daemon_socket_);
    RawPeer daemon(daemon_socket_, [](int) {});
    if (!row.failing.empty()) std::ofstream(directory_.file("fail." + row.failing)) << "";
    const auto result = run_dhcp("ADD");
    if (!row.failing.empty()) std::filesystem::remove(directory_.file("fail." + row.failing));
    EXPECT_EQ(result.ok() ? 0 : static_cast<int>(result.error().code), row.code)
        << (result ? "" : result.error().message);
    EXPECT_EQ(order(), row.order);
    if (result) {
      EXPECT_EQ(json_of(*result)["ips"],
                json_of(R"([{"address":"10.95.0.10/24","gateway":"10.95.0.1","interface":1}])"));
    }
  }
}

TEST_F(DhcpCommands, DelGivesTheLeaseBackFirstAndGoesOnWhenItCannot) {
  AgentServer agent(socket_, [&](const std::string& method, const std::string& bytes) {
    return answer(method, bytes, grpc::StatusCode::OK, grpc::StatusCode::OK);
  });
  EXPECT_TRUE(run_dhcp("DEL").ok());
  EXPECT_EQ(order(), "plugin DEL, DelPod");
  std::ofstream(directory_.file("fail.DEL")) << "";
  EXPECT_TRUE(run_dhcp("DEL").ok()) << "without a daemon a pod can still be deleted";
  EXPECT_EQ(order(), "plugin DEL, DelPod");
}

TEST_F(DhcpCommands, WithoutItsDaemonNothingIsAskedAndStatusSaysSo) {
  api::AgentStatus ready;
  ready.set_ready(true);
  AgentServer agent(socket_, [&](const std::string& method, const auto&) {
    note(method.substr(method.rfind('/') + 1));
    return Reply{{}, ready.SerializeAsString()};
  });
  for (const auto& [command, code, asked] : {std::tuple{"ADD", 11, ""}, std::tuple{"STATUS", 50, "GetStatus"}}) {
    SCOPED_TRACE(command);
    const auto result = run_dhcp(command);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(static_cast<int>(result.error().code), code);
    EXPECT_NE(result.error().message.find(daemon_socket_), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find("ipam.daemonSocketPath"), std::string::npos) << result.error().message;
    EXPECT_EQ(order(), asked);
  }
}

}  // namespace
}  // namespace millrace::cni_shim::testing
