/// KickSet: what a guest tells that it has sent something by, as one descriptor that a worker can wait on.
///
/// Theory:  a guest kicks by writing to an eventfd, one for each of its sending queues, which it made and may keep
///          writing to as it likes. So they are not read, for a read of a guest's descriptor may block, but lie
///          edge-triggered in an epoll set: a write is seen once, whatever the count is. A descriptor that is no
///          eventfd is not taken. The set has an eventfd of its own, which is written to when a queue comes or goes.
/// Shape:   `descriptor` is readable from a kick or change on until `drain`.
/// Errors:  create: nullptr without descriptors. A kick that cannot be taken leaves the set incomplete: whoever would
///          wait must poll.
/// Thread:  set, clear, clear_all, wake: one thread, DPDK's. The others: the worker, at the same time.
/// Source:  epoll(7) on EPOLLET; QEMU, docs/interop/vhost-user.rst, VHOST_USER_SET_VRING_KICK.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace millrace::datapath::io {

/// A guest may give any descriptor where an eventfd is asked for.
bool is_eventfd(int descriptor) noexcept;

class KickSet {
 public:
  static constexpr unsigned kPairs = 64;

  static std::unique_ptr<KickSet> create();
  ~KickSet();
  KickSet(const KickSet&) = delete;
  KickSet& operator=(const KickSet&) = delete;

  /// The guest's sending queue of `pair` is there and kicks by `kick`; -1: it does not.
  void set(unsigned pair, int kick) noexcept;
  void clear(unsigned pair) noexcept;
  void clear_all() noexcept;
  /// The worker is to look again: as after a change.
  void wake() noexcept;

  int descriptor() const noexcept { return epoll_; }
  void drain() noexcept;
  /// Pairs that are set, as bits.
  std::uint64_t pairs() const noexcept { return pairs_.load(std::memory_order_relaxed); }
  bool is_complete() const noexcept { return (pairs() & ~kicked_.load(std::memory_order_relaxed)) == 0; }
  /// Another value after something was set or cleared, and after wake().
  std::uint32_t changes() const noexcept { return changes_.load(std::memory_order_acquire); }

 private:
  KickSet(int epoll, int changed) noexcept : epoll_(epoll), changed_(changed) { kicks_.fill(-1); }
  bool add(int descriptor) noexcept;
  void forget(unsigned pair) noexcept;

  const int epoll_;
  const int changed_;
  std::array<int, kPairs> kicks_;         // our own duplicates; -1: none
  std::atomic<std::uint64_t> pairs_{0};   // bits
  std::atomic<std::uint64_t> kicked_{0};  // of them, those in the epoll set
  std::atomic<std::uint32_t> changes_{0};
};

}  // namespace millrace::datapath::io
