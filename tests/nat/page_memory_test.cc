#include "nat/page_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace millrace::nat {
namespace {

/// How many of the memory's pages are present.
std::size_t resident_pages(const PageMemory& memory) {
  const std::size_t page = static_cast<std::size_t>(getpagesize());
  std::vector<unsigned char> present(memory.bytes() / page);
  EXPECT_EQ(mincore(memory.as<void>(), memory.bytes(), present.data()), 0);
  std::size_t count = 0;
  for (const unsigned char one : present) count += one & 1;
  return count;
}

TEST(PageMemory, IsZeroedWholePagesOfAtLeastTheSizeAskedFor) {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{4097},
                                  kHugePageBytes - 1, kHugePageBytes, kHugePageBytes + 1, 5 * kHugePageBytes + 4096}) {
    SCOPED_TRACE(bytes);
    const PageMemory memory(bytes);
    EXPECT_GE(memory.bytes(), bytes);
    EXPECT_EQ(memory.bytes() % static_cast<std::size_t>(getpagesize()), 0u);
    const auto* const data = memory.as<unsigned char>();
    std::size_t nonzero = 0;
    for (std::size_t at = 0; at < memory.bytes(); at += 509) nonzero += data[at];
    EXPECT_EQ(nonzero, 0u);
    memory.as<unsigned char>()[memory.bytes() - 1] = 1;
  }
}

TEST(PageMemory, LargeMemoryLiesOnAHugepageBoundary) {
  const PageMemory memory(3 * kHugePageBytes + 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.as<void>()) % kHugePageBytes, 0u);
  EXPECT_EQ(memory.bytes(), 4 * kHugePageBytes);
}

TEST(PageMemory, TakesNoOrdinaryPageBeforeItIsTouched) {
  PageMemory memory(8 * kHugePageBytes);
  const std::size_t all = memory.bytes() / static_cast<std::size_t>(getpagesize());
  EXPECT_EQ(resident_pages(memory), memory.reserved_hugepages() ? all : 0u);
  memory.as<unsigned char>()[0] = 7;
  EXPECT_GT(resident_pages(memory), 0u);
  memory.touch();
  EXPECT_EQ(resident_pages(memory), all);
  EXPECT_EQ(memory.as<unsigned char>()[0], 7);
}

}  // namespace
}  // namespace millrace::nat
