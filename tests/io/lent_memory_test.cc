// What happens to an access to memory that was lent and taken back, and to one that was not.
#include "datapath/io/lent_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <barrier>
#include <csetjmp>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace millrace::tests {
namespace {

using datapath::io::LentMemory;

struct Owner final : LentMemory::Owner {
  void lose_memory() noexcept override { losses.fetch_add(1); }
  std::atomic<int> losses{0};
};

constexpr std::size_t kPageBytes = 2 << 20;  // of a hugepage; of others it is many
constexpr std::size_t kBytes = 4 * kPageBytes;

constexpr unsigned kHuge2M = 21u << 26;  // MFD_HUGE_2MB of linux/memfd.h

/// A mapping of a file that has nothing in it. That takes no hugepage where pages are huge.
class Emptied {
 public:
  explicit Emptied(bool is_huge) {
    const int file = ::memfd_create("emptied", MFD_CLOEXEC | (is_huge ? MFD_HUGETLB | kHuge2M : 0u));
    memory_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (file < 0 || memory_ == MAP_FAILED || ::ftruncate(file, 0) != 0) throw std::runtime_error("memfd");
    ::close(file);
  }
  ~Emptied() { ::munmap(memory_, kBytes); }
  Emptied(const Emptied&) = delete;
  Emptied& operator=(const Emptied&) = delete;
  volatile int& at(std::size_t offset) { return *reinterpret_cast<int*>(static_cast<std::byte*>(memory_) + offset); }
  LentMemory::Region region() const { return {reinterpret_cast<std::uintptr_t>(memory_), kBytes}; }

 private:
  void* memory_ = nullptr;
};

class LentMemoryTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    ASSERT_TRUE(LentMemory::watch());
    ASSERT_TRUE(lent_.has_entry());
  }
  Owner owner_;
  LentMemory lent_{owner_};
  Emptied emptied_{GetParam()};
};

TEST_P(LentMemoryTest, AllOfARegionIsZerosAfterOneAccess) {
  const std::array regions{emptied_.region()};
  lent_.settle(regions);
  EXPECT_EQ(emptied_.at(kPageBytes + 100), 0);
  EXPECT_EQ(owner_.losses, 1);
  for (std::size_t offset = 0; offset < kBytes; offset += 4096) {
    EXPECT_EQ(emptied_.at(offset), 0);
    emptied_.at(offset) = 7;
  }
  EXPECT_EQ(owner_.losses, 1);
  EXPECT_EQ(emptied_.at(kPageBytes), 7);
}

TEST_P(LentMemoryTest, WhileRegionsChangeItIsAPageAtATime) {
  lent_.begin_change();
  emptied_.at(kPageBytes + 100) = 7;  // of no region that is known
  EXPECT_EQ(owner_.losses, 1);
  EXPECT_EQ(emptied_.at(kPageBytes + 100), 7);
  EXPECT_EQ(owner_.losses, 1);
  EXPECT_EQ(emptied_.at(3 * kPageBytes), 0);
  EXPECT_EQ(owner_.losses, 2);
  EXPECT_EQ(emptied_.at(kPageBytes + 100), 7) << "what was mapped before stays";
}

TEST_P(LentMemoryTest, SeveralThreadsFindOutAtOnce) {
  constexpr int kThreads = 8;
  const std::array regions{emptied_.region()};
  lent_.settle(regions);
  std::barrier together(kThreads);
  std::atomic<int> sum{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        together.arrive_and_wait();
        sum += emptied_.at(static_cast<std::size_t>(i) * 4096);
      });
    }
  }
  EXPECT_EQ(sum, 0);
  EXPECT_GE(owner_.losses, 1);
}

TEST_P(LentMemoryTest, TheOtherGuestsAreNotTold) {
  Owner other;
  LentMemory lent_by_other(other);
  const Emptied far(GetParam());
  const std::array others{far.region()}, regions{emptied_.region()};
  lent_by_other.settle(others);
  lent_.settle(regions);
  EXPECT_EQ(emptied_.at(0), 0);
  EXPECT_EQ(owner_.losses, 1);
  EXPECT_EQ(other.losses, 0);
}

TEST_P(LentMemoryTest, WhatNobodyLentEndsTheProcess) {
  EXPECT_DEATH(emptied_.at(0) = 1, "");
  const std::array regions{emptied_.region()};
  lent_.settle(regions);
  lent_.settle({});
  EXPECT_DEATH(emptied_.at(0) = 1, "") << "it was lent before";
  lent_.begin_change();
  EXPECT_DEATH(std::jthread([&] { emptied_.at(0) = 1; }), "") << "not the thread that changes it";
  EXPECT_DEATH(::raise(SIGBUS), "");
  EXPECT_EQ(owner_.losses, 0);
}

sigjmp_buf back;
/// As DPDK does while its heap grows.
struct OtherHandler {
  OtherHandler() {
    struct sigaction action {};
    action.sa_handler = [](int) { siglongjmp(back, 1); };
    ::sigaction(SIGBUS, &action, &before);
  }
  ~OtherHandler() { ::sigaction(SIGBUS, &before, nullptr); }
  struct sigaction before {};
};

TEST_P(LentMemoryTest, AHandlerThatIsSetLaterGetsTheRest) {
  const std::array regions{emptied_.region()};
  lent_.settle(regions);
  const std::unique_ptr<OtherHandler> other = std::make_unique<OtherHandler>();
  EXPECT_EQ(emptied_.at(0), 0);
  EXPECT_EQ(owner_.losses, 1);
  Emptied nobodys(GetParam());
  volatile int jumps = 0;
  for (int i = 0; i < 2; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      nobodys.at(0) = 1;
      ADD_FAILURE() << "nobody mapped anything there";
    } else {
      jumps = jumps + 1;
    }
  }
  EXPECT_EQ(jumps, 2);
  EXPECT_EQ(owner_.losses, 1);
}

TEST_P(LentMemoryTest, AHandlerThatWentIsNotCalled) {
  { const OtherHandler other; }
  EXPECT_DEATH(emptied_.at(0) = 1, "");
  const std::array regions{emptied_.region()};
  lent_.settle(regions);
  EXPECT_EQ(emptied_.at(0), 0);
  EXPECT_EQ(owner_.losses, 1);
}

INSTANTIATE_TEST_SUITE_P(Pages, LentMemoryTest, testing::Values(false, true),
                         [](const auto& row) { return row.param ? "huge" : "small"; });

}  // namespace
}  // namespace millrace::tests
