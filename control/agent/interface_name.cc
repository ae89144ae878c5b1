#include "control/agent/interface_name.h"

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>

namespace millrace::control::agent {
namespace {

std::uint64_t fnv1a(std::initializer_list<std::string_view> fields) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const std::string_view field : fields) {
    for (const char c : field) mix(static_cast<std::uint8_t>(c));
    mix(0);  // keeps ("ab", "c") and ("a", "bc") apart: no field holds a zero byte
  }
  return hash;
}

}  // namespace

std::string host_interface_name(std::string_view instance, const AttachmentKey& key) {
  const std::uint64_t hash = fnv1a({instance, key.network, key.container_id, key.ifname});
  // Folded as the draft says for widths that are no power of two.
  const std::uint64_t folded = (hash >> 52) ^ (hash & ((1ULL << 52) - 1));
  return fmt::format("mr{:013x}", folded);
}

net::Mac mac_of(std::string_view instance, const AttachmentKey& key, std::string_view end) {
  const std::uint64_t hash = fnv1a({instance, key.network, key.container_id, key.ifname, end});
  net::Mac mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) mac.bytes[i] = static_cast<std::uint8_t>(hash >> (8 * i + 8));
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & ~0x01) | 0x02);
  return mac;
}

}  // namespace millrace::control::agent
