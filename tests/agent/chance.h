/// Chance with a seed, the same everywhere: std::mt19937 is specified, distributions are not used.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace millrace::control::agent {

class Chance {
 public:
  explicit Chance(std::uint32_t seed) : engine_(seed) {}
  std::uint32_t below(std::uint32_t count) { return static_cast<std::uint32_t>(engine_() % count); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }
  template <typename T>
  const T& of(const std::vector<T>& values) {
    return values[below(static_cast<std::uint32_t>(values.size()))];
  }

 private:
  std::mt19937 engine_;
};

}  // namespace millrace::control::agent
