#include "nat/page_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

namespace millrace::nat {
namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

void* map(std::size_t bytes, int extra_flags) noexcept {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | extra_flags, -1, 0);
}

}  // namespace

PageMemory::PageMemory(std::size_t bytes)
    : bytes_(round_up(bytes == 0 ? 1 : bytes,
                      bytes >= kHugePageBytes ? kHugePageBytes : static_cast<std::size_t>(getpagesize()))) {
  if (!map_reserved()) map_ordinary();
}

PageMemory::~PageMemory() { munmap(base_, bytes_); }

bool PageMemory::map_reserved() noexcept {
  if (bytes_ < kHugePageBytes) return false;
  void* const memory = map(bytes_, MAP_HUGETLB);
  if (memory == MAP_FAILED) return false;
  // EFAULT where a touch would raise SIGBUS; EINVAL before Linux 5.14, where nobody can tell.
  if (madvise(memory, bytes_, MADV_POPULATE_WRITE) != 0) {
    munmap(memory, bytes_);
    return false;
  }
  base_ = memory;
  reserved_hugepages_ = true;
  return true;
}

void PageMemory::map_ordinary() {
  if (bytes_ < kHugePageBytes) {
    base_ = map(bytes_, 0);
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    return;
  }
  // One hugepage more than asked for holds an aligned range; what sticks out is given back.
  void* const memory = map(bytes_ + kHugePageBytes, MAP_NORESERVE);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(memory);
  const std::size_t head =
      round_up(reinterpret_cast<std::uintptr_t>(begin), kHugePageBytes) - reinterpret_cast<std::uintptr_t>(begin);
  if (head != 0) munmap(begin, head);
  if (head != kHugePageBytes) munmap(begin + head + bytes_, kHugePageBytes - head);
  base_ = begin + head;
  madvise(base_, bytes_, MADV_HUGEPAGE);  // refused where the kernel has none: ordinary pages then
}

void PageMemory::touch() noexcept {
  const std::size_t step = static_cast<std::size_t>(getpagesize());
  volatile std::byte* const byte = static_cast<std::byte*>(base_);
  for (std::size_t at = 0; at < bytes_; at += step) byte[at] = byte[at];
}

}  // namespace millrace::nat
