// Flow tables as the tests of this room make them: keys by number, and an observer that remembers.
#pragma once

#include <cstdint>
#include <vector>

#include "nat/flow_table.h"

namespace millrace::nat::tests {

/// A different tuple for each number; no two are each other's reverse.
template <typename Key>
Key key_number(std::uint32_t number) {
  Key key;
  if constexpr (sizeof(key.source) == 4) {
    key.source = net::Ipv4::from_host(0x0a000000u + (number >> 12));
    key.destination = net::Ipv4::from_host(0xc0a80001u);
  } else {
    key.source.bytes = {0xfd, 0, 0, 1};
    key.destination.bytes = {0xfd, 0, 0, 2};
    key.source.bytes[13] = static_cast<std::uint8_t>(number >> 28);
    key.source.bytes[14] = static_cast<std::uint8_t>(number >> 20);
    key.source.bytes[15] = static_cast<std::uint8_t>(number >> 12);
  }
  key.source_port = static_cast<std::uint16_t>(0x8000 | (number & 0xfff));
  key.destination_port = 443;
  key.protocol = 6;
  return key;
}

/// Keeps the original tuple of every flow that ended.
template <typename Line>
class Ends : public FlowObserver<Line> {
 public:
  void flow_ends(const Line& original) noexcept override { keys.push_back(original.key); }
  std::vector<typename Line::Key> keys;
};

/// A table with its observer.
template <typename Line>
struct Table : private Ends<Line>, public FlowTable<Line> {
  using Key = typename Line::Key;

  explicit Table(std::size_t limit = kMinFlowLimit, std::uint64_t seed = 1, const Timeouts& timeouts = {})
      : FlowTable<Line>(limit, seed, timeouts, *this) {}

  using Ends<Line>::keys;
  std::vector<Key>& ended() { return keys; }

  /// Flow `number`: its key one way and the reverse the other. nullptr when it could not be made.
  Line* add(std::uint32_t number, FlowTimer timer = FlowTimer::kTcpEstablished, TickMs now = 0) {
    Line* line = nullptr;
    const Key key = key_number<Key>(number);
    return this->insert(key, key.reversed(), timer, now, line) == Inserted::kOk ? line : nullptr;
  }
  Line* get(std::uint32_t number) { return this->find(key_number<Key>(number)); }
};

}  // namespace millrace::nat::tests
