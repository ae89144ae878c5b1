/// StreamDescription: what a stream of packets looks like, as a person wrote it, after every value was checked.
///
/// Shape:   sizes are bytes of a frame without its FCS (RFC 2544's 64 are 60 here). On the wire a frame takes
///          kWireOverheadBytes more. A stream varies by flows: packet k belongs to one flow number in [0, flows),
///          chosen by `order`, and each field is a function of that number. So 16 million flows need no memory.
/// Fields:  increment  first + (n / d % count) * step, where d is the product of the counts of the fields before it:
///                     the first field counts fastest, as the digits of an odometer
///          random     first + hash(n) % count * step: a flow always has the same value, two flows may share one
///          list       list[n / d % size]
///          Numbers are 32 bits wide at most: of MAC and IPv6 addresses they are the last four bytes; a list takes
///          whole ones.
/// Order:   in-turn 0, 1, 2 ..; shuffled: every flow once, in an order without a pattern, and again; random uniform;
/// zipf: flow n with weight 1 / (n + 1)^exponent.
/// Thread:  plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"

namespace millrace::perf::gen {

inline constexpr std::uint32_t kMaxFlows = 16'000'000;
inline constexpr std::uint32_t kMaxStreams = 256;  // what the tag's stream number tells apart
inline constexpr std::uint32_t kMaxPorts = 16;
inline constexpr std::uint32_t kMaxFields = 8;
inline constexpr std::uint32_t kMaxListValues = 65536;
inline constexpr std::uint32_t kMaxSizes = 16;
inline constexpr std::uint32_t kMaxSizeWeights = 1024;  // of all sizes of a stream together
inline constexpr std::uint32_t kMinFrameBytes = 60;
inline constexpr std::uint32_t kMaxFrameBytes = 3400;  // what a packet of the pool holds
inline constexpr std::uint32_t kMaxBurst = 65536;
inline constexpr std::uint32_t kWireOverheadBytes = 24;  // FCS 4, preamble 8, gap 12 (IEEE 802.3)

enum class Protocol : std::uint8_t { kUdp, kTcp, kSctp, kIcmp };
enum class FlowOrder : std::uint8_t { kInTurn, kShuffled, kRandom, kZipf };
enum class FieldMode : std::uint8_t { kIncrement, kRandom, kList };
enum class FieldName : std::uint8_t {
  kSourceMac,
  kDestinationMac,
  kVlan,
  kSourceIp,
  kDestinationIp,
  kSourcePort,  // of ICMP: the identifier
  kDestinationPort,
  kTtl,
  kDscp,
  kVni,
};

/// A field's value, as many bytes of it as the field has on the wire, in network order; numbers without bytes of their
/// own (VLAN, TTL, DSCP, VNI) are 4 bytes.
using FieldValue = std::array<std::uint8_t, 16>;

struct FieldDescription {
  FieldName name = FieldName::kSourcePort;
  FieldMode mode = FieldMode::kIncrement;
  FieldValue first{};
  std::uint32_t count = 1;
  std::uint32_t step = 1;
  std::vector<FieldValue> list;
};

struct SizeShare {
  std::uint32_t bytes = kMinFrameBytes;
  std::uint32_t weight = 1;
};

struct Vlan {
  std::uint16_t id = 0;
  std::uint8_t priority = 0;
};

/// The tunnel around a stream: outer IPv4 with a UDP checksum of 0 (RFC 7348), or IPv6 with one that is right (RFC 8200
/// 8.1); source port from the flow number. Both addresses are of one family, whatever that of the stream.
struct VxlanDescription {
  std::uint32_t vni = 0;
  net::Mac source_mac, destination_mac;  // of the outer frame
  net::IpAddress source, destination;
  std::uint16_t udp_port = 4789;
};

struct Rate {
  enum class Unit : std::uint8_t { kMaximum, kPacketsPerSecond, kBitsPerSecond, kPercent };
  Unit unit = Unit::kMaximum;
  double value = 0;  // bits: of the wire, overhead included
};

struct StreamDescription {
  std::string name;
  std::uint32_t port = 0;  // which of the run's ports sends it
  net::Mac source_mac, destination_mac;
  std::vector<Vlan> vlans;  // outer first, at most two
  net::IpAddress source_ip, destination_ip;
  Protocol protocol = Protocol::kUdp;
  std::uint16_t source_port = 1024, destination_port = 8080;
  std::uint8_t ttl = 64, dscp = 0, tcp_flags = 0;
  std::optional<VxlanDescription> vxlan;
  std::vector<SizeShare> sizes;  // of the inner frame when there is a tunnel
  Rate rate;
  std::uint32_t burst = 1;  // packets that are due together
  std::uint32_t flows = 1;
  FlowOrder order = FlowOrder::kInTurn;
  double zipf_exponent = 1;
  std::uint64_t seed = 1;
  std::vector<FieldDescription> fields;
  bool own_fields = false;  // somebody chose them
  std::string replay;       // a pcap file to send in place of all the above but port, rate and name; empty: none
};

struct Profile {
  double link_bps = 10e9;  // what percent are of
  std::vector<StreamDescription> streams;
};

/// Mean bytes of a stream's frames on the wire, tunnel and overhead included.
double mean_wire_bytes(const StreamDescription& stream);

/// The stream's rate as packets a second; 0: as fast as possible.
double packets_per_second(const StreamDescription& stream, double link_bps);

/// Bytes in front of the payload, tunnel excluded: Ethernet, VLAN tags, IP, L4.
std::uint32_t header_bytes(const StreamDescription& stream);

/// Bytes that the tunnel adds; 0 without one.
std::uint32_t tunnel_bytes(const StreamDescription& stream);

}  // namespace millrace::perf::gen
