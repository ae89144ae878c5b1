// The file for BIRD, judged by BIRD's own parser where it is installed. That BIRD announces it is
// tests/system/test_bird.py's.
#include "control/agent/bird_export.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/agent/bird_control.h"
#include "tests/agent/scratch.h"

namespace millrace::control::agent {
namespace {

net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

ino_t inode_of(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

TEST(BirdConfig, hasTheBlocksAsRoutesOfTablesOfTheirOwn) {
  EXPECT_EQ(
      bird_config("node-1", {prefix("10.244.1.0/24"), prefix("10.244.7.0/24"), prefix("fd00:10:244::100/120")}),
      "# Made by millrace-agent of node node-1, which replaces it when the node's blocks of pods' addresses change.\n"
      "\n"
      "ipv4 table millrace4;\n"
      "protocol static millrace_blocks4 {\n"
      "  ipv4 { table millrace4; };\n"
      "  route 10.244.1.0/24 blackhole;\n"
      "  route 10.244.7.0/24 blackhole;\n"
      "}\n"
      "\n"
      "ipv6 table millrace6;\n"
      "protocol static millrace_blocks6 {\n"
      "  ipv6 { table millrace6; };\n"
      "  route fd00:10:244::100/120 blackhole;\n"
      "}\n");
}

TEST(BirdConfig, isWhatBirdTakes) {
  if (!std::filesystem::exists("/usr/sbin/bird")) GTEST_SKIP() << "needs bird2";
  ScratchDirectory directory;
  for (const auto& blocks : {std::set<net::Prefix>{}, {prefix("10.244.1.0/24"), prefix("fd00:10:244::100/120")}}) {
    ASSERT_TRUE(replace_file(directory.file("millrace.conf"), bird_config("node-1", blocks)).ok());
    std::ofstream(directory.file("bird.conf"))
        << "router id 192.0.2.1;\nprotocol device {}\ninclude \"" << directory.file("millrace.conf") << "\";\n";
    EXPECT_EQ(std::system(("/usr/sbin/bird -p -c " + directory.file("bird.conf")).c_str()), 0) << blocks.size();
  }
}

TEST(ReplaceFile, touchesOnlyWhatDiffersAndLeavesNothingAside) {
  ScratchDirectory directory;
  const std::string path = directory.file("file");
  auto replaced = replace_file(path, "one");
  ASSERT_TRUE(replaced.ok()) << replaced.error().message;
  EXPECT_TRUE(*replaced);
  const ino_t inode = inode_of(path);
  EXPECT_FALSE(*replace_file(path, "one"));
  EXPECT_EQ(inode_of(path), inode) << "not even written again";
  EXPECT_TRUE(*replace_file(path, "two"));
  EXPECT_NE(inode_of(path), inode) << "a new file in its place: no reader sees a half";
  EXPECT_EQ(text_of(path), "two");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(ReplaceFile, saysWhatCannotBeWritten) {
  ScratchDirectory directory;
  auto replaced = replace_file(directory.file("not/there"), "one");
  ASSERT_FALSE(replaced.ok());
  EXPECT_NE(replaced.error().message.find("not/there.new: No such file or directory"), std::string::npos)
      << replaced.error().message;
}

TEST(BirdControl, aBirdThatIsAwayIsUnavailable) {
  ScratchDirectory directory;
  auto told = tell_bird_to_configure(directory.file("bird.ctl"), std::chrono::milliseconds(100));
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().code, net::ErrorCode::kUnavailable);
  EXPECT_NE(told.error().message.find("bird.ctl: No such file or directory"), std::string::npos)
      << told.error().message;
}

}  // namespace
}  // namespace millrace::control::agent
