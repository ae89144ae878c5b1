// Frames and time: who says what, how it travels between pods and between nodes.
#include "tests/sim/tunnel_sim.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "net/checksum.h"

namespace millrace::tests {
namespace {

namespace ip_protocol = net::ip_protocol;
using net::Drop;

constexpr unsigned kNodes = 3, kPodsPerNode = 3;
constexpr std::size_t kLogLines = 60;
constexpr std::uint16_t kFirstClientPort = 20'000, kServerPort = 8'080;
constexpr unsigned kLossPercent = 3, kDoublePercent = 3, kLatePercent = 5, kDamagePercent = 4;
constexpr const char* kWorldMac = "02:00:00:00:09:09";
constexpr unsigned kMostRounds = 4096;
/// Fits a port, and no tunnel that encapsulates.
constexpr std::uint32_t kLargePayloadBytes = 1464;

TunnelShape shape_of(std::uint64_t seed, bool is_storm) {
  TunnelShape shape;
  shape.workers = 1 + static_cast<unsigned>(seed % 4);
  shape.queues = 1 + static_cast<unsigned>(seed / 4 % shape.workers);
  shape.is_over_v6 = seed % 3 == 1;
  shape.is_encapsulated = seed % 5 != 4;
  shape.switches.packets = is_storm ? 600 + seed % 7 * 100 : 4096;
  shape.switches.ring_size = is_storm ? 32 + seed % 5 * 16 : 1024;
  shape.switches.flows = {.limit = is_storm ? nat::kMinFlowLimit : 8192, .seed = seed, .pick_up_tcp = seed % 3 != 0};
  return shape;
}

/// The identification that fragments of an IPv4 packet will have.
void set_id(Bytes& frame, std::uint16_t id) {
  auto& ip = net::view<net::Ipv4Header>(frame.data() + sizeof(net::EthernetHeader));
  ip.id = net::Be16(id);
  net::set_ipv4_checksum(ip);
}

/// As receive-side scaling spreads: by addresses and ports, of fragments by addresses.
unsigned queue_of(const Bytes& frame, unsigned queues) {
  TestPacket packet(frame);
  if (packet.parse() != Drop::kNone) return 0;
  const net::Headers& headers = packet->headers;
  const bool is_v4 = headers.l3 == net::L3::kIpv4;
  if (!is_v4 && headers.l3 != net::L3::kIpv6) return 0;
  const std::uint8_t* const ends = packet->data + headers.l3_offset + (is_v4 ? 12 : 8);
  unsigned sum = 0;
  for (unsigned i = 0; i < (is_v4 ? 8u : 32u); ++i) sum += ends[i];
  if (!headers.is_fragment) sum += unsigned{headers.source_port} + headers.destination_port;
  return sum % queues;
}

}  // namespace

TunnelSim::TunnelSim(std::uint64_t seed, bool is_storm)
    : random_(seed),
      is_storm_(is_storm),
      shape_(shape_of(seed, is_storm)),
      path_mtu_bytes_(seed % 2 == 0 ? 1500 : 1400),
      has_way_(kNodes + 1, std::vector<bool>(kNodes + 1, false)) {
  for (unsigned number = 1; number <= kNodes; ++number) {
    nodes_.emplace_back(number, shape_);
    Party kernel;
    kernel.kind = Kind::kNode;
    kernel.node = number;
    kernel.addresses = {TunnelNode::address(TunnelNode::node_v4(number)),
                        TunnelNode::address(TunnelNode::node_v6(number))};
    parties_.push_back(std::move(kernel));
    for (unsigned pod = 1; pod <= kPodsPerNode; ++pod) {
      node(number).add_pod(pod, static_cast<datapath::WorkerId>(below(shape_.workers)));
      Party party;
      party.node = number;
      party.pod = pod;
      party.addresses = {TunnelNode::address(TunnelNode::pod_v4(number, pod)),
                         TunnelNode::address(TunnelNode::pod_v6(number, pod))};
      parties_.push_back(std::move(party));
    }
  }
  Party world;
  world.kind = Kind::kWorld;
  world.addresses = {TunnelNode::address("198.51.100.7"), TunnelNode::address("2001:db8:9::7")};
  parties_.push_back(std::move(world));
  for (unsigned number = 1; number <= kNodes; ++number) add_tunnels(number);
  make_frontends();
  publish();
}

void TunnelSim::run(unsigned actions) {
  for (unsigned i = 0; i < actions && !testing::Test::HasFailure(); ++i) {
    act();
    for (TunnelNode& each : nodes_) each->check_law();
    if (i % 64 == 63) settle();
  }
  if (!testing::Test::HasFailure()) finish();
}

void TunnelSim::act() {
  const std::uint64_t choice = below(1000);
  if (choice < 300) return ask();
  if (choice < 600) return step_one();
  if (choice < 750) {
    carry();
    return;
  }
  if (choice < 900) {
    deliver();
    return;
  }
  if (choice < 920) {
    choose_backends(frontends_[below(frontends_.size())]);
    return publish();
  }
  if (choice < 930) {
    for (TunnelNode& each : nodes_) each->reclaim();
    return;
  }
  if (!is_storm_) return;
  if (choice < 945) return change_way();
  if (choice < 952) return remove_or_add_node();
  if (choice < 960) {
    const std::uint64_t pause_ns = below(chance(10) ? 400'000'000'000 : 1'000'000'000);
    for (TunnelNode& each : nodes_) each->now_ns += pause_ns;
    return;
  }
  ask_again();
}

void TunnelSim::ask() {
  const auto id = static_cast<std::uint32_t>(conversations_.size());
  Party& client = parties_[below(parties_.size())];
  const bool is_v4 = chance(50);
  Conversation conversation;
  conversation.id = id;
  conversation.client = static_cast<unsigned>(&client - &parties_[0]);
  conversation.asked.source = client.addresses[is_v4 ? 0 : 1];
  conversation.asked.source_port = static_cast<std::uint16_t>(kFirstClientPort + id);  // never used again
  if (!choose(conversation, client, is_v4)) return;
  conversations_.push_back(conversation);
  open_.insert(id);
  ++totals_.asked;
  note(fmt::format("{} asks {}", id, conversation.asked.text()));
  send(client, says(conversation));
}

bool TunnelSim::choose(Conversation& conversation, const Party& client, bool is_v4) {
  Tuple& asked = conversation.asked;
  if (chance(60)) {
    const std::size_t index = below(frontends_.size());
    const Frontend& frontend = frontends_[index];
    if (frontend.address.is_v4() != is_v4) return false;
    // ClusterIPs are of pods and nodes; a node port of another node is asked by its kernel past the switch.
    if (client.kind == Kind::kWorld && frontend.node == 0) return false;
    if (client.kind == Kind::kNode && frontend.node != 0) return false;
    conversation.frontend = static_cast<int>(index);
    asked.protocol = frontend.protocol;
    asked.destination = frontend.address;
    asked.destination_port = frontend.port;
    return true;
  }
  const Party& server = parties_[below(parties_.size())];
  // Pods are not known outside; kernels reach each other, themselves and the world without the switch.
  if (&server == &client || (client.kind != Kind::kPod && server.kind != Kind::kPod)) return false;
  if (client.kind == Kind::kWorld) return false;
  const bool is_ping = chance(30);
  constexpr std::uint8_t kWithPorts[] = {ip_protocol::kTcp, ip_protocol::kTcp, ip_protocol::kUdp, ip_protocol::kSctp};
  asked.protocol = !is_ping ? kWithPorts[below(std::size(kWithPorts))]
                   : is_v4  ? ip_protocol::kIcmp
                            : ip_protocol::kIcmpv6;
  asked.destination = server.addresses[is_v4 ? 0 : 1];
  asked.destination_port = is_ping ? asked.source_port : kServerPort;
  totals_.between_nodes += client.node != server.node && server.node != 0;
  return true;
}

void TunnelSim::ask_again() {
  for (const std::uint32_t id : std::set<std::uint32_t>(open_)) {
    Conversation& conversation = conversations_[id];
    if (!conversation.is_open() || chance(15)) {
      open_.erase(id);
      conversation.phase = Phase::kDone;
    } else if (chance(30)) {
      send(parties_[conversation.client], says(conversation));
    }
  }
}

void TunnelSim::send(Party& from, const std::vector<Message>& messages) {
  for (Message message : messages) {
    sent_.insert(message.tuple);
    const bool is_datagram = message.tuple.protocol == ip_protocol::kUdp || is_echo(message.tuple.protocol);
    const bool may_be_cut = is_datagram && !message.quoted && message.payload_bytes < kLargePayloadBytes;
    const bool is_cut = may_be_cut && chance(12);
    // The switch may cut what is of IPv4; its fragments look like those of the sender's own.
    const bool is_large = is_datagram && !is_cut && message.tuple.source.is_v4() && message.conversation % 11 == 0 &&
                          message.speaker == Speaker::kClient;
    if (is_large) message.payload_bytes = kLargePayloadBytes;
    const std::string own = from.kind == Kind::kPod    ? pod_mac(from.pod)
                            : from.kind == Kind::kNode ? pod_mac(0xff)
                                                       : std::string(kWorldMac);
    for (Bytes& frame : write(message, own, kGatewayMac, is_cut ? next_fragment_++ : std::uint16_t{0})) {
      if (message.payload_bytes == kLargePayloadBytes) set_id(frame, next_fragment_++);
      if (is_storm_ && chance(kLossPercent)) continue;
      put(from, message, frame);
      if (is_storm_ && chance(kDoublePercent)) put(from, message, frame);
    }
  }
}

/// A pod and a kernel by their port. The world by the uplink of the node it writes to: of what it writes, the node's
/// filter takes all that is tried here.
void TunnelSim::put(const Party& from, const Message& message, const Bytes& frame) {
  bool was_taken = false;
  if (from.kind != Kind::kWorld) {
    was_taken = node(from.node)->send(from.kind == Kind::kPod ? TunnelNode::pod_port(from.pod) : kHostPort, frame);
  } else {
    for (unsigned number = 1; number <= kNodes; ++number) {
      const net::IpAddress& to = message.tuple.destination;
      if (to != TunnelNode::address(TunnelNode::node_v4(number)) &&
          to != TunnelNode::address(TunnelNode::node_v6(number))) {
        continue;
      }
      const auto queue = static_cast<net::PortId>(kFirstQueue + queue_of(frame, shape_.queues));
      was_taken = node(number)->send(queue, frame);
    }
  }
  if (!is_storm_) { ASSERT_TRUE(was_taken) << message.tuple.text(); }
}

void TunnelSim::step_one() {
  TunnelNode& each = nodes_[below(nodes_.size())];
  each->now_ns += below(1'000'000);
  each->step(static_cast<datapath::WorkerId>(below(shape_.workers)));
}

std::size_t TunnelSim::carry() {
  std::deque<Bytes> frames;
  frames.swap(late_);
  for (TunnelNode& from : nodes_) {
    for (unsigned i = 0; i < shape_.queues; ++i) {
      for (Bytes& frame : from->receive(static_cast<net::PortId>(kFirstQueue + i))) frames.push_back(std::move(frame));
    }
  }
  if (is_storm_) std::shuffle(frames.begin(), frames.end(), random_);
  const std::size_t count = frames.size();
  totals_.carried += count;
  for (Bytes& frame : frames) {
    if (!is_storm_) {
      carry_frame(std::move(frame));
      continue;
    }
    if (chance(kLossPercent)) continue;
    if (chance(kLatePercent) && !is_over_) {
      late_.push_back(std::move(frame));
      continue;
    }
    if (chance(kDoublePercent)) carry_frame(frame);
    if (chance(kDamagePercent) && shape_.is_encapsulated) {
      // One bit of what the underlay reads: all of the headers in front of the inner packet.
      const std::size_t outer = shape_.is_over_v6 ? 84 : 64;
      frame[below(std::min(frame.size(), outer))] ^= static_cast<std::uint8_t>(1 << below(8));
      ++totals_.damaged;
    }
    carry_frame(std::move(frame));
  }
  return count;
}

/// To the device whose MAC it has; a switched network drops what nobody has.
void TunnelSim::carry_frame(Bytes frame) {
  for (unsigned number = 1; number <= kNodes; ++number) {
    const net::Mac own = TunnelNode::device_mac(number);
    if (!std::equal(own.bytes.begin(), own.bytes.end(), frame.begin())) continue;
    const auto queue = static_cast<net::PortId>(kFirstQueue + queue_of(frame, shape_.queues));
    const bool was_taken = node(number)->send(queue, frame);
    if (!is_storm_) { ASSERT_TRUE(was_taken); }
    return;
  }
  EXPECT_TRUE(is_storm_) << "a frame for nobody: " << describe(frame);
}

std::size_t TunnelSim::deliver() {
  std::size_t count = 0;
  for (unsigned number = 1; number <= kNodes; ++number) {
    for (const net::PortId port : node(number)->ports()) {
      if (port >= kFirstQueue && port < kFirstQueue + shape_.queues) continue;
      for (const Bytes& frame : node(number)->receive(port)) {
        ++count;
        receive(port, number, frame);
      }
    }
  }
  return count;
}

void TunnelSim::settle() {
  unsigned round = 0;
  for (bool is_moving = true; is_moving && !testing::Test::HasFailure(); ++round) {
    ASSERT_LT(round, kMostRounds) << "it does not end";
    for (TunnelNode& each : nodes_) each->run();
    is_moving = carry() > 0;
    is_moving |= deliver() > 0;
  }
  for (TunnelNode& each : nodes_) each->check_law();
  if (is_storm_) return;
  check_tunnels();
  for (const std::uint32_t id : open_) {
    ADD_FAILURE() << "conversation " << id << " was not answered: " << conversations_[id].asked.text() << " in phase "
                  << static_cast<int>(conversations_[id].phase);
  }
}

void TunnelSim::finish() {
  settle();
  is_over_ = true;  // what arrives is checked, and answered by nobody
  publish();
  settle();
  // The longest timer and the eighth it may be stretched by; then rounds of the sweep.
  constexpr std::uint64_t kLongEnoughNs = 9'000'000'000'000;
  for (unsigned number = 1; number <= kNodes; ++number) {
    TestSwitch& world = node(number).world();
    world.now_ns += kLongEnoughNs;
    for (int slice = 0; slice < 32; ++slice, world.now_ns += 1'000'000'000)
      for (datapath::WorkerId id = 0; id < shape_.workers; ++id) world.step(id);
    for (datapath::WorkerId id = 0; id < shape_.workers; ++id) {
      const datapath::FlowCounters& flows = world.counters(id).flows;
      EXPECT_EQ(flows.created.get(), flows.ended.get()) << "node " << number << ", worker " << id;
      EXPECT_EQ(flows.flows_v4.get() + flows.flows_v6.get(), 0u) << "node " << number << ", worker " << id;
      for (std::size_t i = 0; i < datapath::kPortProtocols.size(); ++i)
        EXPECT_EQ(flows.ports_v4[i].get() + flows.ports_v6[i].get(), 0u) << "ports of worker " << id << " are held";
    }
    EXPECT_EQ(world.rings().size(), 0u);
    EXPECT_EQ(world.reclaim(), 1u) << "snapshots that nobody needs are still held";
    EXPECT_EQ(world.pool().free_count(), world.pool().size()) << "packets of node " << number << " were lost";
  }
}

void TunnelSim::note(std::string action) {
  log_.push_back(std::move(action));
  if (log_.size() > kLogLines) log_.pop_front();
}

std::string TunnelSim::drop_text() const {
  std::string text;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    text.append(fmt::format("node {}: {}\n", i + 1, const_cast<TunnelNode&>(nodes_[i])->drop_text()));
  return text;
}

std::string TunnelSim::log() const {
  std::string text = fmt::format("workers {}, queues {}, {}\n", shape_.workers, shape_.queues,
                                 !shape_.is_encapsulated ? "plain"
                                 : shape_.is_over_v6     ? "VXLAN over IPv6"
                                                         : "VXLAN over IPv4");
  text += drop_text();
  for (const std::string& line : log_) text.append(line).append("\n");
  return text;
}

}  // namespace millrace::tests
