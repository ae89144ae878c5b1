/// Traffic: random frames of a pod, mostly right, some wrong in every way the switch knows, some garbage.
///
/// Shape:   `self` is the sender's pod number, `others` those it may write to (some of which may be gone).
/// Thread:  one owner; the same seed gives the same frames.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "tests/net/packet_builder.h"

namespace millrace::tests {

class Traffic {
 public:
  explicit Traffic(std::uint64_t seed) : random_(seed) {}

  Bytes from_pod(unsigned self, std::span<const unsigned> others);
  /// From the host port: the world and the node writing to pods.
  Bytes from_host(std::span<const unsigned> others);

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

 private:
  Bytes frame(const std::string& own_mac, const std::string& own_v4, const std::string& own_v6, unsigned other);
  Bytes damaged(Bytes frame);

  std::mt19937_64 random_;
};

}  // namespace millrace::tests
