#include "perf/bench/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>

#include "net/checksum.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::perf::bench {
namespace {

using namespace millrace;

constexpr net::Mac kGatewayMac{{0x02, 0x4d, 0x52, 0, 0, 1}};

net::Mac mac_of(unsigned endpoint) {
  return {{0x02, 0, 0, 0, static_cast<std::uint8_t>(endpoint >> 8), static_cast<std::uint8_t>(endpoint)}};
}
net::Ipv4 v4_of(unsigned endpoint) { return net::Ipv4::from_host(0x0a010000 + endpoint); }
net::Ipv6 v6_of(unsigned endpoint) {
  net::Ipv6 address;
  address.bytes[0] = 0xfd;
  address.bytes[14] = static_cast<std::uint8_t>(endpoint >> 8);
  address.bytes[15] = static_cast<std::uint8_t>(endpoint);
  return address;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench world: %s\n", what);
  std::exit(1);
}

}  // namespace

World::World(const WorldShape& shape)
    : shape_(shape),
      pool_(shape.packet_count),
      rings_(datapath::make_handoff_rings(1, nullptr, nullptr)),
      counters_(shape.endpoints) {
  if (shape.endpoints < 2) throw std::invalid_argument("a world has at least two pods: one sends to another");
  for (unsigned i = 0; i < shape.endpoints; ++i) ports_.push_back(std::make_unique<datapath::MemoryPort>());
  publish();
  worker_ = std::make_unique<datapath::Worker>(datapath::WorkerId{0}, shape.flows, publisher_, pool_, *rings_, counters_);

  std::mt19937 random(1);
  for (unsigned i = 0; i < shape.packet_count; ++i) {
    const auto from = static_cast<unsigned>(std::uint64_t{i} * shape.endpoints / shape.packet_count);
    const unsigned to = (from + 1 + static_cast<unsigned>(random()) % (shape.endpoints - 1)) % shape.endpoints;
    net::Packet* packet = pool_.allocate();
    write_packet(*packet, from, to);
    packets_.push_back(packet);
    First first{*packet, {}};
    std::memcpy(first.head.data(), packet->data, std::min<std::size_t>(first.head.size(), packet->head_bytes));
    first_.push_back(first);
  }
}

void World::publish() {
  datapath::SnapshotSpec spec;
  spec.generation = 1;
  spec.port_limit = shape_.endpoints;
  spec.worker_count = 1;
  spec.gateway.mac = kGatewayMac;
  spec.gateway.ipv4 = net::Ipv4::from_host(0xa9fe0101);
  spec.gateway.ipv6 = net::Ipv6::parse("fe80::1").value();
  for (unsigned i = 0; i < shape_.endpoints; ++i) {
    datapath::PortSpec port;
    port.id = static_cast<net::PortId>(i);
    port.name = std::to_string(i);
    port.port = ports_[i].get();
    port.mtu_bytes = 1500;
    port.mac = mac_of(i);
    port.addresses = {net::IpAddress::from(v4_of(i)), net::IpAddress::from(v6_of(i))};
    spec.ports.push_back(port);
  }
  auto built = datapath::build_snapshot(spec, nullptr);
  if (!built) fail(built.error().message.c_str());
  publisher_.publish(std::move(built).value());
}

void World::write_packet(net::Packet& packet, unsigned from, unsigned to) {
  packet.head_bytes = packet.length_bytes = shape_.frame_bytes;
  packet.in_port = static_cast<net::PortId>(from);
  std::uint8_t* const frame = packet.data;
  std::memset(frame, 0x5a, shape_.frame_bytes);
  const bool is_v4 = shape_.family == Family::kIpv4;
  net::view<net::EthernetHeader>(frame) = {kGatewayMac, mac_of(from),
                                           is_v4 ? net::ether_type::kIpv4 : net::ether_type::kIpv6};
  const std::uint32_t ip_bytes = shape_.frame_bytes - static_cast<std::uint32_t>(sizeof(net::EthernetHeader));
  const std::uint32_t header_bytes = is_v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
  const auto udp_bytes = static_cast<std::uint16_t>(ip_bytes - header_bytes);
  std::uint8_t* const ip = frame + sizeof(net::EthernetHeader);
  net::Sum pseudo = 0;
  if (is_v4) {
    auto& header = net::view<net::Ipv4Header>(ip);
    header = {.version_ihl = 0x45,
              .tos = 0,
              .total_length = net::Be16(static_cast<std::uint16_t>(ip_bytes)),
              .id = {},
              .flags_offset = net::Be16(net::Ipv4Header::kDontFragment),
              .ttl = 64,
              .protocol = net::ip_protocol::kUdp,
              .checksum = {},
              .source = v4_of(from),
              .destination = v4_of(to)};
    net::set_ipv4_checksum(header);
    pseudo = net::pseudo_header_sum(header.source, header.destination, net::ip_protocol::kUdp, udp_bytes);
  } else {
    net::view<net::Ipv6Header>(ip) = {.version_class_flow = net::Be32(6u << 28),
                                      .payload_length = net::Be16(udp_bytes),
                                      .next_header = net::ip_protocol::kUdp,
                                      .hop_limit = 64,
                                      .source = v6_of(from),
                                      .destination = v6_of(to)};
    pseudo = net::pseudo_header_sum(v6_of(from), v6_of(to), net::ip_protocol::kUdp, udp_bytes);
  }
  auto& udp = net::view<net::UdpHeader>(ip + header_bytes);
  udp = {net::Be16(4000), net::Be16(53), net::Be16(udp_bytes), {}};
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone)
    fail("a packet does not parse");
  if (shape_.checksum_left_to_offload) {
    udp.checksum = net::Be16::from_raw(net::fold(pseudo));
  } else if (!net::complete_l4_checksum(packet.head(), packet.headers)) {
    fail("a checksum cannot be completed");
  }
}

void World::rewind() noexcept {
  for (std::size_t i = 0; i < packets_.size(); ++i) {
    *packets_[i] = first_[i].packet;
    std::memcpy(packets_[i]->data, first_[i].head.data(),
                std::min<std::size_t>(first_[i].head.size(), shape_.frame_bytes));
  }
}

}  // namespace millrace::perf::bench
