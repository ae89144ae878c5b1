#include "perf/gen/device/thread.h"

#include <pthread.h>
#include <sched.h>

#include <cstdio>

namespace millrace::perf::gen {

std::uint64_t waited_ns() {
  unsigned long long ran = 0, waited = 0;
  std::FILE* const file = std::fopen("/proc/thread-self/schedstat", "re");
  if (file == nullptr) return 0;
  const int fields = std::fscanf(file, "%llu %llu", &ran, &waited);
  std::fclose(file);
  return fields == 2 ? waited : 0;
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace millrace::perf::gen
