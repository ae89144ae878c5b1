#include "perf/gen/stream/description.h"

#include "net/wire.h"

namespace millrace::perf::gen {
namespace {

std::uint32_t l4_bytes(Protocol protocol) {
  switch (protocol) {
    case Protocol::kUdp: return sizeof(net::UdpHeader);
    case Protocol::kTcp: return sizeof(net::TcpHeader);
    case Protocol::kIcmp: return sizeof(net::IcmpHeader);
    case Protocol::kSctp: return sizeof(net::SctpHeader) + 16;  // a DATA chunk's header (RFC 9260 3.3.1)
  }
  return 0;
}

}  // namespace

std::uint32_t header_bytes(const StreamDescription& stream) {
  const std::size_t ip = stream.source_ip.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  return static_cast<std::uint32_t>(sizeof(net::EthernetHeader) + stream.vlans.size() * sizeof(net::VlanTag) + ip) +
         l4_bytes(stream.protocol);
}

std::uint32_t tunnel_bytes(const StreamDescription& stream) {
  if (!stream.vxlan) return 0;
  const std::size_t ip = stream.vxlan->source.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  return static_cast<std::uint32_t>(sizeof(net::EthernetHeader) + ip + sizeof(net::UdpHeader) +
                                    sizeof(net::VxlanHeader));
}

double mean_wire_bytes(const StreamDescription& stream) {
  double bytes = 0, weights = 0;
  for (const SizeShare& size : stream.sizes) {
    bytes += static_cast<double>(size.bytes) * size.weight;
    weights += size.weight;
  }
  return (weights > 0 ? bytes / weights : 0) + kWireOverheadBytes + tunnel_bytes(stream);
}

double packets_per_second(const StreamDescription& stream, double link_bps) {
  switch (stream.rate.unit) {
    case Rate::Unit::kMaximum: return 0;
    case Rate::Unit::kPacketsPerSecond: return stream.rate.value;
    case Rate::Unit::kBitsPerSecond: return stream.rate.value / 8 / mean_wire_bytes(stream);
    case Rate::Unit::kPercent: return stream.rate.value / 100 * link_bps / 8 / mean_wire_bytes(stream);
  }
  return 0;
}

}  // namespace millrace::perf::gen
