#include "datapath/io/worker_thread.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include "datapath/io/eal.h"
#include "datapath/io/port_watch.h"

namespace millrace::datapath::io {
namespace {

using std::chrono::nanoseconds;

/// The kernel may let a sleep last this much longer; its default of 50 us is longer than the sleeps.
constexpr unsigned long kTimerSlackNs = 1000;

std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

void nap(nanoseconds length) noexcept {
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(length.count())};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

bool any_pending(const Snapshot* snapshot, WorkerId worker) noexcept {
  if (snapshot == nullptr) return false;
  const auto& polled = snapshot->polled[worker];
  return std::any_of(polled.begin(), polled.end(), [&](net::PortId id) {
    const Port* port = snapshot->ports[id].port;
    return port != nullptr && port->pending();
  });
}

}  // namespace

struct WorkerThread::State {
  State(Worker& stepped, PollMode mode, PortWatch descriptors)
      : worker(stepped), poll(mode), watch(std::move(descriptors)) {}

  void run() noexcept;
  void pause(nanoseconds idle, bool pending) noexcept;
  bool wait_for_work() noexcept;

  Worker& worker;
  const PollMode poll;
  PortWatch watch;
  nanoseconds next_nap = kFirstNap;
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<bool> resting{false};  // read by every wake()
  std::thread thread;
};

void WorkerThread::State::run() noexcept {
  const EalThread eal;
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  std::uint64_t last_busy_ns = now_ns();
  while (!stop.load(std::memory_order_relaxed)) {
    const std::uint64_t now = now_ns();
    const WorkerStep step = worker.step(now);
    if (step.received != 0 || step.is_scanning) {
      last_busy_ns = now;
      next_nap = kFirstNap;
      continue;
    }
    if (poll == PollMode::kAlways) continue;
    const nanoseconds idle(now - last_busy_ns);
    if (idle < kYield || step.pending || next_nap <= kLastNap) {
      pause(idle, step.pending);
    } else if (wait_for_work()) {
      last_busy_ns = now_ns();
      next_nap = kFirstNap;
    }
  }
}

void WorkerThread::State::pause(nanoseconds idle, bool pending) noexcept {
  if (idle < kSpin) return;
  if (idle < kYield) {
    ::sched_yield();
    return;
  }
  worker.counters().sleeps.add(1);
  nap(next_nap);
  next_nap = std::min(next_nap * 2, pending ? kLastNap : 2 * kLastNap);
}

/// True when the worker was woken or found work.
bool WorkerThread::State::wait_for_work() noexcept {
  resting.store(true, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const WorkerStep last = worker.step(now_ns());
  const Snapshot* snapshot = worker.snapshot();
  bool busy = last.received != 0 || last.is_scanning || stop.load(std::memory_order_relaxed);
  if (!busy) {
    watch.watch(snapshot, worker.id());
    worker.counters().sleeps.add(1);
    if (last.pending || any_pending(snapshot, worker.id()) || !watch.complete()) {
      nap(kNapLimit);
    } else {
      // Flows end by themselves; nothing else has to be done without a packet or a ring.
      const int timeout_ms = last.has_flows ? static_cast<int>(kIdleSweepMs) : -1;
      const PortWatch::Wake wake = watch.wait(timeout_ms);
      if (wake == PortWatch::Wake::kPort) worker.counters().wakeups.add(1);
      busy = wake != PortWatch::Wake::kTimeout;
    }
  }
  resting.store(false, std::memory_order_relaxed);
  return busy;
}

WorkerThread::WorkerThread() = default;

net::Result<std::unique_ptr<WorkerThread>> WorkerThread::start(Worker& worker, const WorkerThreadOptions& options) {
  auto watch = PortWatch::create();
  if (!watch) return watch.error();
  std::unique_ptr<WorkerThread> self(new WorkerThread);
  self->state_ = std::make_unique<State>(worker, options.poll, std::move(watch).value());
  State& state = *self->state_;
  state.thread = std::thread([&state] { state.run(); });
  const pthread_t handle = state.thread.native_handle();
  pthread_setname_np(handle, fmt::format("mr-worker-{}", worker.id()).c_str());
  if (options.cpu < 0) return self;

  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  const bool possible = options.cpu < CPU_SETSIZE;
  if (possible) CPU_SET(static_cast<unsigned>(options.cpu), &cpus);
  const int status = possible ? pthread_setaffinity_np(handle, sizeof cpus, &cpus) : EINVAL;
  if (status != 0) {
    return net::invalid_argument(
        fmt::format("worker {} cannot run on processor {}: {}", worker.id(), options.cpu, std::strerror(status)));
  }
  return self;
}

WorkerThread::~WorkerThread() {
  if (!state_ || !state_->thread.joinable()) return;
  state_->stop.store(true, std::memory_order_relaxed);
  state_->watch.ring();
  state_->thread.join();
}

void WorkerThread::wake() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (state_->resting.load(std::memory_order_relaxed)) state_->watch.ring();
}

}  // namespace millrace::datapath::io
