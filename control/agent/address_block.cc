#include "control/agent/address_block.h"

#include <algorithm>

namespace millrace::control::agent {
namespace {

/// address + (value << shift_bits), in the big-endian number that the address is.
net::IpAddress add_shifted(net::IpAddress address, std::uint32_t value, unsigned shift_bits) {
  // Byte by byte from the last one: 128-bit numbers with no assumption on the family's length.
  const int bytes = static_cast<int>(address.bits() / 8);
  std::uint64_t carry = static_cast<std::uint64_t>(value) << (shift_bits % 8);
  for (int i = bytes - 1 - static_cast<int>(shift_bits / 8); i >= 0 && carry != 0; --i) {
    carry += address.bytes[static_cast<std::size_t>(i)];
    address.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return address;
}

}  // namespace

net::Result<AddressBlock> AddressBlock::make(const net::Prefix& pool, std::uint8_t block_bits,
                                             std::uint32_t block_index) {
  const unsigned bits = pool.address.bits();
  // Two bits: network, host port, one pod, broadcast.
  if (block_bits < pool.length_bits || block_bits > bits - 2) {
    return net::invalid_argument("ipam: block length " + std::to_string(block_bits) + " of pool " + pool.to_string() +
                                 " is not in " + std::to_string(pool.length_bits) + ".." + std::to_string(bits - 2));
  }
  const unsigned index_bits = block_bits - pool.length_bits;
  if (index_bits < 32 && (static_cast<std::uint64_t>(block_index) >> index_bits) != 0) {
    return net::invalid_argument("ipam: block " + std::to_string(block_index) + " is not in pool " + pool.to_string() +
                                 ", which has blocks 0.." + std::to_string((1ULL << index_bits) - 1) + " of /" +
                                 std::to_string(block_bits));
  }
  AddressBlock made;
  made.pool_ = pool;
  made.block_.address = add_shifted(pool.address, block_index, bits - block_bits);
  made.block_.length_bits = block_bits;
  const unsigned host_bits = bits - block_bits;
  const std::uint64_t all_ones = host_bits >= 32 ? 0xffffffffULL : (1ULL << host_bits) - 1;
  const bool has_broadcast = made.family() == 4;
  made.last_index_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(has_broadcast ? all_ones - 1 : all_ones, kMaxIndex));
  return made;
}

net::IpAddress AddressBlock::at(std::uint32_t index) const { return add_shifted(block_.address, index, 0); }

bool AddressBlock::is_for_pods(const net::IpAddress& address) const {
  // Network order makes the order of bytes the order of numbers.
  return address.family == family() && address.bytes >= first_pod().bytes && address.bytes <= last_pod().bytes;
}

}  // namespace millrace::control::agent
