#include "datapath/io/lent_memory.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <type_traits>

// The linker's names (ld, --wrap): whoever calls sigaction() in this program calls the second.
extern "C" {
int __real_sigaction(int number, const struct sigaction* action, struct sigaction* before);
int __wrap_sigaction(int number, const struct sigaction* action, struct sigaction* before);
}

namespace millrace::datapath::io {

/// Written under `version`, as a sequence lock: odd while its writer is at work.
struct LentMemory::Entry {
  struct Span {
    std::atomic<std::uintptr_t> begin{0}, end{0};  // the same: none
  };
  std::atomic<Owner*> owner{nullptr};  // nullptr: the entry is free
  std::atomic<std::uint32_t> version{0};
  std::atomic<bool> is_settled{false};
  std::atomic<pthread_t> changed_by{0};  // while it is not settled
  std::array<Span, kRegions> spans;

  /// Of the region with `address`; none: no bytes.
  Region region_of(std::uintptr_t address) const noexcept {
    for (;;) {
      const std::uint32_t before = version.load(std::memory_order_acquire);
      Region found;
      for (const Span& span : spans) {
        const std::uintptr_t begin = span.begin.load(std::memory_order_relaxed);
        const std::uintptr_t end = span.end.load(std::memory_order_relaxed);
        if (begin <= address && address < end) found = {begin, end - begin};
      }
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && version.load(std::memory_order_relaxed) == before) return found;
    }
  }
  void write(std::span<const Region> regions) noexcept {
    version.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const Region region = i < regions.size() ? regions[i] : Region{};
      spans[i].begin.store(region.begin, std::memory_order_relaxed);
      spans[i].end.store(region.begin + region.bytes, std::memory_order_relaxed);
    }
    version.fetch_add(1, std::memory_order_release);
  }
};

struct LentMemory::Table {
  std::array<Entry, kGuests> entries;
  std::mutex claims;  // entries that are taken and given back
  std::atomic<bool> is_watched{false};
  std::size_t page_bytes = 0;
  // Whose turn it is where no guest's memory is. Two, so that none is written that a handler reads.
  std::array<struct sigaction, 2> others{};
  std::atomic<unsigned> other{0};

  struct sigaction next() const noexcept {
    return others[other.load(std::memory_order_acquire) % 2];
  }
  void set_next(const struct sigaction& action) noexcept {
    const unsigned free = other.load(std::memory_order_relaxed) + 1;
    others[free % 2] = action;
    other.store(free, std::memory_order_release);
  }

  static bool map_zeros(std::uintptr_t begin, std::size_t bytes) noexcept {
    return ::mmap(reinterpret_cast<void*>(begin), bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  /// A part of a hugepage cannot be replaced: the kernel says EINVAL until it is all of it, and changes nothing.
  bool map_zero_page(std::uintptr_t address) const noexcept {
    constexpr std::size_t kLargestPage = std::size_t{16} << 30;
    for (std::size_t bytes = page_bytes; bytes <= kLargestPage; bytes *= 2) {
      if (map_zeros(address & ~(bytes - 1), bytes)) return true;
      if (errno != EINVAL) return false;
    }
    return false;
  }
  /// False: the address is in no guest's memory.
  bool replace(std::uintptr_t address) noexcept {
    // First those whose ends are known: what changes may have been unmapped, and be another's by now.
    for (const bool settled : {true, false}) {
      for (Entry& entry : entries) {
        Owner* const owner = entry.owner.load(std::memory_order_acquire);
        if (owner == nullptr || entry.is_settled.load(std::memory_order_acquire) != settled) continue;
        const Region region = entry.region_of(address);
        const bool is_own_change = !settled && entry.changed_by.load(std::memory_order_relaxed) == ::pthread_self();
        if (region.bytes == 0 && !is_own_change) continue;
        if (!(settled && map_zeros(region.begin, region.bytes)) && !map_zero_page(address)) return false;
        owner->lose_memory();
        return true;
      }
    }
    return false;
  }
  static void on_signal(int number, siginfo_t* info, void* context) noexcept;
};

namespace {

/// Not destroyed with the statics: a guest's memory may be touched until the process ends.
constinit LentMemory::Table table;
static_assert(std::is_trivially_destructible_v<LentMemory::Table>);

}  // namespace

void LentMemory::Table::on_signal(int number, siginfo_t* info, void* context) noexcept {
  const int saved = errno;
  // Else somebody sent it, or the hardware tells of memory that nobody touches just now.
  const bool is_access = info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR || info->si_code == BUS_MCEERR_AR;
  if (is_access && table.replace(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    errno = saved;
    return;
  }
  const struct sigaction next = table.next();
  if ((next.sa_flags & SA_SIGINFO) != 0) {
    next.sa_sigaction(number, info, context);
  } else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN) {
    next.sa_handler(number);
  } else if (is_access || next.sa_handler == SIG_DFL) {
    __real_sigaction(SIGBUS, &next, nullptr);
    if (!is_access) ::raise(SIGBUS);  // an access is made again, and fails again
  }
  errno = saved;
}

bool LentMemory::watch() noexcept {
  static const bool is_watched = [] {
    table.page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction before {};
    if (__real_sigaction(SIGBUS, nullptr, &before) != 0) return false;
    table.set_next(before);
    struct sigaction action {};
    action.sa_sigaction = Table::on_signal;
    // On a thread that has a stack for signals, that one. A SIGBUS in the handler is not to be handled: no SA_NODEFER.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    // Before: what is set from now on comes behind ours, and is not replaced by it.
    table.is_watched.store(true, std::memory_order_release);
    if (__real_sigaction(SIGBUS, &action, nullptr) == 0) return true;
    table.is_watched.store(false, std::memory_order_release);
    return false;
  }();
  return is_watched;
}

LentMemory::LentMemory(Owner& owner) noexcept {
  const std::lock_guard lock(table.claims);
  for (Entry& entry : table.entries) {
    if (entry.owner.load(std::memory_order_relaxed) != nullptr) continue;
    entry.write({});
    entry.is_settled.store(true, std::memory_order_relaxed);
    entry.owner.store(&owner, std::memory_order_release);
    entry_ = &entry;
    return;
  }
}

LentMemory::~LentMemory() {
  if (entry_ == nullptr) return;
  settle({});
  const std::lock_guard lock(table.claims);
  entry_->owner.store(nullptr, std::memory_order_release);
}

void LentMemory::settle(std::span<const Region> regions) noexcept {
  if (entry_ == nullptr) return;
  entry_->write(regions);
  entry_->changed_by.store(0, std::memory_order_relaxed);
  entry_->is_settled.store(true, std::memory_order_release);
}

void LentMemory::begin_change() noexcept {
  if (entry_ == nullptr) return;
  entry_->changed_by.store(::pthread_self(), std::memory_order_relaxed);
  entry_->is_settled.store(false, std::memory_order_release);
}

bool LentMemory::is_settled() const noexcept {
  return entry_ != nullptr && entry_->is_settled.load(std::memory_order_relaxed);
}

}  // namespace millrace::datapath::io

/// DPDK 22.11, lib/eal/linux/eal_memalloc.c: whenever its heap grows it takes SIGBUS for a moment, with a handler that
/// jumps back into the thread that grows it, whichever thread it is called on. So the signal stays here, and theirs
/// comes behind ours.
extern "C" int __wrap_sigaction(int number, const struct sigaction* action, struct sigaction* before) {
  using millrace::datapath::io::table;
  if (number != SIGBUS || !table.is_watched.load(std::memory_order_acquire)) {
    return __real_sigaction(number, action, before);
  }
  const struct sigaction old = table.next();
  if (action != nullptr) table.set_next(*action);
  if (before != nullptr) *before = old;
  return 0;
}
