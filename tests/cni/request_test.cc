// Network configurations on stdin: those of real callers, and the errors of bad ones.
#include "cni-shim/request.h"

#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

/// What containerd 1.6.20 wrote to stdin: Go's capital letters in runtimeConfig, and libcni's capabilities left in.
constexpr std::string_view kContainerd = R"({"agentSocket":"/run/m/agent.sock","capabilities":{"bandwidth":true,
  "dns":true,"portMappings":true},"cniVersion":"1.0.0","mtu":1400,"name":"millrace","runtimeConfig":{
  "bandwidth":{"BurstIngress":1000,"IngressRate":1000},"dns":{"Options":["ndots:5"],"Searches":["default.svc"],
  "Servers":["10.96.0.10"]},"portMappings":[{"ContainerPort":80,"HostIP":"","HostPort":18080,"Protocol":"tcp"}]},
  "type":"millrace-cni"})";

constexpr std::string_view kPodman = R"({"cniVersion":"0.4.0","ipMasq":true,"name":"podman","runtimeConfig":{
  "aliases":{"podman":["box"]},"ips":["10.88.0.9"],"mac":"02:11:22:33:44:55"},"type":"millrace-cni"})";

TEST(Request, ReadsContainerdsConfiguration) {
  const auto request = parse(runtime_variables("ADD"), kContainerd);
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  const NetworkConfig& config = request->config;
  EXPECT_EQ(request->cni_version, "1.0.0");
  EXPECT_EQ(config.version, SpecVersion::k1_0_0);
  EXPECT_EQ(config.name, "millrace");
  EXPECT_EQ(config.agent_socket, "/run/m/agent.sock");
  EXPECT_EQ(config.mtu, 1400U);
  EXPECT_EQ(config.dns.nameservers, std::vector<std::string>{"10.96.0.10"});
  EXPECT_EQ(config.dns.search, std::vector<std::string>{"default.svc"});
  EXPECT_EQ(config.dns.options, std::vector<std::string>{"ndots:5"});
  EXPECT_TRUE(config.ipam_plugin.empty());
}

TEST(Request, ReadsPodmansWishes) {
  const auto request = parse(runtime_variables("ADD"), kPodman);
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  ASSERT_EQ(request->config.addresses.size(), 1U);
  EXPECT_EQ(request->config.addresses[0].to_string(), "10.88.0.9");
  ASSERT_TRUE(request->config.mac);
  EXPECT_EQ(request->config.mac->to_string(), "02:11:22:33:44:55");
  EXPECT_EQ(request->config.agent_socket, kDefaultAgentSocket);
}

TEST(Request, ReadsThePortFromThePodsAnnotations) {
  const auto with = [](const std::string& annotations) {
    return parse(runtime_variables("ADD"), R"({"cniVersion":"1.0.0","name":"n","runtimeConfig":
        {"io.kubernetes.cri.pod-annotations":)" +
                                               annotations + "}}");
  };
  const auto request = with(R"({"example.com/x":"vhost-user","millrace.io/port-type":"vhost-user",
                                "millrace.io/vhost-listener":"pod","millrace.io/vhost-queues":"2"})");
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  EXPECT_EQ(request->config.port.type, PortType::kVhostUser);
  EXPECT_TRUE(request->config.port.pod_listens);
  EXPECT_EQ(request->config.port.queue_pairs, 2U);
  EXPECT_EQ(with("null")->config.port.type, PortType::kUnspecified);
  const auto refused = with(R"({"millrace.io/port-type":"sriov"})");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().error.code, CniCode::kInvalidConfig);
  EXPECT_NE(refused.error().error.message.find("millrace.io/port-type is "), std::string::npos);
  EXPECT_NE(refused.error().error.message.find("allowed: kernel vhost-user"), std::string::npos);
}

TEST(Request, RuntimeConfigComesBeforeArgsOfTheConfiguration) {
  const auto request = parse(runtime_variables("ADD"), R"({"cniVersion":"1.0.0","name":"n",
    "args":{"cni":{"ips":["10.0.0.1"],"mac":"02:00:00:00:00:01"}},"runtimeConfig":{"ips":["10.0.0.2/24"]}})");
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  ASSERT_EQ(request->config.addresses.size(), 1U);
  EXPECT_EQ(request->config.addresses[0].to_string(), "10.0.0.2");
  EXPECT_EQ(request->config.mac->to_string(), "02:00:00:00:00:01");
}

TEST(Request, KeysAreMatchedWithoutCaseAndTheExactOneFirst) {
  const auto request =
      parse(runtime_variables("ADD"),
            R"({"CNIVERSION":"1.1.0","Name":"other","name":"net","IPAM":{"Type":"host-local"},"MTU":9000})");
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  EXPECT_EQ(request->config.name, "net");
  EXPECT_EQ(request->config.ipam_plugin, "host-local");
  EXPECT_EQ(request->config.mtu, 9000U);
}

TEST(Request, IpamIsBuiltInWhenAbsentEmptyOrOurs) {
  for (const std::string ipam :
       {"null", "{}", R"({"type":""})", R"({"type":"millrace"})", R"({"type":"millrace-cni"})"}) {
    SCOPED_TRACE(ipam);
    const auto request = parse(runtime_variables("ADD"), R"({"cniVersion":"1.0.0","name":"n","ipam":)" + ipam + "}");
    ASSERT_TRUE(request.ok()) << request.error().error.message;
    EXPECT_TRUE(request->config.ipam_plugin.empty());
  }
}

struct Refused {
  std::string name, command, stdin_text;
  CniCode code;
  std::string message;
  std::string cni_version = "1.1.0";
};

/// `body` follows cniVersion and name.
std::string config(const std::string& version, const std::string& body) {
  return R"({"cniVersion":")" + version + R"(","name":"n")" + (body.empty() ? "" : ",") + body + "}";
}

const Refused kRefused[] = {
    {"nothing", "ADD", "", CniCode::kDecodeFailure, "stdin is not JSON at byte"},
    {"no JSON", "ADD", "{{{{", CniCode::kDecodeFailure, "at byte 2"},
    {"a list", "ADD", "[]", CniCode::kInvalidConfig, "object"},
    {"text behind the object", "ADD", "{} x", CniCode::kDecodeFailure, "at byte"},
    {"a NUL", "ADD", std::string("{\0}", 3), CniCode::kDecodeFailure, "at byte 2"},
    {"a name that is no UTF-8", "ADD", "{\"name\":\"\xff\"}", CniCode::kDecodeFailure, "at byte"},
    {"nesting without an end", "ADD", std::string(100'000, '['), CniCode::kDecodeFailure, "deeper than 64"},
    {"1 MiB and one byte", "ADD", std::string(kMaxJsonBytes + 1, ' '), CniCode::kDecodeFailure, "1048576"},
    {"no version", "ADD", R"({"name":"n"})", CniCode::kIncompatibleVersion, "cniVersion is missing"},
    {"a version to come", "ADD", config("2.0.0", ""), CniCode::kIncompatibleVersion, "\"2.0.0\""},
    {"an old version", "ADD", config("0.2.0", ""), CniCode::kIncompatibleVersion, "0.3.1 0.4.0 1.0.0 1.1.0"},
    {"CHECK before 0.4.0", "CHECK", config("0.3.1", ""), CniCode::kIncompatibleVersion, "CHECK", "0.3.1"},
    {"GC before 1.1.0", "GC", config("1.0.0", ""), CniCode::kIncompatibleVersion, "GC", "1.0.0"},
    {"STATUS before 1.1.0", "STATUS", config("1.0.0", ""), CniCode::kIncompatibleVersion, "STATUS", "1.0.0"},
    {"no name", "ADD", R"({"cniVersion":"0.4.0"})", CniCode::kInvalidConfig, "name", "0.4.0"},
    {"a name with a path", "ADD", R"({"cniVersion":"1.0.0","name":"../../etc"})", CniCode::kInvalidConfig, "name",
     "1.0.0"},
    {"mtu a string", "ADD", config("1.0.0", R"("mtu":"big")"), CniCode::kInvalidConfig, "mtu", "1.0.0"},
    {"mtu negative", "ADD", config("1.0.0", R"("mtu":-1)"), CniCode::kInvalidConfig, "mtu", "1.0.0"},
    {"mtu with a fraction", "ADD", config("1.0.0", R"("mtu":1400.5)"), CniCode::kInvalidConfig, "mtu", "1.0.0"},
    {"mtu beyond 16 bits", "ADD", config("1.0.0", R"("mtu":65536)"), CniCode::kInvalidConfig, "0..65535", "1.0.0"},
    {"ipam a string", "ADD", config("1.0.0", R"("ipam":"host-local")"), CniCode::kInvalidConfig, "ipam", "1.0.0"},
    {"ipam with a path", "ADD", config("1.0.0", R"("ipam":{"type":"../sh"})"), CniCode::kInvalidConfig, "ipam.type",
     "1.0.0"},
    {"ipam with a NUL", "ADD", config("1.0.0", R"("ipam":{"type":"a\u0000b"})"), CniCode::kInvalidConfig, "ipam.type",
     "1.0.0"},
    {"ipam type a number", "DEL", config("1.0.0", R"("ipam":{"type":1})"), CniCode::kInvalidConfig, "ipam.type",
     "1.0.0"},
    {"a relative socket", "ADD", config("1.0.0", R"("agentSocket":"agent.sock")"), CniCode::kInvalidConfig,
     "agentSocket", "1.0.0"},
    {"a relative socket of the DHCP daemon", "ADD",
     config("1.0.0", R"("ipam":{"type":"dhcp","daemonSocketPath":"dhcp.sock"})"), CniCode::kInvalidConfig,
     "ipam.daemonSocketPath", "1.0.0"},
    {"a socket path of 108 bytes", "ADD", config("1.0.0", "\"agentSocket\":\"/" + std::string(107, 'a') + "\""),
     CniCode::kInvalidConfig, "107", "1.0.0"},
    {"dns a list", "ADD", config("1.0.0", R"("dns":[])"), CniCode::kInvalidConfig, "dns", "1.0.0"},
    {"a nameserver that is no string", "ADD", config("1.0.0", R"("dns":{"nameservers":[1]})"), CniCode::kInvalidConfig,
     "dns.nameservers", "1.0.0"},
    {"runtimeConfig a list", "ADD", config("1.0.0", R"("runtimeConfig":[])"), CniCode::kInvalidConfig, "runtimeConfig",
     "1.0.0"},
    {"a wish that is no address", "ADD", config("1.0.0", R"("runtimeConfig":{"ips":["x"]})"), CniCode::kInvalidConfig,
     "runtimeConfig.ips", "1.0.0"},
    {"a wish that is no MAC", "ADD", config("1.0.0", R"("runtimeConfig":{"mac":"x"})"), CniCode::kInvalidConfig,
     "runtimeConfig.mac", "1.0.0"},
    {"prevResult a string", "ADD", config("1.0.0", R"("prevResult":"x")"), CniCode::kInvalidConfig, "prevResult",
     "1.0.0"},
    {"prevResult with interfaces that are no list", "ADD", config("1.0.0", R"("prevResult":{"interfaces":{}})"),
     CniCode::kInvalidConfig, "prevResult.interfaces", "1.0.0"},
    {"GC without the list", "GC", config("1.1.0", ""), CniCode::kInvalidConfig, "cni.dev/valid-attachments"},
    {"GC with a list of strings", "GC", config("1.1.0", R"("cni.dev/valid-attachments":["a"])"),
     CniCode::kInvalidConfig, "containerID"},
};

TEST(Request, RefusesWithTheCodeOfTheSpecificationAndNamesTheKey) {
  for (const Refused& row : kRefused) {
    SCOPED_TRACE(row.name);
    const auto request = parse(runtime_variables(row.command), row.stdin_text);
    ASSERT_FALSE(request.ok());
    const Refusal& refusal = request.error();
    EXPECT_EQ(refusal.error.code, row.code) << refusal.error.message;
    EXPECT_NE(refusal.error.message.find(row.message), std::string::npos) << refusal.error.message;
    EXPECT_EQ(refusal.cni_version, row.cni_version);
    EXPECT_LT(refusal.error.message.size(), 600U);
  }
}

TEST(Request, DelReadsNoMoreThanItNeeds) {
  auto variables = runtime_variables("DEL");
  variables["CNI_ARGS"] = "nonsense";
  const auto request = parse(variables, R"({"cniVersion":"1.0.0","name":"n","mtu":"big","prevResult":5,"dns":7})");
  ASSERT_TRUE(request.ok()) << request.error().error.message;
  EXPECT_EQ(request->config.name, "n");
}

TEST(Request, NestingUpToTheLimitIsRead) {
  const std::string deep = std::string(kMaxJsonDepth - 1, '[') + std::string(kMaxJsonDepth - 1, ']');
  EXPECT_TRUE(parse(runtime_variables("ADD"), config("1.0.0", "\"x\":" + deep)).ok());
  EXPECT_FALSE(parse(runtime_variables("ADD"), config("1.0.0", "\"x\":[" + deep + "]")).ok());
}

TEST(Request, GcReadsItsListUnderBothKeysAndTakesNullForEmpty) {
  struct Row {
    std::string body;
    std::size_t count;
  };
  const Row rows[] = {
      {R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"},{"containerID":"b","ifname":"eth1"}])", 2},
      {R"("cni.dev/attachments":[{"containerID":"a","ifname":"eth0"}])", 1},
      {R"("cni.dev/valid-attachments":null)", 0},
      {R"("cni.dev/valid-attachments":[])", 0},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.body);
    const auto request = parse(runtime_variables("GC"), config("1.1.0", row.body));
    ASSERT_TRUE(request.ok()) << request.error().error.message;
    EXPECT_EQ(request->config.valid_attachments.size(), row.count);
  }
}

TEST(Request, VersionEchoesWhatItWasAskedWith) {
  const Variables probe = {{"CNI_COMMAND", "VERSION"}, {"CNI_IFNAME", "dummy"}};
  const std::pair<std::string, std::string> rows[] = {{R"({"cniVersion":"0.4.0"})", "0.4.0"},
                                                      {R"({"cniVersion":"7.0.0"})", "7.0.0"},
                                                      {"", "1.1.0"},
                                                      {"\n", "1.1.0"},
                                                      {"{}", "1.1.0"},
                                                      {R"({"cniVersion":5})", "1.1.0"}};
  for (const auto& [text, version] : rows) {
    SCOPED_TRACE(text);
    const auto request = parse(probe, text);
    ASSERT_TRUE(request.ok()) << request.error().error.message;
    EXPECT_EQ(request->cni_version, version);
  }
  EXPECT_FALSE(parse(probe, "{").ok());
}

TEST(ErrorRendering, IsJsonWhateverTheMessageHolds) {
  const std::string messages[] = {"plain", "quote \" backslash \\", "line\nfeed", "\xff\xfe not UTF-8",
                                  std::string("\0", 1)};
  for (const std::string& message : messages) {
    const std::string text = render_error({CniCode::kExhausted, message, "details"}, "1.0.0");
    EXPECT_EQ(text.back(), '\n');
    const Json json = json_of(text);
    EXPECT_EQ(json["cniVersion"], "1.0.0");
    EXPECT_EQ(json["code"], 100);
    EXPECT_TRUE(json["msg"].is_string());
    EXPECT_EQ(json["details"], "details");
  }
  EXPECT_EQ(json_of(render_error({CniCode::kExhausted, "plain", ""}, "1.0.0")).count("details"), 0U);
}

}  // namespace
}  // namespace millrace::cni_shim::testing
