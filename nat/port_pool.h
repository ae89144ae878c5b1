/// PortPool: the ports of one address that a worker may give to sources it masquerades.
///
/// Shape:   an inside endpoint (address, port, protocol) has one outside port for all its destinations, for as long as
///          one of its flows lives (endpoint-independent mapping); an outside port of a protocol belongs to one inside
///          endpoint (no overloading). TCP, UDP, SCTP and ICMP identifiers are counted apart. Ports lie in
///          [first, first + count): the worker's blocks, so that from a port alone its owner is known
///          (datapath/steer.h). Ports are given in an order shuffled by the seed (RFC 6056 3.3: not to be guessed from
///          outside); one that was released is the last to be given again: late packets of the flow before meet nobody.
///          Port parity and well-known range are not kept (RFC 4787 REQ-4 is for those that overload ranges).
///          Two connections of one endpoint to one destination need two outside ports (take_apart()): an endpoint sees
///          them as two destinations when services stand before one. Such a port serves one connection alone.
/// Size:    `count` mappings a protocol, fixed at construction: 22 to 30 bytes each for IPv4, 34 to 42 for IPv6.
/// Hash:    keyed with the seed: who chooses inside endpoints cannot choose the slots.
/// Thread:  the owning worker; construction: control. Never allocates afterwards.
/// Source:  RFC 4787 REQ-1, REQ-3; RFC 5382 REQ-1, REQ-7; RFC 5508 REQ-1; RFC 6056; RFC 7857 section 3.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "net/address.h"

namespace millrace::nat {

template <typename Address>
struct InsideEndpoint {
  Address address;
  std::uint16_t port = 0;     // ICMP: the identifier
  std::uint8_t protocol = 0;  // TCP, UDP, SCTP, ICMP or ICMPv6; no other has ports
  friend bool operator==(const InsideEndpoint&, const InsideEndpoint&) = default;
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint32_t count = 0;  // first + count <= 65536; 0: no ports
  bool holds(std::uint16_t port) const noexcept {
    return port >= first && static_cast<std::uint32_t>(port - first) < count;
  }
};

namespace internal {

/// The ports of one protocol. Index: port - first.
template <typename Address>
class PortSpace {
 public:
  PortSpace(std::uint32_t count, std::uint64_t seed);

  /// Index of the endpoint's port, held once more; nullopt: none is free.
  std::optional<std::uint32_t> take(const Address& address, std::uint16_t port) noexcept;
  /// Index of a port that nobody has, held once; take() does not find it.
  std::optional<std::uint32_t> take_apart(const Address& address, std::uint16_t port) noexcept;
  void release(std::uint32_t index) noexcept;
  void prefetch(const Address& address, std::uint16_t port) const noexcept {
    __builtin_prefetch(&slots_[slot_of(address, port)], 1);
  }

  struct Binding {
    Address address;
    std::uint16_t port = 0;
    bool is_apart = false;    // no slot leads here
    std::uint32_t holds = 0;  // 0: free
  };
  const Binding& binding(std::uint32_t index) const noexcept { return bindings_[index]; }
  /// Of new bindings to come: this one's memory is asked for while that one is made.
  static constexpr std::uint32_t kBindingsAhead = 4;

  std::uint32_t used() const noexcept { return static_cast<std::uint32_t>(bindings_.size()) - free_count_; }

 private:
  std::uint32_t slot_of(const Address& address, std::uint16_t port) const noexcept;
  std::uint32_t next_free() noexcept;
  void unlink(std::uint32_t slot) noexcept;

  std::uint64_t seed_;
  std::vector<Binding> bindings_;
  std::vector<std::uint16_t> free_;  // ring: indexes in the order they are given
  std::uint32_t free_first_ = 0;
  std::uint32_t free_count_;
  // Open addressing, linear probing, at most half full: 1 + index, 0 where nothing is. A removal moves those behind it
  // back, so nothing is left to be skipped.
  std::vector<std::uint32_t> slots_;
  std::uint32_t slot_mask_;
};

}  // namespace internal

template <typename Address>
class PortPool {
 public:
  PortPool(PortRange range, std::uint64_t seed);

  /// The endpoint's outside port, bound if it has none, held once more. nullopt: none is free
  /// (Drop::kSnatPortsExhausted), or the protocol has no ports; a live binding is never taken away.
  std::optional<std::uint16_t> take(const InsideEndpoint<Address>& inside) noexcept;
  /// Another port than take()'s for one connection of the endpoint, whose own leads to the same destination already.
  /// nullopt as take().
  std::optional<std::uint16_t> take_apart(const InsideEndpoint<Address>& inside) noexcept;
  /// Brings to the cache what take() will read for the endpoint first.
  void prefetch(const InsideEndpoint<Address>& inside) const noexcept;
  /// Gives back one hold of take() or take_apart(). Precondition: it was taken.
  void release(std::uint8_t protocol, std::uint16_t outside_port) noexcept;
  /// Who has the outside port.
  std::optional<InsideEndpoint<Address>> inside_of(std::uint8_t protocol, std::uint16_t outside_port) const noexcept;

  std::uint32_t used(std::uint8_t protocol) const noexcept;
  PortRange range() const noexcept { return range_; }

 private:
  static constexpr unsigned kSpaces = 4;
  /// nullptr: a protocol without ports.
  internal::PortSpace<Address>* space_of(std::uint8_t protocol) noexcept;
  const internal::PortSpace<Address>* space_of(std::uint8_t protocol) const noexcept;

  PortRange range_;
  std::array<internal::PortSpace<Address>, kSpaces> spaces_;
};

}  // namespace millrace::nat
