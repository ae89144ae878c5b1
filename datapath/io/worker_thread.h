/// WorkerThread: a Worker on a pinned thread, and how it rests.
///
/// Rest:    adaptive: a turn without packets is followed by another at once for kSpin; then the core is offered to
///          others between turns for kYield; then come sleeps of 20, 40 and 80 us; then the worker waits on its ports'
///          descriptors and its own eventfd, without end: one packet or one wake() ends the wait. Pods that share the
///          core run from kSpin on. always: pure polling.
///          A port without a descriptor keeps its worker at sleeps of kNapLimit.
/// Lost wake-ups: none. The worker says that it rests, then takes one more turn, then waits: what was published or
///          queued before is seen by that turn, and wake() sees the word after it. Descriptors are level-triggered.
/// Thread:  start and stop: control. wake: any thread, never blocks.
/// Errors:  kInvalidArgument for a processor the process may not use; kResourceExhausted without descriptors.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "datapath/worker.h"
#include "net/result.h"

namespace millrace::datapath::io {

enum class PollMode { kAdaptive, kAlways };

inline constexpr std::chrono::nanoseconds kSpin = std::chrono::microseconds(5);
inline constexpr std::chrono::nanoseconds kYield = std::chrono::microseconds(100);
inline constexpr std::chrono::nanoseconds kFirstNap = std::chrono::microseconds(20);
inline constexpr std::chrono::nanoseconds kLastNap = std::chrono::microseconds(80);
inline constexpr std::chrono::nanoseconds kNapLimit = std::chrono::microseconds(250);

struct WorkerThreadOptions {
  int cpu = -1;  // operating system number; -1: not pinned
  PollMode poll = PollMode::kAdaptive;
};

class WorkerThread {
 public:
  /// Starts the thread, named mr-worker-ID. `worker` must outlive it.
  static net::Result<std::unique_ptr<WorkerThread>> start(Worker& worker, const WorkerThreadOptions& options);
  /// Stops and joins.
  ~WorkerThread();

  /// Makes a resting worker take a turn: after publishing a snapshot, or after filling its hand-over ring.
  void wake() noexcept;

 private:
  WorkerThread();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::datapath::io
