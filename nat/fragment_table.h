/// FragmentTable: the ports of a fragmented packet, remembered from its first fragment for those that follow.
///
/// Shape:   a small set-associative table keyed by source, destination, identification and, for IPv4, the protocol. In
///          IPv6 that is a value too: the later fragments name the header behind the fragment header, which may be an
///          extension (RFC 8200 4.5 keys without it). An entry lives kFragmentLifetimeMs from its first fragment and is
///          replaced by newer ones, oldest of its set first. A fragment that comes before its first is not kept back:
///          it is dropped by name (Drop::kFragmentWithoutFirst; RFC 4787 REQ-14 asks for order only). Protocols without
///          ports need no entry: their fragments go on in any order.
/// Hash:    keyed with the seed: who sends fragments cannot choose the set.
/// Thread:  the owning worker; fixed size. Never allocates after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nat/address_words.h"
#include "nat/flow_line.h"
#include "net/packet.h"

namespace millrace::nat {

inline constexpr TickMs kFragmentLifetimeMs = 30'000;  // RFC 791: reassembly gives up earlier; RFC 8200 4.5: 60 s
inline constexpr unsigned kFragmentTableSize = 4096;
inline constexpr unsigned kFragmentWays = 4;

class FragmentTable {
 public:
  explicit FragmentTable(std::uint64_t seed);
  /// A first fragment is noted; a later one gets its ports into packet.headers, and in IPv6 the protocol (has_l4 stays
  /// false). False: a later fragment whose first was not seen. Precondition: parsed, headers.is_fragment.
  bool follow(net::Packet& packet, TickMs now) noexcept;

  // For who asks before it is clear that a packet is the switch's (datapath/uplink_filter.h).
  /// Notes a first fragment, of any protocol.
  void note_first(const net::Packet& packet, TickMs now) noexcept;
  /// Whether the first fragment of a later one was noted.
  bool knows(const net::Packet& packet, TickMs now) noexcept;
  /// The next fragments of this packet are not known any more.
  void forget(const net::Packet& packet) noexcept;

 private:
  struct Key {
    AddressWords source;
    AddressWords destination;
    std::uint32_t id = 0;
    std::uint8_t family = 0;    // 4, 6; 0: no entry
    std::uint8_t protocol = 0;  // IPv6: 0
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Entry {
    Key key;
    TickMs begin = 0;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t l4_protocol = 0;
  };

  static Key key_of(const net::Packet& packet) noexcept;
  std::span<Entry> set_of(const Key& key) noexcept;
  Entry* find(const Key& key, TickMs now) noexcept;
  void note(const Key& key, const net::Headers& headers, TickMs now) noexcept;

  std::vector<Entry> entries_;
  std::uint64_t seed_;
};

}  // namespace millrace::nat
