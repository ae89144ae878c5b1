/// PortPool: the ports of one address that a worker may give to sources it masquerades.
///
/// Shape:   an inside endpoint (address, port, protocol) has one outside port for all its destinations, for as long as
///          one of its flows lives (endpoint-independent mapping); an outside port of a protocol belongs to one inside
///          endpoint (no overloading). TCP, UDP, SCTP and ICMP identifiers are counted apart. Ports lie in
///          [first, first + count): the worker's blocks, so that from a port alone its owner is known (datapath/steer.h).
///          A port that was released is the last to be given again: late packets of the flow before meet nobody.
///          Port parity and well-known range are not kept (RFC 4787 REQ-4 is for those that overload ranges).
/// Size:    `count` mappings a protocol; 32 bytes each; fixed at construction.
/// Thread:  the owning worker; construction: control. Never allocates afterwards.
/// Source:  RFC 4787 REQ-1, REQ-3; RFC 5382 REQ-1, REQ-7; RFC 5508 REQ-1; RFC 7857 section 3.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "net/address.h"

namespace millrace::nat {

template <typename Address>
struct InsideEndpoint {
  Address address;
  std::uint16_t port = 0;   // ICMP: the identifier
  std::uint8_t protocol = 0;  // TCP, UDP, SCTP, ICMP or ICMPv6; no other has ports
  friend bool operator==(const InsideEndpoint&, const InsideEndpoint&) = default;
};

struct PortRange {
  std::uint16_t first = 0;
  std::uint32_t count = 0;
  bool holds(std::uint16_t port) const noexcept { return port >= first && static_cast<std::uint32_t>(port - first) < count; }
};

template <typename Address>
class PortPool {
 public:
  PortPool(PortRange range, std::uint64_t seed);
  ~PortPool();

  /// The endpoint's outside port, bound if it has none, held once more. nullopt: none is free
  /// (Drop::kSnatPortsExhausted); a live binding is never taken away.
  std::optional<std::uint16_t> take(const InsideEndpoint<Address>& inside) noexcept;
  /// Gives back one hold of take(). Precondition: it was taken.
  void release(std::uint8_t protocol, std::uint16_t outside_port) noexcept;
  /// Who has the outside port.
  std::optional<InsideEndpoint<Address>> inside_of(std::uint8_t protocol, std::uint16_t outside_port) const noexcept;

  std::uint32_t used(std::uint8_t protocol) const noexcept;
  PortRange range() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;  // contract sketch
};

}  // namespace millrace::nat
