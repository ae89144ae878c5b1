/// What agent tests need of the system: a directory and a network namespace of their own, gone at the end.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace millrace::control::agent {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "agent-test-XXXXXX";
    const char* made = mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  std::string path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// A pod's network namespace: bound to a file, as container runtimes do it.
class ScratchNetns {
 public:
  explicit ScratchNetns(const std::string& path) : path_(path) {
    std::ofstream(path_).flush();
    std::thread([this] {
      made_ = unshare(CLONE_NEWNET) == 0 && mount(("/proc/self/task/" + std::to_string(gettid()) + "/ns/net").c_str(),
                                                  path_.c_str(), nullptr, MS_BIND, nullptr) == 0;
    }).join();
  }
  ~ScratchNetns() { remove(); }
  ScratchNetns(const ScratchNetns&) = delete;
  ScratchNetns& operator=(const ScratchNetns&) = delete;
  bool made() const { return made_; }
  const std::string& path() const { return path_; }
  void remove() {
    if (made_) umount2(path_.c_str(), MNT_DETACH);
    unlink(path_.c_str());
    made_ = false;
  }

 private:
  std::string path_;
  bool made_ = false;
};

/// Puts the calling process into a network namespace of its own, so that a test's host side is not the machine's.
/// False without the right to.
inline bool enter_private_netns() { return unshare(CLONE_NEWNET) == 0; }

}  // namespace millrace::control::agent
