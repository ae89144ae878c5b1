/// SnapshotBox: a copy of what a busy thread holds, for one that watches it.
///
/// Theory:  the busy thread looks once in a while whether a copy is wanted and makes it then; else it pays one load.
///          Nothing is torn, as the copy is written only between a request and its answer, and read only after it.
/// Thread:  fill_if_wanted: the busy one; never allocates if the copy does not. ask: one other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace millrace::perf::gen {

template <typename Value>
class SnapshotBox {
 public:
  static constexpr auto kLook = std::chrono::microseconds(200);

  /// For what the copies need; before the first request.
  Value& value() noexcept { return value_; }

  template <typename Fill>
  void fill_if_wanted(Fill&& fill) noexcept {
    const std::uint32_t wanted = wanted_.load(std::memory_order_acquire);
    if (wanted == made_.load(std::memory_order_relaxed)) [[likely]]
      return;
    fill(value_);
    made_.store(wanted, std::memory_order_release);
  }

  /// The copy, made after the call began; nullptr: the busy thread did not answer in time. It stays until the next
  /// call.
  const Value* ask(std::chrono::milliseconds timeout) {
    const std::uint32_t wanted = wanted_.load(std::memory_order_relaxed) + 1;
    wanted_.store(wanted, std::memory_order_release);
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (made_.load(std::memory_order_acquire) != wanted) {
      if (std::chrono::steady_clock::now() >= deadline) return nullptr;
      std::this_thread::sleep_for(kLook);
    }
    return &value_;
  }

 private:
  Value value_{};
  std::atomic<std::uint32_t> wanted_{0}, made_{0};
};

}  // namespace millrace::perf::gen
