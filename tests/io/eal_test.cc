// Starting DPDK with and without hugepages, each in a process of its own: DPDK starts once a process.
#include "datapath/io/eal.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "datapath/io/mbuf_pool.h"

namespace millrace::datapath::io {
namespace {

constexpr MbufPoolOptions kPool{.count = 8192, .data_room_bytes = 1600, .numa_node = -1};
const std::string kPages2M = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

std::uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  file >> value;
  return value;
}

/// A child process that runs `body`; what it writes with say() is what the test reads.
class Child {
 public:
  explicit Child(const std::function<void(const Child&)>& body) {
    if (::pipe(pipe_) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ != 0) {
      ::close(pipe_[1]);
      return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    body(*this);
    ::_exit(0);
  }
  ~Child() { end(); }

  void say(const std::string& line) const {
    const std::string text = line + "\n";
    if (::write(pipe_[1], text.data(), text.size()) < 0) ::_exit(1);
  }
  /// The child's next line; "" when it ended.
  std::string hear() {
    std::string line;
    for (char c; ::read(pipe_[0], &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(pipe_[0]);
    pid_ = 0;
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t pid_ = 0;
};

/// Starts DPDK and uses every packet of a pool; returns what a person would read.
std::string start_and_use(HugepageChoice choice) {
  cpu_set_t before, after;
  ::sched_getaffinity(0, sizeof before, &before);
  const auto info = start_eal({.hugepages = choice, .memory_bytes = MbufPool::memory_bytes(kPool), .numa_node = -1});
  if (!info) return info.error().message;
  ::sched_getaffinity(0, sizeof after, &after);
  if (CPU_EQUAL(&before, &after) == 0) return "start_eal moved the calling thread";
  auto pool = MbufPool::create(kPool);
  if (!pool) return pool.error().message;
  std::uint32_t taken = 0;
  for (; net::Packet* packet = (*pool)->allocate(); ++taken) packet->data[0] = 1;
  return taken == kPool.count ? info->memory : "only " + std::to_string(taken) + " packets";
}

void start_and_stay(const Child& self, HugepageChoice choice) {
  self.say(start_and_use(choice));
  ::pause();
}

/// May this process raise the limit of surplus pages, and is there memory for them?
bool can_make_hugepages() {
  return ::geteuid() == 0 && ::access((kPages2M + "nr_overcommit_hugepages").c_str(), W_OK) == 0;
}

TEST(Eal, RunsWithoutHugepages) {
  Child child([](const Child& self) { start_and_stay(self, HugepageChoice::kOff); });
  EXPECT_EQ(child.hear(), "4K pages (no hugepages: switched off)");
}

TEST(Eal, MakesHugepagesAndLeavesNothingBehindWhenKilled) {
  if (!can_make_hugepages()) GTEST_SKIP() << "needs root and a writable /sys/kernel/mm/hugepages";
  const std::uint64_t limit = number_in(kPages2M + "nr_overcommit_hugepages");
  const std::uint64_t pages = number_in(kPages2M + "nr_hugepages");
  const std::uint64_t free_pages = number_in(kPages2M + "free_hugepages");
  Child child([](const Child& self) { start_and_stay(self, HugepageChoice::k2M); });
  EXPECT_EQ(child.hear(), "2M hugepages");
  EXPECT_EQ(number_in(kPages2M + "nr_overcommit_hugepages"), limit)
      << "the limit is raised only while pages are mapped";
  child.end();
  EXPECT_EQ(number_in(kPages2M + "nr_hugepages"), pages);
  EXPECT_EQ(number_in(kPages2M + "free_hugepages"), free_pages);
}

TEST(Eal, TwoInstancesHaveTheirOwnMemory) {
  if (!can_make_hugepages()) GTEST_SKIP() << "needs root and a writable /sys/kernel/mm/hugepages";
  // Both at the same moment: what one raises the limit by, the other must not take.
  Child one([](const Child& self) { start_and_stay(self, HugepageChoice::k2M); });
  Child two([](const Child& self) { start_and_stay(self, HugepageChoice::k2M); });
  EXPECT_EQ(one.hear(), "2M hugepages");
  EXPECT_EQ(two.hear(), "2M hugepages");
}

TEST(Eal, SaysWhyItHasNoHugepages) {
  Child child([](const Child& self) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return self.say("cannot give up root");
    start_and_stay(self, HugepageChoice::k1G);
  });
  const std::string said = child.hear();
  if (said == "1G hugepages") GTEST_SKIP() << "this machine has free 1G pages";
  EXPECT_EQ(said.rfind("4K pages (no hugepages: ", 0), 0u) << said;
  EXPECT_NE(said.find("1G"), std::string::npos) << said;
}

}  // namespace
}  // namespace millrace::datapath::io
