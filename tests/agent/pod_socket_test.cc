// Where a pod's socket lies, and that its directory comes and goes with it.
#include "control/agent/pod_socket.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

namespace fs = std::filesystem;

Attachment attachment(const std::string& uid, const std::string& ifname = "eth0") {
  Attachment made;
  made.key = {"net", "c0ffee", ifname};
  made.host_interface = "mr0123456789abc";
  made.pod_uid = uid;
  return made;
}

TEST(PodSocket, lies_where_a_manifest_can_name_it) {
  struct Row {
    const char* name;
    std::string uid;
    std::string path;
  };
  const Row rows[] = {
      {"of Kubernetes", "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
       "/run/millrace/vhost/3f2504e0-4f89-41d3-9a0c-0305e82c3301/eth0/vhost.sock"},
      {"without a uid", "", "/run/millrace/vhost/mr0123456789abc/eth0/vhost.sock"},
      {"a uid that climbs", "../../etc", "/run/millrace/vhost/mr0123456789abc/eth0/vhost.sock"},
      {"a uid that is a directory", "..", "/run/millrace/vhost/mr0123456789abc/eth0/vhost.sock"},
      {"a uid that is too long", std::string(65, 'a'), "/run/millrace/vhost/mr0123456789abc/eth0/vhost.sock"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto path = pod_socket_path("/run/millrace/vhost", attachment(row.uid));
    ASSERT_TRUE(path.ok());
    EXPECT_EQ(*path, row.path);
  }
}

TEST(PodSocket, a_runtime_directory_that_is_too_long_is_named) {
  const std::string tail = "/mr0123456789abc/eth0/vhost.sock";
  const auto directory = [](std::size_t bytes) { return fmt::format("/{:r>{}}", "", bytes - 1); };
  EXPECT_TRUE(pod_socket_path(directory(kMaxSocketPath - tail.size()), attachment("")).ok());
  const auto refused = pod_socket_path(directory(kMaxSocketPath - tail.size() + 1), attachment(""));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, net::ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().message.substr(0, 12), "runtimeDir: ");
  EXPECT_NE(refused.error().message.find("108 bytes; allowed: at most 107"), std::string::npos);
}

TEST(PodSocket, directories_come_and_go_with_the_sockets_of_a_pod) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  const std::string one = *pod_socket_path(directory, attachment("u", "eth0"));
  const std::string other = *pod_socket_path(directory, attachment("u", "net1"));
  ASSERT_TRUE(make_socket_directory(one).ok());
  ASSERT_TRUE(make_socket_directory(one).ok()) << "again";
  EXPECT_TRUE(socket_directory_is_there(one));
  EXPECT_FALSE(socket_directory_is_there(other)) << "each has its own";
  ASSERT_TRUE(make_socket_directory(other).ok());
  std::ofstream(one) << "";
  ASSERT_TRUE(remove_pod_socket(one).ok());
  EXPECT_FALSE(socket_directory_is_there(one));
  EXPECT_TRUE(socket_directory_is_there(other)) << "who listens there comes yet";
  ASSERT_TRUE(remove_pod_socket(other).ok());
  EXPECT_FALSE(fs::exists(directory + "/u"));
  EXPECT_TRUE(remove_pod_socket(other).ok()) << "it is repeatable";
}

TEST(PodSocket, what_else_a_pod_left_there_is_no_error) {
  const ScratchDirectory scratch;
  const std::string path = *pod_socket_path(scratch.file("vhost"), attachment("u"));
  ASSERT_TRUE(make_socket_directory(path).ok());
  std::ofstream(path) << "";
  std::ofstream(path + ".lock") << "";
  EXPECT_TRUE(remove_pod_socket(path).ok());
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace millrace::control::agent
