// What must be true of every frame that arrives at a pod, a kernel or the world, and of the tunnels' counters.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "net/ip_header.h"
#include "net/quote.h"
#include "tests/sim/tunnel_sim.h"

namespace millrace::tests {
namespace {

bool is_node_of(const net::IpAddress& address, unsigned number) {
  return address == TunnelNode::address(TunnelNode::node_v4(number)) ||
         address == TunnelNode::address(TunnelNode::node_v6(number));
}

/// A masquerade port of that node; number 0: of any.
bool is_masqueraded_by(const Tuple& seen, unsigned number, unsigned nodes) {
  if (!kMasqueradePorts.holds(seen.source_port)) return false;
  for (unsigned each = 1; each <= nodes; ++each) {
    if ((number == 0 || number == each) && is_node_of(seen.source, each)) return true;
  }
  return false;
}

}  // namespace

TunnelSim::Party* TunnelSim::party_at(net::PortId port, unsigned number, const net::IpAddress& destination) {
  for (Party& party : parties_) {
    const bool is_here =
        party.kind == Kind::kWorld ||
        (party.node == number && port == (party.kind == Kind::kPod ? TunnelNode::pod_port(party.pod) : kHostPort));
    const bool is_port = party.kind == Kind::kPod || port == kHostPort;
    const auto& own = party.addresses;
    if (is_here && is_port && std::find(own.begin(), own.end(), destination) != own.end()) return &party;
  }
  return nullptr;
}

/// What damage has made of VXLAN: something of another node's, for a kernel that has no such socket.
bool TunnelSim::is_damage(const Bytes& frame) const {
  if (!is_storm_ || !shape_.is_encapsulated) return false;
  TestPacket packet(frame);
  if (packet.parse() != net::Drop::kNone || net::parse_quote(*packet)) return false;
  const bool is_v4 = packet->headers.l3 == net::L3::kIpv4;
  const net::IpAddress source =
      is_v4 ? net::IpAddress::from(net::ipv4(*packet).source) : net::IpAddress::from(net::ipv6(*packet).source);
  for (unsigned number = 1; number <= nodes_.size(); ++number)
    if (is_node_of(source, number)) return true;
  return false;
}

void TunnelSim::receive(net::PortId port, unsigned number, const Bytes& frame) {
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), net::Drop::kNone) << describe(frame);
  const bool is_pod = port != kHostPort;
  const net::EthernetHeader& ethernet = net::ethernet(*packet);
  ASSERT_EQ(ethernet.destination, mac(pod_mac(is_pod ? unsigned{port} - kFirstPod : 0xff))) << describe(frame);
  ASSERT_EQ(ethernet.source, mac(kGatewayMac)) << describe(frame);
  const bool is_v4 = packet->headers.l3 == net::L3::kIpv4;
  const net::IpAddress destination = is_v4 ? net::IpAddress::from(net::ipv4(*packet).destination)
                                           : net::IpAddress::from(net::ipv6(*packet).destination);
  if (!is_pod && is_damage(frame) && is_node_of(destination, number)) return;
  Party* const party = party_at(port, number, destination);
  // Where a tunnel is gone its pods are somewhere outside, as far as the node knows.
  if (party == nullptr && is_storm_ && !is_pod) return;
  ASSERT_NE(party, nullptr) << "at port " << port << " of node " << number << ": " << describe(frame);
  const auto message = party->reassembly.read(frame);
  if (!message) return;
  note(fmt::format("  {} arrives at node {} port {}, of {}", message->tuple.text(), number, port,
                   message->conversation));
  if (message->quoted) return take_error(*party, *message);
  // What no flow of masquerade wants is given to the node.
  const bool was_given_back =
      is_storm_ && party->kind == Kind::kNode && kMasqueradePorts.holds(message->tuple.destination_port);
  if (was_given_back) return;
  ASSERT_LT(message->conversation, conversations_.size()) << describe(frame);
  message->speaker == Speaker::kClient ? take_question(*party, *message) : take_answer(*party, *message);
}

void TunnelSim::take_question(Party& party, const Message& message) {
  Conversation& conversation = conversations_[message.conversation];
  // Two pods that ping each other's nodes without a tunnel may be given one identifier by both nodes: then the question
  // of one is, to the letter, an answer to the other's.
  const bool is_as_answer = is_echo(message.tuple.protocol) && sent_.contains(message.tuple.reversed());
  if (is_storm_ && is_as_answer && parties_[conversation.client].kind == Kind::kPod) return;
  check_server(conversation, message);
  check_source(conversation, message);
  if (testing::Test::HasFailure() || is_over_) return;
  send(party, party.server.hears(message));
}

void TunnelSim::check_server(const Conversation& conversation, const Message& message) const {
  const nat::Backend server{message.tuple.destination, message.tuple.destination_port};
  ASSERT_EQ(message.tuple.protocol, conversation.asked.protocol);
  if (conversation.frontend >= 0) {
    const Frontend& frontend = frontends_[static_cast<std::size_t>(conversation.frontend)];
    ASSERT_TRUE(frontend.ever.contains(server)) << conversation.asked.text() << " came to " << message.tuple.text();
    return;
  }
  ASSERT_EQ(server.address, conversation.asked.destination) << conversation.asked.text();
  if (!is_echo(conversation.asked.protocol)) { ASSERT_EQ(server.port, conversation.asked.destination_port); }
}

/// Pods see pods and nodes with their own addresses, whatever node they are of. Who asks by a node port is that node,
/// and a pod is its node to the world, and to itself.
void TunnelSim::check_source(const Conversation& conversation, const Message& message) {
  const Tuple& asked = conversation.asked;
  const Tuple& seen = message.tuple;
  const Party& client = parties_[conversation.client];
  const auto nodes = static_cast<unsigned>(nodes_.size());
  unsigned masquerades = 0;  // which node has to
  if (conversation.frontend >= 0) masquerades = frontends_[static_cast<std::size_t>(conversation.frontend)].node;
  const auto& world = parties_.back().addresses;
  const bool is_to_world = std::find(world.begin(), world.end(), seen.destination) != world.end();
  const bool is_to_itself = masquerades == 0 && seen.destination == asked.source;
  if (client.kind == Kind::kPod && (is_to_world || is_to_itself)) masquerades = client.node;
  if (masquerades != 0) {
    ++totals_.masqueraded;
    ASSERT_TRUE(is_masqueraded_by(seen, is_storm_ ? 0 : masquerades, nodes))
        << asked.text() << " came as " << seen.text();
    return;
  }
  const bool is_own = seen.source == asked.source && seen.source_port == asked.source_port;
  // A flow that ended before its answer has begun another the wrong way round, which stands in the question's way.
  const bool may_be_apart = is_storm_ && is_masqueraded_by(seen, 0, nodes);
  ASSERT_TRUE(is_own || may_be_apart) << asked.text() << " came as " << seen.text();
}

void TunnelSim::take_answer(Party& party, const Message& message) {
  Conversation& conversation = conversations_[message.conversation];
  const bool is_clients = &parties_[conversation.client] == &party;
  const bool is_as_asked = message.tuple.reversed() == conversation.asked;
  if (!is_clients || !is_as_asked) {
    // Late, to a port that another has by now, or past a translation that is over: no client takes it.
    ASSERT_TRUE(is_storm_) << "an answer to " << conversation.asked.text() << " came as " << message.tuple.text();
    const bool was_translated = conversation.frontend >= 0 || kMasqueradePorts.holds(message.tuple.destination_port) ||
                                message.tuple.source == parties_.back().addresses[0] ||
                                message.tuple.source == parties_.back().addresses[1];
    ASSERT_TRUE(is_clients || was_translated) << conversation.asked.text() << " came as " << message.tuple.text();
    return;
  }
  if (is_over_ || !open_.contains(conversation.id)) return;
  const auto more = hears(conversation, message);
  if (!conversation.is_open()) {
    open_.erase(conversation.id);
    ++totals_.answered;
    if (!is_storm_) { ASSERT_FALSE(conversation.is_refused) << conversation.asked.text() << " was reset"; }
  }
  send(party, more);
}

void TunnelSim::take_error(const Party& party, const Message& message) {
  ++totals_.errors;
  const Tuple& quoted = *message.quoted;
  ASSERT_TRUE(is_storm_) << "an error about " << quoted.text();
  const auto& own = party.addresses;
  ASSERT_NE(std::find(own.begin(), own.end(), quoted.source), own.end())
      << quoted.text() << " was not sent by who is told";
}

/// Each tunnel has taken in what its other end has put into it, and the network was given nothing else.
void TunnelSim::check_tunnels() {
  const auto sum = [&](unsigned from, unsigned to, datapath::Counter datapath::TunnelCounters::*counter) {
    std::uint64_t total = 0;
    for (const datapath::TunnelSpec& tunnel : node(from)->tunnels) {
      if (tunnel.name != fmt::format("node {}", to)) continue;
      for (datapath::WorkerId id = 0; id < shape_.workers; ++id)
        total += (node(from)->counters(id).tunnel(tunnel.index).*counter).get();
    }
    return total;
  };
  using Counters = datapath::TunnelCounters;
  std::uint64_t sent = 0;
  for (unsigned from = 1; from <= nodes_.size(); ++from) {
    for (unsigned to = 1; to <= nodes_.size(); ++to) {
      ASSERT_EQ(sum(from, to, &Counters::tx_packets), sum(to, from, &Counters::rx_packets)) << from << " to " << to;
      ASSERT_EQ(sum(from, to, &Counters::tx_bytes), sum(to, from, &Counters::rx_bytes)) << from << " to " << to;
      sent += sum(from, to, &Counters::tx_packets);
    }
  }
  ASSERT_EQ(sent, totals_.carried);
}

}  // namespace millrace::tests
