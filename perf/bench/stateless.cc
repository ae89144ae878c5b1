#include "perf/bench/stateless.h"

#include <algorithm>
#include <array>
#include <exception>

#include "datapath/answer.h"
#include "datapath/forward.h"
#include "datapath/guard.h"
#include "datapath/rewrite.h"
#include "net/parser.h"

namespace millrace::perf::bench {
namespace {

using net::Drop;

// As in datapath/pipeline.cc.
constexpr unsigned kHeadersAhead = 8;
constexpr unsigned kDescriptorsAhead = 16;

void prefetch_headers(const net::Packet* packet) noexcept { __builtin_prefetch(packet->data, 1); }
void prefetch_descriptor(const net::Packet* packet) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet);
  __builtin_prefetch(bytes, 1);
  __builtin_prefetch(bytes + 64, 1);
}

void expect(bool is_right) noexcept {
  if (!is_right) [[unlikely]]
    std::terminate();
}

template <typename Header>
void forward(net::Packet& packet, const Header& ip, const datapath::Snapshot& snapshot) noexcept {
  expect(datapath::check_destination(ip.destination) == Drop::kNone);
  expect(!net::ethernet(packet).destination.is_multicast());
  const net::PortId out = snapshot.routes.lookup(ip.destination);
  expect(out != net::kNoPort && out != packet.in_port && packet.headers.ttl > 1);
  packet.out_port = out;
  expect(!datapath::needs_fragments(packet, snapshot.ports[out]));
  net::decrement_ttl(packet);
}

}  // namespace

bool Stateless::poll(net::PortId id) noexcept {
  const datapath::Snapshot& snapshot = world_.snapshot();
  const datapath::PortEntry& in = snapshot.ports[id];
  std::array<net::Packet*, datapath::kBurst> packets;
  const unsigned count = in.port->receive(packets);
  if (count == 0) return false;
  for (unsigned i = 0; i < std::min(count, kDescriptorsAhead); ++i) prefetch_descriptor(packets[i]);
  for (unsigned i = 0; i < std::min(count, kHeadersAhead); ++i) prefetch_headers(packets[i]);
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (i + kDescriptorsAhead < count) prefetch_descriptor(packets[i + kDescriptorsAhead]);
    if (i + kHeadersAhead < count) prefetch_headers(packets[i + kHeadersAhead]);
    net::Packet& packet = *packets[i];
    packet.in_port = id;
    packet.out_port = net::kNoPort;
    bytes += packet.length_bytes;
    expect(net::parse(packet.head(), packet.length_bytes, packet.headers) == Drop::kNone);
  }
  world_.counters().port(id).rx_packets.add(count);
  world_.counters().port(id).rx_bytes.add(bytes);
  for (unsigned i = 0; i < count; ++i) expect(datapath::guard(*packets[i], in, snapshot) == Drop::kNone);
  for (unsigned i = 0; i < count; ++i) {
    expect(datapath::answer(*packets[i], snapshot) == Drop::kNone && packets[i]->out_port == net::kNoPort);
  }
  for (unsigned i = 0; i < count; ++i) {
    net::Packet& packet = *packets[i];
    if (packet.headers.l3 == net::L3::kIpv4) {
      forward(packet, net::ipv4(packet), snapshot);
    } else {
      forward(packet, net::ipv6(packet), snapshot);
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    datapath::rewrite(*packets[i], snapshot.ports[packets[i]->out_port], snapshot.gateway);
    outbox_.put(*packets[i]);
  }
  return count == datapath::kBurst;
}

void Stateless::step() noexcept {
  const datapath::Snapshot& snapshot = world_.snapshot();
  for (bool is_more = true; is_more;) {
    is_more = false;
    outbox_.begin(snapshot);
    for (const net::PortId id : snapshot.polled[0]) is_more |= poll(id);
    outbox_.finish();
  }
}

}  // namespace millrace::perf::bench
