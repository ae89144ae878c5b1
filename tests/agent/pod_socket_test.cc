// Where a pod's socket lies, and that its directory comes and goes with it.
#include "control/agent/pod_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

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

Attachment with_socket(const std::string& path, bool pod_listens = false) {
  Attachment made;
  made.vhost = VhostSocket{path, {.pod_listens = pod_listens}};
  return made;
}

net::Result<void> make(const std::string& path, bool pod_listens = false) {
  return make_socket_directory({path, {.pod_listens = pod_listens}});
}

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

TEST(PodSocket, directories_come_and_go_with_the_sockets_of_a_pod) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  const std::string one = *pod_socket_path(directory, attachment("u", "eth0"));
  const std::string other = *pod_socket_path(directory, attachment("u", "net1"));
  ASSERT_TRUE(make(one).ok());
  ASSERT_TRUE(make(one).ok()) << "again";
  EXPECT_TRUE(socket_directory_is_there(one));
  EXPECT_FALSE(socket_directory_is_there(other)) << "each has its own";
  ASSERT_TRUE(make(other).ok());
  std::ofstream(one) << "";
  ASSERT_TRUE(remove_pod_socket(one, {with_socket(one), with_socket(other)}).ok());
  EXPECT_FALSE(socket_directory_is_there(one));
  EXPECT_TRUE(socket_directory_is_there(other)) << "who listens there comes yet";
  ASSERT_TRUE(remove_pod_socket(other, {with_socket(other)}).ok());
  EXPECT_FALSE(fs::exists(directory + "/u"));
  EXPECT_TRUE(remove_pod_socket(other, {}).ok()) << "it is repeatable";
}

TEST(PodSocket, who_may_come_to_a_socket_and_who_may_make_it) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  const mode_t before = ::umask(077);
  ASSERT_TRUE(make(directory + "/u/eth0/vhost.sock").ok());
  ASSERT_TRUE(make(directory + "/u/net1/vhost.sock", true).ok());
  ::umask(before);
  EXPECT_EQ(mode_of(directory), 0700u) << "of the node's users root alone";
  EXPECT_EQ(mode_of(directory + "/u"), 0755u);
  EXPECT_EQ(mode_of(directory + "/u/eth0"), 0755u) << "the switch makes it";
  EXPECT_EQ(mode_of(directory + "/u/net1"), 0777u) << "any user of the pod makes it";
  fs::permissions(directory, fs::perms::all);
  ASSERT_TRUE(make(directory + "/u/eth0/vhost.sock").ok());
  EXPECT_EQ(mode_of(directory), 0700u) << "also where it was there";
}

TEST(PodSocket, what_else_a_pod_left_there_goes_with_it) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  const std::string path = directory + "/u/eth0/vhost.sock";
  ASSERT_TRUE(make(path).ok());
  std::ofstream(path) << "";
  std::ofstream(path + ".lock") << "";
  fs::create_directories(directory + "/u/eth0/a/b/c");
  std::ofstream(directory + "/u/eth0/a/b/file") << "";
  fs::create_directories(directory + "/u/own/x");
  ASSERT_TRUE(remove_pod_socket(path, {}).ok());
  EXPECT_TRUE(fs::is_empty(directory));
}

/// More levels than a process may have descriptors open, or a stack frames: neither is used up.
TEST(PodSocket, deep_directories_go) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  ASSERT_TRUE(make(directory + "/u/eth0/vhost.sock").ok());
  int at = ::open((directory + "/u/eth0").c_str(), O_DIRECTORY | O_CLOEXEC);
  for (int level = 0; level < 3000; ++level) {
    ASSERT_EQ(::mkdirat(at, "d", 0700), 0);
    const int next = ::openat(at, "d", O_DIRECTORY | O_CLOEXEC);
    ::close(at);
    at = next;
  }
  ::close(at);
  const auto removed = remove_pod_socket(directory + "/u/eth0/vhost.sock", {});
  ASSERT_TRUE(removed.ok()) << removed.error().message;
  EXPECT_TRUE(fs::is_empty(directory));
}

/// What a container that is root can put there. `victim` is what another pod or the node has.
TEST(PodSocket, links_are_not_followed) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost"), victim = scratch.file("victim");
  fs::create_directories(victim + "/eth0");
  fs::permissions(victim, fs::perms::owner_all);
  std::ofstream(victim + "/vhost.sock") << "";
  std::ofstream(victim + "/eth0/vhost.sock") << "";
  const auto is_whole = [&] {
    return fs::exists(victim + "/vhost.sock") && fs::exists(victim + "/eth0/vhost.sock") && mode_of(victim) == 0700;
  };
  const std::string path = directory + "/u/eth0/vhost.sock";
  ASSERT_TRUE(make(path).ok());

  fs::create_symlink(victim + "/vhost.sock", path);
  fs::create_directory_symlink(victim, directory + "/u/eth0/more");
  ASSERT_TRUE(remove_pod_socket(path, {}).ok()) << "links in the directory";
  EXPECT_TRUE(is_whole());

  fs::create_directory(directory + "/u");
  fs::create_directory_symlink(victim, directory + "/u/eth0");
  const auto refused = make(path);
  ASSERT_FALSE(refused.ok()) << "a link in place of the directory";
  EXPECT_EQ(refused.error().code, net::ErrorCode::kAlreadyExists);
  EXPECT_EQ(refused.error().message, directory + "/u/eth0: is no directory");
  EXPECT_FALSE(socket_directory_is_there(path));
  EXPECT_TRUE(is_whole());
  ASSERT_TRUE(remove_pod_socket(path, {}).ok());
  EXPECT_TRUE(is_whole());
  EXPECT_TRUE(fs::is_empty(directory));
}

TEST(PodSocket, directories_of_no_pod_go) {
  const ScratchDirectory scratch;
  const std::string directory = scratch.file("vhost");
  EXPECT_TRUE(remove_unknown_sockets(directory, {}).ok()) << "there is none yet";
  for (const char* pod : {"kept", "lost", "mr0123456789abc"}) {
    ASSERT_TRUE(make(fmt::format("{}/{}/eth0/vhost.sock", directory, pod)).ok());
  }
  std::ofstream(directory + "/file") << "";
  ASSERT_TRUE(remove_unknown_sockets(directory, {Attachment(), with_socket(directory + "/kept/eth0/vhost.sock")}).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), fs::directory_iterator()), 1);
  EXPECT_TRUE(socket_directory_is_there(directory + "/kept/eth0/vhost.sock"));
}

}  // namespace
}  // namespace millrace::control::agent
