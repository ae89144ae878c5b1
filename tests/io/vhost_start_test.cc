// The first vhost-user ports of a process, opened by several threads at once, as a switch does that comes back to many
// pods. DPDK 22.11 starts its thread for all guests with the first and does not look whether another is doing so; two
// of them would serve each guest twice, and free its connection twice.
#include <gtest/gtest.h>

#include <barrier>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/io/vhost_rig.h"

namespace millrace::tests {
namespace {

constexpr int kOpeners = 8;

int threads_named(const std::string& name) {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string found;
    std::getline(std::ifstream(task.path() / "comm"), found);
    count += found == name ? 1 : 0;
  }
  return count;
}

TEST(VhostStart, OneThreadServesTheGuestsOfAllPorts) {
  const Directory directory;
  const auto pool = make_pool(4096);
  ASSERT_EQ(threads_named("vhost-events"), 0) << "only the first ports of a process can show it";
  std::vector<std::unique_ptr<VhostPort>> ports(kOpeners);
  {
    std::barrier together(kOpeners);
    std::vector<std::jthread> openers;
    for (int i = 0; i < kOpeners; ++i) {
      openers.emplace_back([&, i] {
        together.arrive_and_wait();
        auto port = VhostPort::open(*pool, {.path = directory.path + "/" + std::to_string(i), .is_client = i % 2 == 1});
        if (port) ports[static_cast<std::size_t>(i)] = *std::move(port);
      });
    }
  }
  for (const auto& port : ports) EXPECT_NE(port, nullptr);
  EXPECT_EQ(threads_named("vhost-events"), 1);
  EXPECT_EQ(threads_named("vhost_reconn"), 1);
}

}  // namespace
}  // namespace millrace::tests
