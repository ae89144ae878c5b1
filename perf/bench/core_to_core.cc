/// core_to_core CPU CPU: nanoseconds that a cache line takes from one processor to the other and back.
///
/// Shape:   two threads, each on its processor, hand one line to and fro; the median of batches, so that a batch that a
///          hypervisor interrupts does not count. Under 50 ms.
/// Why:     two cores of a switch and its guest that share a last-level cache hand a line over in a fraction of the time of
///          two that do not, and a virtual machine's processors are moved between the two by its host, at any time.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

constexpr unsigned kBatches = 41, kTripsOfBatch = 1000;

bool stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

int cpu_of(const char* text) {
  int cpu = -1;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, cpu);
  return error == std::errc{} && rest == end && cpu >= 0 && cpu < CPU_SETSIZE ? cpu : -1;
}

alignas(128) std::atomic<unsigned> turn{0};  // odd: the other's

void answer(unsigned trips) {
  for (unsigned i = 0; i < trips; ++i) {
    while (turn.load(std::memory_order_acquire) != 2 * i + 1) {}
    turn.store(2 * i + 2, std::memory_order_release);
  }
}

double ask(unsigned first, unsigned trips) {
  const auto start = std::chrono::steady_clock::now();
  for (unsigned i = first; i < first + trips; ++i) {
    turn.store(2 * i + 1, std::memory_order_release);
    while (turn.load(std::memory_order_acquire) != 2 * i + 2) {}
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / trips;
}

}  // namespace

int main(int argc, char** argv) {
  const int here = argc == 3 ? cpu_of(argv[1]) : -1, there = argc == 3 ? cpu_of(argv[2]) : -1;
  if (here < 0 || there < 0 || here == there) {
    std::fprintf(stderr, "usage: core_to_core CPU CPU (two different ones)\n");
    return 2;
  }
  if (!stay_on(here)) {
    std::fprintf(stderr, "core_to_core: no processor %d\n", here);
    return 1;
  }
  std::atomic<int> is_there{0};
  std::thread other([&] {
    is_there = stay_on(there) ? 1 : -1;
    if (is_there == 1) answer(kBatches * kTripsOfBatch);
  });
  while (is_there == 0) std::this_thread::yield();
  if (is_there < 0) {
    other.join();
    std::fprintf(stderr, "core_to_core: no processor %d\n", there);
    return 1;
  }
  std::array<double, kBatches> nanoseconds;
  for (unsigned i = 0; i < kBatches; ++i) nanoseconds[i] = ask(i * kTripsOfBatch, kTripsOfBatch);
  other.join();
  std::nth_element(nanoseconds.begin(), nanoseconds.begin() + kBatches / 2, nanoseconds.end());
  std::printf("%.0f\n", nanoseconds[kBatches / 2]);
}
