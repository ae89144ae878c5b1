/// The sixteen bytes of an address as two words: to compare and hash either family with the same few instructions.
///
/// Shape:   memory order, so the words compare and hash but do not count. IPv4 lies in the first four bytes, as in
///          net::IpAddress: one IPv4 address has the same words whether it comes as Ipv4 or as IpAddress.
/// Thread:  pure functions.
#pragma once

#include <cstdint>
#include <cstring>

#include "net/address.h"
#include "net/flow_key.h"

namespace millrace::nat {

struct AddressWords {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  friend bool operator==(const AddressWords& a, const AddressWords& b) noexcept {
    return ((a.first ^ b.first) | (a.second ^ b.second)) == 0;
  }
};

inline AddressWords words_of(const std::uint8_t* bytes16) noexcept {
  AddressWords words;
  std::memcpy(&words.first, bytes16, 8);
  std::memcpy(&words.second, bytes16 + 8, 8);
  return words;
}
inline AddressWords words_of(const net::Ipv4& address) noexcept {
  AddressWords words;
  std::memcpy(&words.first, &address, sizeof address);
  return words;
}
inline AddressWords words_of(const net::Ipv6& address) noexcept { return words_of(address.bytes.data()); }
inline AddressWords words_of(const net::IpAddress& address) noexcept { return words_of(address.bytes.data()); }

/// Every bit of the address and of `salt` reaches every bit of the hash. Not keyed unless the salt is a secret.
inline std::uint64_t hash_of(const AddressWords& words, std::uint64_t salt) noexcept {
  return net::mix64(net::mix64(words.first + (salt + 1) * 0x9e3779b97f4a7c15) ^ words.second);
}

}  // namespace millrace::nat
