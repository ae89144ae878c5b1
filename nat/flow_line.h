/// Flow lines: what the switch remembers of a connection, one line for each direction.
///
/// Shape:   a flow is a pair of lines that lie side by side: the original direction (of the packet that made the flow),
///          then the reply. A line is found by the tuple of a packet as it arrives and says what to do with it: the
///          tuple it leaves with, what that changes in its checksums, the port it leaves by. 64 bytes for IPv4, 128 for
///          IPv6.
///          Ports are in host order, as in net::Headers; ICMP echo has its identifier in both.
/// Epoch:   a line is right for the snapshot whose epoch it carries (datapath/snapshot.h). A packet that finds another
///          one there asks again for route, backend and policy, and keeps the translation.
/// Thread:  the owning worker only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "net/address.h"
#include "net/flow_key.h"
#include "net/packet.h"

namespace millrace::nat {

/// Milliseconds of the worker's clock. Wraps after 49 days: compare differences only.
using TickMs = std::uint32_t;

enum class Direction : std::uint8_t { kOriginal, kReply };

/// The tuple a packet leaves with.
template <typename Address>
struct Translation {
  Address source;
  Address destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  friend bool operator==(const Translation&, const Translation&) = default;
};

/// Bits of FlowLine::flags.
namespace line_flag {
inline constexpr std::uint8_t kReply = 1 << 0;       // the second line of its pair
inline constexpr std::uint8_t kTranslates = 1 << 1;  // the translation is not the tuple itself
inline constexpr std::uint8_t kService = 1 << 2;     // the destination is a backend of a frontend (of the pair)
inline constexpr std::uint8_t kMasquerade = 1 << 3;  // the source is a port of the worker's PortPool (of the pair)
inline constexpr std::uint8_t kOutside = 1 << 4;     // came past the tunnel to its source: answers do too (of the pair)
inline constexpr std::uint8_t kSeen = 1 << 5;        // a packet went this way
inline constexpr std::uint8_t kSteady = 1 << 6;      // is_steady() of the pair's timer; FlowTable::set_timer keeps it
inline constexpr std::uint8_t kForwarded = 1 << 7;   // another worker has tracked the packet before (of the pair)
}  // namespace line_flag

template <typename FlowKey, typename IpAddress>
struct alignas(64) FlowLine {
  using Key = FlowKey;
  using Address = IpAddress;

  Key key;                     // the tuple a packet arrives with
  std::uint8_t flags = 0;      // line_flag
  std::uint8_t tcp_flags = 0;  // what this direction has sent: tcp_state.h
  Translation<Address> to;     // the tuple it leaves with; the key when nothing is translated
  std::uint16_t l3_delta = 0;  // what the translation adds to the IPv4 header's sum (memory order, RFC 1624 eq. 3)
  std::uint16_t l4_delta = 0;  // the same for a checksum over the pseudo header and ports
  net::PortId out_port = net::kNoPort;
  std::uint16_t worker = 0;  // that the packet goes to next: of out_port, or of the masquerade port it is sent to
  std::uint32_t epoch = 0;
  std::uint64_t seen : 16 = 0;     // steady pairs: tick of the last touch noted, in kSeenGrainMs (flow_table.h)
  std::uint64_t packets : 48 = 0;  // in this direction; enough for 20 Mpps for five months
  std::uint64_t bytes = 0;         // of IP packets
  std::uint32_t tcp_end = 0;       // sequence number behind the last byte sent in this direction
  std::uint32_t tcp_ack = 0;       // highest acknowledgement sent in this direction

  bool is_reply() const noexcept { return (flags & line_flag::kReply) != 0; }
  bool translates() const noexcept { return (flags & line_flag::kTranslates) != 0; }
  /// An ordinary packet cannot change the flow's timer: nothing but this line is needed to send it on.
  bool is_steady() const noexcept { return (flags & line_flag::kSteady) != 0; }
  /// The other direction. Precondition: this line lies in a table.
  FlowLine& partner() noexcept { return *(is_reply() ? this - 1 : this + 1); }
  const FlowLine& partner() const noexcept { return *(is_reply() ? this - 1 : this + 1); }
  FlowLine& original() noexcept { return is_reply() ? *(this - 1) : *this; }
  const FlowLine& original() const noexcept { return is_reply() ? *(this - 1) : *this; }
};

using FlowLineV4 = FlowLine<net::FlowKeyV4, net::Ipv4>;
using FlowLineV6 = FlowLine<net::FlowKeyV6, net::Ipv6>;
static_assert(sizeof(FlowLineV4) == 64);
static_assert(sizeof(FlowLineV6) == 128);

}  // namespace millrace::nat
