/// PageMemory: a large zeroed array straight from the operating system, in pages as large as it gives.
///
/// Shape:   reserved hugepages when there are enough of them, populated at once: they are taken already, and a later
///          fault could end the process (SIGBUS under a cgroup's hugetlb limit). Else ordinary memory on a 2 MB
///          boundary that the kernel is asked to back with transparent hugepages; a page of it costs nothing before its
///          first touch. Less than a hugepage: ordinary pages.
/// Errors:  std::bad_alloc.
/// Thread:  construction and destruction: control; the bytes are their owner's.
/// Source:  mmap(2), madvise(2): MAP_HUGETLB, MADV_POPULATE_WRITE, MADV_HUGEPAGE.
#pragma once

#include <cstddef>
#include <utility>

namespace millrace::nat {

inline constexpr std::size_t kHugePageBytes = 2u << 20;

class PageMemory {
 public:
  explicit PageMemory(std::size_t bytes);
  ~PageMemory();
  PageMemory(const PageMemory&) = delete;
  PageMemory& operator=(const PageMemory&) = delete;

  /// Makes every page present, so that no first touch faults later.
  void touch() noexcept;

  /// Aligned to a page at least. `T` is one for which zero bytes are a value.
  template <typename T>
  T* as() const noexcept {
    return static_cast<T*>(base_);
  }
  std::size_t bytes() const noexcept { return bytes_; }
  /// Reserved hugepages (MAP_HUGETLB) back it.
  bool reserved_hugepages() const noexcept { return reserved_hugepages_; }

 private:
  bool map_reserved() noexcept;
  void map_ordinary();

  void* base_ = nullptr;
  std::size_t bytes_;  // as mapped: whole pages
  bool reserved_hugepages_ = false;
};

}  // namespace millrace::nat
