/// FragmentTable: the ports of a fragmented packet, remembered from its first fragment for those that follow.
///
/// Shape:   a small set-associative table keyed by source, destination, protocol and identification; an entry lives
///          kFragmentLifetime and is replaced by newer ones, oldest of its set first. A fragment that comes before its
///          first is not kept back: it is dropped by name (kFragmentWithoutFirst; RFC 4787 REQ-14 asks for order only).
/// Thread:  the owning worker; fixed size.
#pragma once

#include <cstdint>
#include <memory>

#include "nat/flow_line.h"
#include "net/packet.h"

namespace millrace::nat {

inline constexpr TickMs kFragmentLifetimeMs = 30'000;  // RFC 791: reassembly gives up earlier; RFC 8200 4.5: 60 s
inline constexpr unsigned kFragmentTableSize = 4096;

class FragmentTable {
 public:
  explicit FragmentTable(std::uint64_t seed);
  ~FragmentTable();
  /// A first fragment is noted; a later one gets its ports into packet.headers (has_l4 stays false).
  /// False: a later fragment whose first was not seen. Precondition: parsed, headers.is_fragment.
  bool follow(net::Packet& packet, TickMs now) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;  // contract sketch
};

}  // namespace millrace::nat
