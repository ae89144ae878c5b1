// The program itself, as a runtime starts it: environment, stdin, stdout, exit status.
#include <elf.h>

#include <csignal>
#include <fstream>

#include "cni-shim/child_process.h"
#include "control/api/lite/agent.pb.h"
#include "tests/cni/agent_server.h"
#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

[[maybe_unused]] const auto kIgnoredSigpipe = std::signal(SIGPIPE, SIG_IGN);  // as the program does

/// Set by meson: the program that is delivered.
std::string program() {
  const char* path = std::getenv("MILLRACE_CNI");
  return path == nullptr ? "MILLRACE_CNI is not set" : path;
}

ChildOutcome run(const Variables& variables, std::string_view stdin_text) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  auto outcome = run_child(program(), environment, stdin_text, std::chrono::seconds(20));
  EXPECT_TRUE(outcome.ok()) << (outcome ? "" : outcome.error().message);
  return outcome ? *std::move(outcome) : ChildOutcome{-1, ""};
}

TEST(Program, AnswersTheVersionProbe) {
  const auto outcome = run({{"CNI_COMMAND", "VERSION"},
                            {"CNI_NETNS", "dummy"},
                            {"CNI_IFNAME", "dummy"},
                            {"CNI_PATH", "dummy"},
                            {"CNI_CONTAINERID", ""}},
                           R"({"cniVersion":"1.0.0"})");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(json_of(outcome.output),
            json_of(R"({"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]})"));
}

TEST(Program, PrintsErrorsAsJsonAndFails) {
  struct Row {
    std::string name;
    Variables variables;
    std::string stdin_text;
    int code;
  };
  Variables add = runtime_variables("ADD");
  add["CNI_NETNS"] = "/proc/self/ns/net";
  const std::string no_agent = R"({"cniVersion":"1.0.0","name":"n","agentSocket":"/nonexistent/agent.sock"})";
  const Row rows[] = {
      {"no environment at all", {}, "", 4},
      {"no stdin", add, "", 6},
      {"nesting without an end", add, std::string(500'000, '['), 6},
      {"more than is read", add, std::string(3'000'000, ' '), 6},
      {"a version to come", add, R"({"cniVersion":"9.0.0","name":"n"})", 1},
      {"a name with a path", add, R"({"cniVersion":"1.0.0","name":"../x"})", 7},
      {"no agent", add, no_agent, 11},
      {"no agent for DEL", runtime_variables("DEL"), no_agent, 11},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto outcome = run(row.variables, row.stdin_text);
    EXPECT_NE(outcome.exit_status, 0);
    const Json json = json_of(outcome.output);
    EXPECT_EQ(json["code"], row.code) << outcome.output;
    EXPECT_TRUE(json["msg"].is_string() && json["cniVersion"].is_string());
  }
}

TEST(Program, AddsAndDeletesThroughTheSocket) {
  const TempDirectory directory;
  AgentServer agent(directory.file("agent.sock"), [](const std::string& method, const auto&) {
    api::AddPodReply reply;
    reply.set_host_interface("mrhost0");
    reply.set_host_mac("\x02\x01\x01\x01\x01\x01");
    reply.set_mac("\x02\x02\x02\x02\x02\x02");
    reply.add_addresses("\x0a\xf4\x01\x05");
    return Reply{{}, method.ends_with("AddPod") ? reply.SerializeAsString() : ""};
  });
  const std::string config =
      R"({"cniVersion":"0.4.0","name":"n","agentSocket":")" + directory.file("agent.sock") + "\"}";
  Variables add = runtime_variables("ADD");
  add["CNI_NETNS"] = "/proc/self/ns/net";
  const auto added = run(add, config);
  EXPECT_EQ(added.exit_status, 0) << added.output;
  EXPECT_EQ(json_of(added.output)["ips"], json_of(R"([{"address":"10.244.1.5/32","interface":1,"version":"4"}])"));
  const auto deleted = run(runtime_variables("DEL"), config);
  EXPECT_EQ(deleted.exit_status, 0) << deleted.output;
  EXPECT_EQ(deleted.output, "");
  ASSERT_EQ(agent.seen().size(), 2U);
  EXPECT_EQ(agent.seen()[1].method, "/millrace.api.Agent/DelPod");
}

TEST(Program, IsOneStaticFile) {
  if (std::getenv("MILLRACE_CNI_SHARED") != nullptr) GTEST_SKIP() << "built with a sanitizer";
  std::ifstream file(program(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GE(bytes.size(), sizeof(Elf64_Ehdr));
  Elf64_Ehdr header;
  std::copy_n(bytes.data(), sizeof(header), reinterpret_cast<char*>(&header));
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const std::size_t at = header.e_phoff + static_cast<std::size_t>(i) * sizeof(segment);
    ASSERT_LE(at + sizeof(segment), bytes.size());
    std::copy_n(bytes.data() + at, sizeof(segment), reinterpret_cast<char*>(&segment));
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_INTERP)) << "it asks for a dynamic linker";
  }
}

}  // namespace
}  // namespace millrace::cni_shim::testing
