#include "datapath/io/kick_set.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <string_view>
#include <utility>

namespace millrace::datapath::io {
namespace {

constexpr std::uint64_t bit(unsigned pair) { return 1ull << pair; }

}  // namespace

/// Others that can be waited on, as those of a file system in user space, may keep a worker waiting that only looks.
bool is_eventfd(int descriptor) noexcept {
  constexpr std::string_view kEventfd = "anon_inode:[eventfd]";
  std::array<char, 32> path{}, target{};
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/fd/{}", descriptor).out = '\0';
  const ssize_t length = ::readlink(path.data(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == kEventfd;
}

std::unique_ptr<KickSet> KickSet::create() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int changed = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll >= 0 && changed >= 0) {
    std::unique_ptr<KickSet> set(new KickSet(epoll, changed));
    if (set->add(changed)) return set;
    return nullptr;
  }
  if (epoll >= 0) ::close(epoll);
  if (changed >= 0) ::close(changed);
  return nullptr;
}

KickSet::~KickSet() {
  for (unsigned pair = 0; pair < kPairs; ++pair) forget(pair);
  ::close(changed_);
  ::close(epoll_);
}

bool KickSet::add(int descriptor) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = descriptor;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void KickSet::forget(unsigned pair) noexcept {
  const int kick = std::exchange(kicks_[pair], -1);
  if (kick < 0) return;
  // Closing is not enough: the guest has the same eventfd, which would stay in the set.
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, kick, nullptr);
  ::close(kick);
}

void KickSet::wake() noexcept {
  // Counted before and after: who drained the write sees a count that it had not, and who drained too early sees one
  // more.
  changes_.fetch_add(1);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(changed_, &one, sizeof one);
  changes_.fetch_add(1);
}

void KickSet::set(unsigned pair, int kick) noexcept {
  if (pair >= kPairs) return;
  forget(pair);
  bool is_taken = false;
  if (kick >= 0 && is_eventfd(kick)) {
    kicks_[pair] = ::fcntl(kick, F_DUPFD_CLOEXEC, 0);
    is_taken = kicks_[pair] >= 0 && add(kicks_[pair]);
    if (!is_taken) forget(pair);
  }
  if (is_taken) {
    kicked_.fetch_or(bit(pair));
  } else {
    kicked_.fetch_and(~bit(pair));
  }
  pairs_.fetch_or(bit(pair));
  wake();
}

void KickSet::clear(unsigned pair) noexcept {
  if (pair >= kPairs || (pairs() & bit(pair)) == 0) return;
  pairs_.fetch_and(~bit(pair));
  kicked_.fetch_and(~bit(pair));
  forget(pair);
  wake();
}

void KickSet::clear_all() noexcept {
  for (unsigned pair = 0; pair < kPairs; ++pair) clear(pair);
}

void KickSet::drain() noexcept {
  std::array<epoll_event, kPairs + 1> events;
  ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
}

}  // namespace millrace::datapath::io
