/// Wire formats as C++ structs, and the only two ways to lay one over bytes.
///
/// Shape:   every struct has alignment 1, no padding and the size the standard gives it, so it may start at any
///          address. Multi-byte fields are Be16/Be32: no host integer can be read from or written to one by accident.
/// Reading: `at<T>(span, offset)` checks bounds and answers nullptr; `read<T>` copies. `view<T>(pointer)` does not
///          check: only for offsets that parse() has proven (Headers) or for a packet one is building.
/// Thread:  plain values, any thread.
/// Source:  IEEE 802.3, 802.1Q; RFC 826, 791, 8200, 9293, 768, 9260, 792, 4443, 4861, 4302, 7348, 2131 fields by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "net/address.h"
#include "net/byte_order.h"

namespace millrace::net {

template <typename T>
concept WireFormat = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && alignof(T) == 1;

/// The T at `offset` bytes, or nullptr when it does not lie wholly inside `bytes`.
template <WireFormat T>
const T* at(std::span<const std::uint8_t> bytes, std::size_t offset) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return nullptr;
  return reinterpret_cast<const T*>(bytes.data() + offset);
}
template <WireFormat T>
T* at(std::span<std::uint8_t> bytes, std::size_t offset) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return nullptr;
  return reinterpret_cast<T*>(bytes.data() + offset);
}

/// A copy of the T at `offset` bytes, or nullopt when it does not lie wholly inside `bytes`.
template <WireFormat T>
std::optional<T> read(std::span<const std::uint8_t> bytes, std::size_t offset) noexcept {
  const T* found = at<T>(bytes, offset);
  if (found == nullptr) return std::nullopt;
  return *found;
}

/// The T at `bytes`. Precondition: sizeof(T) bytes are there.
template <WireFormat T>
T& view(std::uint8_t* bytes) noexcept {
  return *reinterpret_cast<T*>(bytes);
}
template <WireFormat T>
const T& view(const std::uint8_t* bytes) noexcept {
  return *reinterpret_cast<const T*>(bytes);
}

namespace ether_type {
inline constexpr Be16 kIpv4{0x0800}, kArp{0x0806}, kVlan{0x8100}, kIpv6{0x86dd}, kQinQ{0x88a8};
/// Smaller values are the length of an IEEE 802.3 frame, not a type.
inline constexpr std::uint16_t kSmallest = 0x0600;
}  // namespace ether_type

struct EthernetHeader {
  Mac destination;
  Mac source;
  Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && WireFormat<EthernetHeader>);

/// What follows the type 0x8100 or 0x88a8.
struct VlanTag {
  Be16 control;  // priority 3 bits, drop eligible 1, id 12
  Be16 type;     // of what follows

  std::uint16_t id() const noexcept { return control.host() & 0x0fff; }
};
static_assert(sizeof(VlanTag) == 4 && WireFormat<VlanTag>);

/// ARP for IPv4 over Ethernet (RFC 826).
struct ArpPacket {
  static constexpr std::uint16_t kHardwareEthernet = 1, kRequest = 1, kReply = 2;

  Be16 hardware_type;
  Be16 protocol_type;
  std::uint8_t hardware_length;
  std::uint8_t protocol_length;
  Be16 operation;
  Mac sender_mac;
  Ipv4 sender_ip;
  Mac target_mac;
  Ipv4 target_ip;
};
static_assert(sizeof(ArpPacket) == 28 && WireFormat<ArpPacket>);

struct Ipv4Header {
  static constexpr std::uint16_t kReserved = 0x8000, kDontFragment = 0x4000, kMoreFragments = 0x2000,
                                 kOffsetMask = 0x1fff;

  std::uint8_t version_ihl;
  std::uint8_t tos;
  Be16 total_length;
  Be16 id;
  Be16 flags_offset;  // flags 3 bits, offset 13 bits in units of 8 bytes
  std::uint8_t ttl;
  std::uint8_t protocol;
  Be16 checksum;
  Ipv4 source;
  Ipv4 destination;

  std::uint8_t version() const noexcept { return static_cast<std::uint8_t>(version_ihl >> 4); }
  std::uint8_t header_bytes() const noexcept { return static_cast<std::uint8_t>((version_ihl & 0x0f) * 4); }
  bool dont_fragment() const noexcept { return (flags_offset.host() & kDontFragment) != 0; }
  bool more_fragments() const noexcept { return (flags_offset.host() & kMoreFragments) != 0; }
  std::uint32_t offset_bytes() const noexcept { return (flags_offset.host() & kOffsetMask) * 8u; }
};
static_assert(sizeof(Ipv4Header) == 20 && WireFormat<Ipv4Header>);

struct Ipv6Header {
  Be32 version_class_flow;  // version 4 bits, traffic class 8, flow label 20
  Be16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  Ipv6 source;
  Ipv6 destination;

  std::uint8_t version() const noexcept { return static_cast<std::uint8_t>(version_class_flow.host() >> 28); }
};
static_assert(sizeof(Ipv6Header) == 40 && WireFormat<Ipv6Header>);

/// Next-header numbers of IPv6 extension headers (RFC 8200 section 4).
namespace ipv6_next_header {
inline constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kEsp = 50, kAuthentication = 51, kNone = 59,
                              kDestination = 60, kMobility = 135;
}

/// What an extension header starts with; a fragment header has a length of its own.
struct Ipv6Extension {
  std::uint8_t next_header;
  std::uint8_t length_units;

  /// Bytes of this header, which is of the given kind: hop-by-hop, routing and destination options (RFC 8200 4.3) or
  /// authentication (RFC 4302 2.2).
  std::uint32_t bytes(std::uint8_t kind) const noexcept {
    if (kind == ipv6_next_header::kAuthentication) return (length_units + 2u) * 4u;
    return (length_units + 1u) * 8u;
  }
};
static_assert(sizeof(Ipv6Extension) == 2 && WireFormat<Ipv6Extension>);

struct Ipv6FragmentHeader {
  std::uint8_t next_header;
  std::uint8_t reserved;
  Be16 offset_flags;  // offset 13 bits in units of 8 bytes, reserved 2, more fragments 1
  Be32 id;

  bool more_fragments() const noexcept { return (offset_flags.host() & 1) != 0; }
  std::uint32_t offset_bytes() const noexcept { return offset_flags.host() & 0xfff8u; }
};
static_assert(sizeof(Ipv6FragmentHeader) == 8 && WireFormat<Ipv6FragmentHeader>);

struct TcpHeader {
  static constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20,
                                kEce = 0x40, kCwr = 0x80;

  Be16 source_port;
  Be16 destination_port;
  Be32 sequence;
  Be32 acknowledgment;
  std::uint8_t data_offset;  // upper 4 bits, units of 4 bytes
  std::uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;

  std::uint8_t header_bytes() const noexcept { return static_cast<std::uint8_t>((data_offset >> 4) * 4); }
};
static_assert(sizeof(TcpHeader) == 20 && WireFormat<TcpHeader>);

struct UdpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be16 length;
  Be16 checksum;  // 0 on IPv4: none was computed
};
static_assert(sizeof(UdpHeader) == 8 && WireFormat<UdpHeader>);

/// What follows UDP in VXLAN (RFC 7348 section 5); an Ethernet frame follows it.
struct VxlanHeader {
  static constexpr std::uint8_t kHasVni = 0x08;

  std::uint8_t flags;
  std::uint8_t reserved[3];  // zero, not looked at on arrival
  Be32 vni_reserved;         // VNI 24 bits, reserved 8

  std::uint32_t vni() const noexcept { return vni_reserved.host() >> 8; }
};
static_assert(sizeof(VxlanHeader) == 8 && WireFormat<VxlanHeader>);

/// What every DHCPv4 message has in front of its options (RFC 2131 section 2, figure 1; section 3 for the cookie).
struct DhcpMessage {
  static constexpr std::uint16_t kServerPort = 67, kClientPort = 68;
  static constexpr std::uint8_t kFromClient = 1, kFromServer = 2, kEthernet = 1;
  static constexpr std::uint32_t kCookie = 0x63825363;

  std::uint8_t op;
  std::uint8_t hardware_type;
  std::uint8_t hardware_length;
  std::uint8_t hops;
  Be32 transaction;
  Be16 seconds;
  Be16 flags;
  Ipv4 ciaddr;  // the client's address, when it has one
  Ipv4 yiaddr;  // the address it is given
  Ipv4 siaddr;  // the next server
  Ipv4 giaddr;  // the relay
  Mac chaddr;   // of the client, Ethernet
  std::uint8_t chaddr_rest[10];
  std::uint8_t sname[64];
  std::uint8_t file[128];
  Be32 cookie;
};
static_assert(sizeof(DhcpMessage) == 240 && WireFormat<DhcpMessage>);

struct SctpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 verification_tag;
  Be32 checksum;  // CRC32c, least significant byte first (RFC 9260 appendix A): use sctp_checksum()
};
static_assert(sizeof(SctpHeader) == 12 && WireFormat<SctpHeader>);

/// What each chunk of SCTP starts with (RFC 9260 3.2). Chunks are padded to 4 bytes; the length does not count that.
struct SctpChunk {
  static constexpr std::uint8_t kTagReflected = 0x01;  // ABORT, SHUTDOWN COMPLETE: the T bit

  std::uint8_t type;
  std::uint8_t flags;
  Be16 length;  // this header included
};
static_assert(sizeof(SctpChunk) == 4 && WireFormat<SctpChunk>);

/// INIT and INIT ACK without what follows the tag (RFC 9260 3.3.2).
struct SctpInitChunk {
  SctpChunk chunk;
  Be32 initiate_tag;  // what the other side's packets carry from now on; not 0
};
static_assert(sizeof(SctpInitChunk) == 8 && WireFormat<SctpInitChunk>);

namespace sctp_chunk {
inline constexpr std::uint8_t kData = 0, kInit = 1, kInitAck = 2, kHeartbeat = 4, kAbort = 6, kShutdown = 7,
                              kShutdownAck = 8, kCookieEcho = 10, kCookieAck = 11, kShutdownComplete = 14;
}

/// The 8 bytes that ICMP and ICMPv6 messages start with.
struct IcmpHeader {
  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  Be16 identifier;  // echo; upper half of `rest` elsewhere (packet too big: MTU)
  Be16 sequence;    // echo; fragmentation needed: next-hop MTU (RFC 1191)
};
static_assert(sizeof(IcmpHeader) == 8 && WireFormat<IcmpHeader>);

namespace icmp_type {
inline constexpr std::uint8_t kEchoReply = 0, kUnreachable = 3, kSourceQuench = 4, kRedirect = 5, kEchoRequest = 8,
                              kTimeExceeded = 11, kParameterProblem = 12;
}
namespace icmpv6_type {
inline constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4,
                              kFirstInformational = 128, kEchoRequest = 128, kEchoReply = 129,
                              kRouterSolicitation = 133, kRouterAdvertisement = 134, kNeighborSolicitation = 135,
                              kNeighborAdvertisement = 136, kRedirect = 137;
}

/// Neighbour solicitation and advertisement, without options (RFC 4861 4.3, 4.4).
struct NeighborMessage {
  static constexpr std::uint32_t kRouter = 0x80000000, kSolicited = 0x40000000, kOverride = 0x20000000;

  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  Be32 flags;  // reserved in a solicitation
  Ipv6 target;
};
static_assert(sizeof(NeighborMessage) == 24 && WireFormat<NeighborMessage>);

/// Source (1) or target (2) link-layer address option (RFC 4861 4.6.1) for Ethernet.
struct LinkLayerOption {
  static constexpr std::uint8_t kSource = 1, kTarget = 2;

  std::uint8_t type;
  std::uint8_t length_units;  // of 8 bytes: 1
  Mac mac;
};
static_assert(sizeof(LinkLayerOption) == 8 && WireFormat<LinkLayerOption>);

}  // namespace millrace::net
