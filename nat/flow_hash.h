/// Hash and comparison of flow keys, in words.
///
/// Shape:   a key is read as two 64-bit words (IPv4) or five (IPv6) straight from memory; padding is never read.
/// Hash:    keyed: products of 64 x 64 bits whose halves are folded together, each operand first masked by a secret
///          of the seed (after wyhash, Wang Yi 2019). One product more than the data needs, so that neither the index
///          bits nor the tag bits are those of a product the sender knows an operand of. It differs for a tuple and its
///          reverse. It is for tables of one worker: no other worker or version computes the same (net/flow_key.h has
///          that one).
/// Thread:  plain values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/flow_key.h"

namespace millrace::nat {
namespace internal {

template <typename Word>
Word load(const void* from, std::size_t offset) noexcept {
  Word word;
  std::memcpy(&word, static_cast<const std::byte*>(from) + offset, sizeof word);
  return word;
}

static_assert(offsetof(net::FlowKeyV4, source) == 0 && offsetof(net::FlowKeyV4, destination) == 4);
static_assert(offsetof(net::FlowKeyV4, source_port) == 8 && offsetof(net::FlowKeyV4, destination_port) == 10);
static_assert(offsetof(net::FlowKeyV6, source) == 0 && offsetof(net::FlowKeyV6, destination) == 16);
static_assert(offsetof(net::FlowKeyV6, source_port) == 32 && offsetof(net::FlowKeyV6, destination_port) == 34);

inline std::uint64_t addresses(const net::FlowKeyV4& key) noexcept { return load<std::uint64_t>(&key, 0); }
/// Ports and protocol.
inline std::uint64_t rest(const net::FlowKeyV4& key) noexcept {
  return load<std::uint32_t>(&key, 8) | std::uint64_t{key.protocol} << 32;
}
inline std::uint64_t rest(const net::FlowKeyV6& key) noexcept {
  return load<std::uint32_t>(&key, 32) | std::uint64_t{key.protocol} << 32;
}

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Product = unsigned __int128;
  const Product product = static_cast<Product>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace internal

inline bool same_key(const net::FlowKeyV4& a, const net::FlowKeyV4& b) noexcept {
  using namespace internal;
  return ((addresses(a) ^ addresses(b)) | (rest(a) ^ rest(b))) == 0;
}

inline bool same_key(const net::FlowKeyV6& a, const net::FlowKeyV6& b) noexcept {
  using namespace internal;
  std::uint64_t difference = rest(a) ^ rest(b);
  for (std::size_t at = 0; at < 32; at += 8) difference |= load<std::uint64_t>(&a, at) ^ load<std::uint64_t>(&b, at);
  return difference == 0;
}

class FlowHash {
 public:
  explicit FlowHash(std::uint64_t seed) noexcept {
    for (std::uint64_t& secret : secrets_) secret = net::mix64(seed += 0x9e3779b97f4a7c15);  // splitmix64
    secrets_[5] |= 1;
  }

  std::uint64_t operator()(const net::FlowKeyV4& key) const noexcept {
    using namespace internal;
    return fold(fold(addresses(key) ^ secrets_[0], rest(key) ^ secrets_[1]), secrets_[5]);
  }

  std::uint64_t operator()(const net::FlowKeyV6& key) const noexcept {
    using namespace internal;
    const std::uint64_t source =
        fold(load<std::uint64_t>(&key, 0) ^ secrets_[0], load<std::uint64_t>(&key, 8) ^ secrets_[1]);
    const std::uint64_t destination =
        fold(load<std::uint64_t>(&key, 16) ^ secrets_[2], load<std::uint64_t>(&key, 24) ^ secrets_[3]);
    return fold(fold(source ^ destination, rest(key) ^ secrets_[4]), secrets_[5]);
  }

 private:
  std::uint64_t secrets_[6];
};

}  // namespace millrace::nat
