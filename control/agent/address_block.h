/// The arithmetic of a node's address block: which addresses exist and what each is for.
///
/// Shape:   a block is one prefix out of a pool. Index i is the block's prefix plus i. Index 0 is the network (IPv4) or
///          the subnet-router anycast address (IPv6, RFC 4291 s.2.6.1); index 1 is the node's own, on the host port;
///          pods have 2 .. last. The last IPv4 address is the broadcast address (RFC 922) and is not given away.
///          At most kMaxIndex of a block are used: a released address is remembered, and that needs a bound.
/// Errors:  kInvalidArgument for a block that holds no pod, or a block index outside of the pool.
/// Thread:  plain value, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/address.h"
#include "net/result.h"

namespace millrace::control::agent {

class AddressBlock {
 public:
  static constexpr std::uint32_t kMaxIndex = 65535;
  static constexpr std::uint32_t kHostIndex = 1;
  static constexpr std::uint32_t kFirstPodIndex = 2;

  /// Block number `block_index` of `pool`, cut into blocks of `block_bits` bits prefix length.
  static net::Result<AddressBlock> make(const net::Prefix& pool, std::uint8_t block_bits, std::uint32_t block_index);

  const net::Prefix& pool() const { return pool_; }
  const net::Prefix& block() const { return block_; }
  std::uint8_t family() const { return block_.address.family; }
  /// The node's address on the host port.
  net::IpAddress host() const { return at(kHostIndex); }
  net::IpAddress first_pod() const { return at(kFirstPodIndex); }
  net::IpAddress last_pod() const { return at(last_index_); }
  std::uint32_t last_index() const { return last_index_; }
  /// Addresses pods can have.
  std::uint32_t capacity() const { return last_index_ - kFirstPodIndex + 1; }

  net::IpAddress at(std::uint32_t index) const;
  /// True for the addresses a pod can have.
  bool is_for_pods(const net::IpAddress& address) const;

 private:
  net::Prefix pool_;
  net::Prefix block_;
  std::uint32_t last_index_ = 0;
};

}  // namespace millrace::control::agent
