/// WorkerThread: a Worker on a pinned thread, and how it rests.
///
/// Rest:    adaptive: after a number of empty turns it yields and sleeps in growing steps up to a bound, then waits on
///          its ports' descriptors and its own eventfd; one packet or one wake() ends the wait. always: pure polling.
/// Thread:  start and stop: control. wake: any thread, never blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "datapath/worker.h"
#include "net/result.h"

namespace millrace::datapath::io {

enum class PollMode { kAdaptive, kAlways };

struct WorkerThreadOptions {
  int cpu = -1;  // operating system number; -1: not pinned
  PollMode poll = PollMode::kAdaptive;
};

class WorkerThread {
 public:
  /// Starts the thread. `worker` must outlive it.
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
