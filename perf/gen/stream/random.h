/// Random numbers of the generator: fast, seeded, the same on every machine.
///
/// Shape:   mix64 is SplitMix64's finisher, a bijection of 64 bits; Random walks it over a Weyl sequence. below(x, n)
///          maps 32 random bits to [0, n) by multiplication; its bias is below n / 2^32.
/// Thread:  plain values.
/// Source:  Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
#pragma once

#include <cstdint>

namespace millrace::perf::gen {

constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

constexpr std::uint32_t below(std::uint32_t random, std::uint32_t limit) noexcept {
  return static_cast<std::uint32_t>(std::uint64_t{random} * limit >> 32);
}

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept : state_(seed) {}
  constexpr std::uint64_t next() noexcept { return mix64(state_ += 0x9e3779b97f4a7c15ull); }

 private:
  std::uint64_t state_;
};

}  // namespace millrace::perf::gen
