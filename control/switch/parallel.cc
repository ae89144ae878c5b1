#include "control/switch/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace millrace::control::switchd {

void for_each_parallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < std::min(count, kMaxDeviceThreads); ++i) helpers.emplace_back(run);
  run();
}

}  // namespace millrace::control::switchd
