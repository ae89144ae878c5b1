#include "datapath/io/hugepages.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

namespace millrace::datapath::io {
namespace {

constexpr std::uint64_t k2MBytes = 2ull << 20;
constexpr std::uint64_t k1GBytes = 1ull << 30;

std::string size_name(std::uint64_t page_bytes) { return page_bytes == k1GBytes ? "1G" : "2M"; }

std::string pool_directory(std::uint64_t page_bytes, int numa_node) {
  const std::string root = numa_node < 0 ? "/sys/kernel/mm" : fmt::format("/sys/devices/system/node/node{}", numa_node);
  return fmt::format("{}/hugepages/hugepages-{}kB", root, page_bytes >> 10);
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

bool write_number(const std::string& path, std::uint64_t value) {
  std::ofstream file(path);
  file << value << std::flush;
  return file.good();
}

std::uint64_t pages_for(std::uint64_t bytes, std::uint64_t page_bytes) { return (bytes + page_bytes - 1) / page_bytes; }

}  // namespace

HugepageRoom HugepageRoom::prepare(HugepageChoice choice, std::uint64_t bytes, int numa_node) {
  HugepageRoom room;
  if (choice == HugepageChoice::kOff) {
    room.reason_ = "switched off";
    return room;
  }
  const bool want_2m = choice != HugepageChoice::k1G;
  const bool want_1g = choice != HugepageChoice::k2M;
  if (want_2m && room.use_free(k2MBytes, bytes, numa_node)) return room;
  if (want_1g && room.use_free(k1GBytes, bytes, numa_node)) return room;
  // The kernel makes surplus pages of 2M only; pages of 1G must be reserved before.
  if (want_2m && room.use_surplus(k2MBytes, bytes)) return room;
  return room;
}

HugepageRoom::HugepageRoom(HugepageRoom&& other) noexcept
    : page_bytes_(other.page_bytes_),
      reason_(std::move(other.reason_)),
      lock_(std::exchange(other.lock_, -1)),
      raised_pages_(std::exchange(other.raised_pages_, 0)),
      held_(std::exchange(other.held_, nullptr)),
      held_bytes_(std::exchange(other.held_bytes_, 0)) {}

HugepageRoom::~HugepageRoom() {
  lower_limit();
  if (held_ != nullptr) ::munmap(held_, held_bytes_);
  if (lock_ >= 0) ::close(lock_);
}

bool HugepageRoom::use_free(std::uint64_t page_bytes, std::uint64_t bytes, int numa_node) {
  const std::uint64_t wanted = pages_for(bytes, page_bytes);
  const std::string machine = pool_directory(page_bytes, -1);
  const auto free_pages = read_number(machine + "/free_hugepages");
  if (!free_pages) {
    reason_ = "the kernel has no hugetlb pages of " + size_name(page_bytes);
    return false;
  }
  // Pages promised to other mappings count as free until they are touched.
  const std::uint64_t promised = read_number(machine + "/resv_hugepages").value_or(0);
  std::uint64_t usable = *free_pages > promised ? *free_pages - promised : 0;
  if (numa_node >= 0) {
    usable = std::min(usable, read_number(pool_directory(page_bytes, numa_node) + "/free_hugepages").value_or(usable));
  }
  if (usable < wanted) {
    reason_ = fmt::format("{} free pages of {}, {} needed", usable, size_name(page_bytes), wanted);
    return false;
  }
  return prove(page_bytes, bytes);
}

bool HugepageRoom::use_surplus(std::uint64_t page_bytes, std::uint64_t bytes) {
  const std::string directory = pool_directory(page_bytes, -1);
  const std::string limit_path = directory + "/nr_overcommit_hugepages";
  lock_ = ::open(limit_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX) != 0) {
    reason_ += fmt::format(", and {}: {}", limit_path, std::strerror(errno));
    return false;
  }
  hold_free(page_bytes);
  const std::uint64_t limit = read_number(limit_path).value_or(0);
  const std::uint64_t surplus = read_number(directory + "/surplus_hugepages").value_or(0);
  const std::uint64_t needed = surplus + pages_for(bytes, page_bytes);
  if (limit < needed) {
    if (!write_number(limit_path, needed)) {
      reason_ += fmt::format(", and the limit of surplus pages may not be raised ({})", std::strerror(errno));
      return false;
    }
    raised_pages_ = needed - limit;
  }
  if (prove(page_bytes, bytes)) return true;
  lower_limit();
  return false;
}

/// DPDK counts surplus pages only where no reserved page is free on any node: too few reserved ones would make it give
/// up. In a mapping of ours, touched, they are not free until DPDK has its memory.
void HugepageRoom::hold_free(std::uint64_t page_bytes) noexcept {
  const std::string directory = pool_directory(page_bytes, -1);
  const std::uint64_t free_pages = read_number(directory + "/free_hugepages").value_or(0);
  const std::uint64_t promised = read_number(directory + "/resv_hugepages").value_or(0);
  if (free_pages <= promised) return;
  held_bytes_ = (free_pages - promised) * page_bytes;
  const int size_flag = std::countr_zero(page_bytes) << MAP_HUGE_SHIFT;
  void* memory = ::mmap(nullptr, held_bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE | size_flag, -1, 0);
  held_ = memory == MAP_FAILED ? nullptr : memory;
}

bool HugepageRoom::prove(std::uint64_t page_bytes, std::uint64_t bytes) {
  const std::size_t length = pages_for(bytes, page_bytes) * page_bytes;
  const int size_flag = std::countr_zero(page_bytes) << MAP_HUGE_SHIFT;
  void* memory =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size_flag, -1, 0);
  if (memory == MAP_FAILED) {
    reason_ = fmt::format("mapping pages of {}: {}", size_name(page_bytes), std::strerror(errno));
    return false;
  }
  // A cgroup's limit shows only when pages are touched, as SIGBUS; madvise turns it into an error. A kernel older
  // than 5.14 does not know this advice (EINVAL): the mapping's own reservation is then the proof.
  const bool touched = ::madvise(memory, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
  if (!touched) reason_ = fmt::format("touching pages of {}: {}", size_name(page_bytes), std::strerror(errno));
  ::munmap(memory, length);
  if (!touched) return false;
  page_bytes_ = page_bytes;
  reason_.clear();
  return true;
}

void HugepageRoom::lower_limit() noexcept {
  if (raised_pages_ == 0) return;
  const std::string path = pool_directory(k2MBytes, -1) + "/nr_overcommit_hugepages";
  // Only what was added is taken off: an administrator may have changed the limit meanwhile.
  const std::uint64_t limit = read_number(path).value_or(0);
  write_number(path, limit > raised_pages_ ? limit - raised_pages_ : 0);
  raised_pages_ = 0;
}

}  // namespace millrace::datapath::io
