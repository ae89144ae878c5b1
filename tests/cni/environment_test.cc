// The environment as runtimes set it, and as nobody should.
#include "cni-shim/environment.h"

#include "tests/cni/support.h"

namespace millrace::cni_shim::testing {
namespace {

Variables without(Variables variables, std::string_view name) {
  variables.erase(variables.find(name));
  return variables;
}

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(Environment, AcceptsWhatRuntimesSet) {
  struct Row {
    std::string name;
    Variables variables;
    Command command;
    std::string container_id, netns;
  };
  const Row rows[] = {
      {"ADD", runtime_variables("ADD"), Command::kAdd, "c1", "/run/netns/c1"},
      {"CHECK", runtime_variables("CHECK"), Command::kCheck, "c1", "/run/netns/c1"},
      {"DEL", runtime_variables("DEL"), Command::kDel, "c1", "/run/netns/c1"},
      {"DEL of a second StopPodSandbox: empty netns", with(runtime_variables("DEL"), "CNI_NETNS", ""), Command::kDel,
       "c1", ""},
      {"DEL of ctr: no netns", without(runtime_variables("DEL"), "CNI_NETNS"), Command::kDel, "c1", ""},
      {"ADD of ctr: a process's namespace", with(runtime_variables("ADD"), "CNI_NETNS", "/proc/4711/ns/net"),
       Command::kAdd, "c1", "/proc/4711/ns/net"},
      {"GC", {{"CNI_COMMAND", "GC"}, {"CNI_PATH", "/opt/cni/bin"}}, Command::kGc, "", ""},
      {"STATUS needs nothing more", {{"CNI_COMMAND", "STATUS"}}, Command::kStatus, "", ""},
      {"VERSION probe of libcni",
       {{"CNI_COMMAND", "VERSION"},
        {"CNI_CONTAINERID", ""},
        {"CNI_NETNS", "dummy"},
        {"CNI_IFNAME", "dummy"},
        {"CNI_PATH", "dummy"}},
       Command::kVersion,
       "",
       ""},
      {"container id of 64 hex digits", with(runtime_variables("ADD"), "CNI_CONTAINERID", std::string(64, 'a')),
       Command::kAdd, std::string(64, 'a'), "/run/netns/c1"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto environment = parse_environment(lookup_in(row.variables));
    ASSERT_TRUE(environment.ok()) << environment.error().message;
    EXPECT_EQ(environment->command, row.command);
    EXPECT_EQ(environment->container_id, row.container_id);
    EXPECT_EQ(environment->netns, row.netns);
  }
}

TEST(Environment, RefusesAndNamesTheVariable) {
  const Variables add = runtime_variables("ADD");
  struct Row {
    std::string name;
    Variables variables;
    std::string message;
  };
  const Row rows[] = {
      {"nothing", {}, "CNI_COMMAND"},
      {"an unknown command", with(add, "CNI_COMMAND", "EXPLODE"), "CNI_COMMAND is \"EXPLODE\""},
      {"a command in small letters", with(add, "CNI_COMMAND", "add"), "CNI_COMMAND"},
      {"all that is missing, at once", {{"CNI_COMMAND", "ADD"}}, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH"},
      {"ADD without a netns", with(add, "CNI_NETNS", ""), "CNI_NETNS must be set for ADD"},
      {"GC without a path", {{"CNI_COMMAND", "GC"}}, "CNI_PATH must be set for GC"},
      {"a container id with a path", with(add, "CNI_CONTAINERID", "a/b"), "CNI_CONTAINERID"},
      {"a container id with a dot first", with(add, "CNI_CONTAINERID", ".a"), "CNI_CONTAINERID"},
      {"a container id beyond the limit", with(add, "CNI_CONTAINERID", std::string(254, 'a')), "253"},
      {"an interface of 16 bytes", with(add, "CNI_IFNAME", "abcdefghijklmnop"), "CNI_IFNAME"},
      {"an interface .", with(add, "CNI_IFNAME", "."), "CNI_IFNAME"},
      {"an interface ..", with(add, "CNI_IFNAME", ".."), "CNI_IFNAME"},
      {"an interface with a slash", with(add, "CNI_IFNAME", "a/b"), "CNI_IFNAME"},
      {"an interface with a colon", with(add, "CNI_IFNAME", "eth0:1"), "CNI_IFNAME"},
      {"an interface with a space", with(add, "CNI_IFNAME", "eth 0"), "CNI_IFNAME"},
      {"an interface with a line feed", with(add, "CNI_IFNAME", "eth0\n"), "CNI_IFNAME"},
      {"an interface that is no UTF-8", with(add, "CNI_IFNAME", "\xff\xfe"), "\\xff\\xfe"},
      {"a relative netns", with(add, "CNI_NETNS", "netns/c1"), "CNI_NETNS"},
      {"a netns that is no UTF-8", with(add, "CNI_NETNS", "/run/\xc0\xaf"), "CNI_NETNS"},
      {"a netns beyond PATH_MAX", with(add, "CNI_NETNS", "/" + std::string(4096, 'a')), "CNI_NETNS"},
      {"a path beyond the limit", with(add, "CNI_PATH", std::string(kMaxVariableBytes + 1, 'a')), "CNI_PATH"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto environment = parse_environment(lookup_in(row.variables));
    ASSERT_FALSE(environment.ok());
    EXPECT_EQ(environment.error().code, CniCode::kInvalidEnvironment);
    EXPECT_NE(environment.error().message.find(row.message), std::string::npos) << environment.error().message;
    EXPECT_LT(environment.error().message.size(), 500U) << "an error echoes no more than a little of what came in";
  }
}

}  // namespace
}  // namespace millrace::cni_shim::testing
