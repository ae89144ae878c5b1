#include "perf/bench/flow_world.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "nat/service.h"
#include "net/ip_header.h"
#include "net/parser.h"

namespace millrace::perf::bench {
namespace {

using net::Ipv4;
using net::TcpHeader;

constexpr std::uint32_t kFirstPod = 0x0a010000, kFirstService = 0x0a600000, kFirstRemote = 0xcb007101,
                        kFirstElsewhere = 0x0b000000;
constexpr std::uint32_t kNode = 0xc0000201;
constexpr unsigned kRemotes = 251;
constexpr std::uint16_t kFirstClientPort = 1024, kFirstTargetPort = 1024, kServerPort = 8080, kServicePort = 80;
// Ports a client uses before it uses one again, to another destination: 10001 = 73 * 137 has no divisor in common with
// the numbers of services and remotes here, so that the next destination of one port is always a new one.
constexpr std::uint32_t kClientPorts = 10'000;
constexpr nat::PortRange kMasqueradePorts{2'000, 60'000};
constexpr std::uint32_t kFirstTag = 1u << 31;  // in a frame's tag: Send::is_first
constexpr std::uint64_t kLongNs = 10'000'000'000;
constexpr unsigned kMostIdleTurns = 1'000'000;

std::size_t flow_limit(std::uint32_t flows) {
  // Far enough below the pressure at which flows are given up.
  return std::max<std::size_t>(nat::kMinFlowLimit * 2, std::size_t{flows} * 100 / nat::kPressurePercent + 1024);
}

net::IpAddress address_of(Family family, std::uint32_t address) {
  const Ipv4 v4 = Ipv4::from_host(address);
  return family == Family::kIpv4 ? net::IpAddress::from(v4) : net::IpAddress::from(ipv6_of(v4));
}

}  // namespace

FlowWorld::FlowWorld(const FlowShape& shape)
    : shape_(shape),
      tunnel_(shape.link),
      rings_(datapath::make_handoff_rings(1, nullptr, nullptr)),
      counters_(shape.pods + 2, 1, kTunnelLimit),
      replies_(shape.flows) {
  if (shape.busy_pods < 4 || shape.busy_pods > shape.pods) throw std::invalid_argument("two clients, two servers");
  for (unsigned i = 0; i < shape.pods + (is_tunnelled() ? 2 : 1); ++i)
    ports_.push_back(std::make_unique<datapath::MemoryPort>());
  std::vector<std::shared_ptr<const nat::Service>> services;
  for (unsigned i = 0; i < shape.services; ++i) services.push_back(nat::build_service(service_spec(i)).value());
  services_ = nat::ServiceTable::build(std::move(services)).value();
  make_policies();
  publish();
  worker_ = std::make_unique<datapath::Worker>(
      datapath::WorkerId{0},
      datapath::FlowSettings{.limit = flow_limit(shape.flows), .seed = 1, .ports = kMasqueradePorts}, publisher_, pool_,
      *rings_, counters_);
  while (net::Packet* const packet = pool_.allocate()) free_.push_back(packet);
  headroom_bytes_ = free_.front()->headroom_bytes();
  drawn_.resize(kTurnPackets);
}

/// Each service's servers listen on a port of their own, so that one client's flows to two services never meet.
nat::ServiceSpec FlowWorld::service_spec(unsigned number) const {
  nat::ServiceSpec spec;
  spec.name = "bench/service-" + std::to_string(number);
  const unsigned clients = shape_.busy_pods / 2;
  spec.backend_sets.resize(1);
  for (unsigned i = clients; i < clients * 2; ++i) {
    spec.backend_sets[0].push_back(
        {address_of(shape_.family, kFirstPod + i), static_cast<std::uint16_t>(kFirstTargetPort + number)});
  }
  const nat::FrontendRule rule{.action = nat::FrontendAction::kBalance,
                               .masquerade = shape_.nat == Nat::kServiceAndMasquerade};
  spec.frontends.push_back({.address = address_of(shape_.family, kFirstService + number),
                            .protocol = shape_.protocol,
                            .port = kServicePort,
                            .rules = {rule, rule, rule},
                            .source_ranges = {}});
  return spec;
}

void FlowWorld::make_policies() {
  if (shape_.rules == 0) return;
  constexpr policy::Identity kHere = 1;
  std::vector<policy::Endpoint> endpoints;
  for (unsigned i = 0; i < shape_.pods; ++i) {
    endpoints.push_back({net::IpAddress::from(pod_address(i)), kHere});
    endpoints.push_back({net::IpAddress::from(ipv6_of(pod_address(i))), kHere});
  }
  const auto only = [](policy::Identity identity) {
    return std::make_shared<const std::vector<policy::Identity>>(1, identity);
  };
  std::vector<policy::Rule> rules(shape_.rules);
  for (unsigned i = 0; i + 1 < shape_.rules; ++i) {
    const net::IpAddress elsewhere = net::IpAddress::from(Ipv4::from_host(kFirstElsewhere + i));
    const auto port = static_cast<std::uint16_t>(kFirstClientPort + i);
    rules[i].ports = {{net::ip_protocol::kTcp, port, port}};
    if (i % 2 == 0) {
      endpoints.push_back({elsewhere, kHere + 1 + i});
      rules[i].groups = {only(kHere + 1 + i)};
    } else {
      rules[i].blocks = {{net::Prefix::of(elsewhere, 32), {}}};
    }
  }
  rules.back().groups = {only(kHere)};
  rules.back().blocks = {{net::Prefix::parse("203.0.113.0/24").value(), {}}};
  rules_ = policy::RuleSet::build(rules).value();
  identities_ = policy::IdentityTable::build(endpoints).value();
}

void FlowWorld::publish() {
  datapath::SnapshotSpec spec;
  spec.generation = ++generation_;
  spec.port_limit = ports_.size();
  spec.worker_count = 1;
  spec.gateway.mac = kGatewayMac;
  spec.gateway.ipv4 = Ipv4::from_host(0xa9fe0101);
  spec.gateway.ipv6 = net::Ipv6::parse("fe80::1").value();
  spec.services = services_;
  spec.identities = identities_;
  spec.nat.masquerade_v4 = Ipv4::from_host(kNode);
  spec.nat.masquerade_v6 = ipv6_of(spec.nat.masquerade_v4);
  spec.nat.ports = kMasqueradePorts;
  if (is_tunnelled()) tunnel_.describe(spec, uplink_port(), *ports_[uplink_port()]);
  for (unsigned i = 0; i <= shape_.pods; ++i) {
    const bool is_host = i == host_port();
    const Ipv4 address = is_host ? spec.nat.masquerade_v4 : pod_address(i);
    datapath::PortSpec port;
    port.id = static_cast<net::PortId>(i);
    port.name = std::to_string(i);
    port.port = ports_[i].get();
    port.kind = is_host ? datapath::PortKind::kHost : datapath::PortKind::kPod;
    port.mtu_bytes = 1500;
    port.mac = mac_of_port(i);
    port.addresses = {net::IpAddress::from(address), net::IpAddress::from(ipv6_of(address))};
    if (is_host) port.prefixes = {net::Prefix::parse("0.0.0.0/0").value(), net::Prefix::parse("::/0").value()};
    port.masquerade = !is_host && shape_.nat == Nat::kMasquerade;
    if (!is_host) port.ingress = port.egress = rules_;
    spec.ports.push_back(std::move(port));
  }
  auto built = datapath::build_snapshot(spec, publisher_.current());
  if (!built) throw std::runtime_error(built.error().message);
  publisher_.publish(std::move(built).value());
}

void FlowWorld::republish() {
  publish();
  turn({});
  publisher_.reclaim();
}

/// Client, its port and its destination follow from the flow's number: no two flows have one tuple.
FlowWorld::Way FlowWorld::first_way(std::uint32_t flow) const {
  const unsigned clients = shape_.busy_pods / 2;
  const std::uint32_t client = flow % clients, number = flow / clients;
  const std::uint32_t round = number / kClientPorts, destination = number + round;
  Way way{.source = kFirstPod + client,
          .source_port = static_cast<std::uint16_t>(kFirstClientPort + number % kClientPorts),
          .port = static_cast<net::PortId>(client)};
  switch (shape_.nat) {
    case Nat::kNone:
      way.destination = (shape_.link == Link::kNone ? kFirstPod : kFirstRemotePod) + clients + destination % clients;
      way.destination_port = static_cast<std::uint16_t>(kServerPort + round);
      break;
    case Nat::kMasquerade:
      way.destination = kFirstRemote + destination % kRemotes;
      way.destination_port = static_cast<std::uint16_t>(kServerPort + round);
      break;
    case Nat::kService:
    case Nat::kServiceAndMasquerade:
      way.destination = kFirstService + destination % shape_.services;
      way.destination_port = kServicePort;
      break;
  }
  return way;
}

void FlowWorld::offer(std::span<const Send> packets) {
  if (packets.size() > free_.size()) throw std::logic_error("more packets than a turn has");
  for (const Send& send : packets) {
    const Way way = send.is_reply ? replies_[send.flow] : first_way(send.flow);
    net::Packet* const packet = free_.back();
    free_.pop_back();
    const bool comes_by_tunnel = is_tunnelled() && way.port == uplink_port();
    // The frame begins where a device lets it begin.
    packet->data = packet->buffer + headroom_bytes_;
    if (comes_by_tunnel) packet->data += tunnel_.outer_bytes() - sizeof(net::EthernetHeader);
    write_frame(*packet,
                {.family = shape_.family,
                 .protocol = shape_.protocol,
                 .source_mac = mac_of_port(way.port),
                 .source = Ipv4::from_host(way.source),
                 .destination = Ipv4::from_host(way.destination),
                 .source_port = way.source_port,
                 .destination_port = way.destination_port,
                 .tcp_flags = send.tcp_flags,
                 .sequence = send.sequence,
                 .acknowledgment = send.acknowledgment,
                 .tag = send.flow | (send.is_first ? kFirstTag : 0),
                 .bytes = shape_.family == Family::kIpv4 ? 64u : 84u},
                way.port);
    if (comes_by_tunnel) tunnel_.into(*packet);
    if (ports_[way.port]->offer({&packet, 1}) != 1) throw std::runtime_error("a port's ring is full");
  }
}

void FlowWorld::learn(net::Packet& packet, net::PortId from) {
  const std::uint32_t tag = tag_of(packet);
  if ((tag & kFirstTag) == 0) return;
  if (is_tunnelled() && from == uplink_port()) tunnel_.out_of(packet);
  if (net::parse(packet.head(), packet.length_bytes, packet.headers) != net::Drop::kNone) {
    throw std::runtime_error("what the switch sends does not parse");
  }
  const bool is_v4 = shape_.family == Family::kIpv4;
  const Ipv4 source = is_v4 ? net::ipv4(packet).source : ipv4_of(net::ipv6(packet).source);
  const Ipv4 destination = is_v4 ? net::ipv4(packet).destination : ipv4_of(net::ipv6(packet).destination);
  replies_.at(tag & ~kFirstTag) = {.source = destination.value.host(),
                                   .destination = source.value.host(),
                                   .source_port = packet.headers.destination_port,
                                   .destination_port = packet.headers.source_port,
                                   .port = from};
}

void FlowWorld::collect(std::size_t expected) {
  std::array<net::Packet*, datapath::kBurst> packets;
  std::size_t count = 0;
  for (unsigned id = 0; id < ports_.size() && count < expected; ++id) {
    while (const unsigned taken = ports_[id]->collect(packets)) {
      for (unsigned i = 0; i < taken; ++i) learn(*packets[i], static_cast<net::PortId>(id));
      free_.insert(free_.end(), packets.begin(), packets.begin() + taken);
      count += taken;
    }
  }
  if (count == expected) return;
  std::string text = std::to_string(expected - count) + " of " + std::to_string(expected) + " packets are lost:";
  for (unsigned reason = 0; reason < net::kDropCount; ++reason) {
    std::uint64_t sum = 0;
    for (unsigned id = 0; id < ports_.size(); ++id) {
      sum += counters_.port(static_cast<net::PortId>(id)).drops[reason].get();
    }
    if (sum > 0)
      text.append(" ").append(net::drop_name(static_cast<net::Drop>(reason))).append("=").append(std::to_string(sum));
  }
  throw std::runtime_error(text);
}

std::uint64_t FlowWorld::turn(std::span<const Send> packets) {
  return turn(packets, [&](std::uint64_t now_ns) {
    // What a silent port has may take a few turns to be seen (datapath/poll_order.h); a turn without a packet is none
    // of a busy worker's.
    for (std::size_t received = 0; received < packets.size();) {
      const unsigned count = worker_->step(now_ns).received;
      if (count == 0) break;
      received += count;
    }
    if (packets.empty()) worker_->step(now_ns);
  });
}

void FlowWorld::send_to_all(Send packet) {
  for (std::uint32_t next = 0; next < shape_.flows;) {
    const std::uint32_t count = std::min(kTurnPackets, shape_.flows - next);
    for (std::uint32_t i = 0; i < count; ++i, ++next) {
      drawn_[i] = packet;
      drawn_[i].flow = next;
    }
    turn({drawn_.data(), count});
  }
}

void FlowWorld::establish() {
  if (shape_.protocol == net::ip_protocol::kUdp) {
    send_to_all({.is_first = true});
    send_to_all({.is_reply = true});
  } else {
    send_to_all({.is_first = true, .tcp_flags = TcpHeader::kSyn});
    send_to_all({.is_reply = true, .tcp_flags = TcpHeader::kSyn | TcpHeader::kAck, .acknowledgment = 1});
    send_to_all({.tcp_flags = TcpHeader::kAck, .sequence = 1, .acknowledgment = 1});
  }
}

std::span<const FlowWorld::Send> FlowWorld::draw(Direction ways) {
  for (Send& send : drawn_) {
    const auto direction = static_cast<std::uint32_t>(random_());
    send = {.flow = static_cast<std::uint32_t>(std::uint64_t{random_()} * shape_.flows >> 32),
            .is_reply = ways == Direction::kBack || (ways == Direction::kBoth && (direction & 1) != 0),
            .sequence = 1,
            .acknowledgment = 1};
  }
  return drawn_;
}

void FlowWorld::end_all() {
  for (unsigned turns = 0; turns < kMostIdleTurns; ++turns) {
    now_ns_ += kLongNs;
    if (!worker_->step(now_ns_).has_flows) return;
  }
  throw std::runtime_error("flows do not end");
}

FlowWorld& established_world(const FlowShape& shape) {
  static std::unique_ptr<FlowWorld> world;
  if (world == nullptr || world->shape() != shape) {
    world.reset();  // before the next: the memory of two would be needed
    world = std::make_unique<FlowWorld>(shape);
    world->establish();
  }
  return *world;
}

}  // namespace millrace::perf::bench
