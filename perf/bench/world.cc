#include "perf/bench/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>

namespace millrace::perf::bench {
namespace {

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
  worker_ =
      std::make_unique<datapath::Worker>(datapath::WorkerId{0}, shape.flows, publisher_, pool_, *rings_, counters_);

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
    port.mac = mac_of_port(i);
    port.addresses = {net::IpAddress::from(pod_address(i)), net::IpAddress::from(ipv6_of(pod_address(i)))};
    spec.ports.push_back(port);
  }
  auto built = datapath::build_snapshot(spec, nullptr);
  if (!built) fail(built.error().message.c_str());
  publisher_.publish(std::move(built).value());
}

void World::write_packet(net::Packet& packet, unsigned from, unsigned to) {
  constexpr std::uint16_t kSourcePort = 4000, kDestinationPort = 53;
  write_frame(packet,
              {.family = shape_.family,
               .source_mac = mac_of_port(from),
               .source = pod_address(from),
               .destination = pod_address(to),
               .source_port = kSourcePort,
               .destination_port = kDestinationPort,
               .bytes = shape_.frame_bytes,
               .checksum_left_to_offload = shape_.checksum_left_to_offload},
              static_cast<net::PortId>(from));
}

void World::rewind() noexcept {
  for (std::size_t i = 0; i < packets_.size(); ++i) {
    *packets_[i] = first_[i].packet;
    std::memcpy(packets_[i]->data, first_[i].head.data(),
                std::min<std::size_t>(first_[i].head.size(), shape_.frame_bytes));
  }
}

}  // namespace millrace::perf::bench
