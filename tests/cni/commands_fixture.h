/// The commands under test, run in this process with an agent the test answers for.
#pragma once

#include "cni-shim/commands.h"
#include "control/api/lite/agent.pb.h"
#include "tests/cni/agent_server.h"
#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {

inline constexpr const char* kNetns = "/proc/self/ns/net";

inline std::string bytes_of(const std::string& address) {
  const auto parsed = *net::IpAddress::parse(address);
  return {reinterpret_cast<const char*>(parsed.raw().data()), parsed.raw().size()};
}

/// What the agent answers to AddPod: the delegated addresses, else one of its own.
inline Reply added(const std::string& bytes) {
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

}  // namespace millrace::cni_shim::testing
