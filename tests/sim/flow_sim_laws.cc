// What must be true of every frame that arrives, and of the tables.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "datapath/flow_scan.h"
#include "net/ip_header.h"
#include "tests/sim/flow_sim.h"
#include "tests/sim/flow_sim_names.h"

namespace millrace::tests {

namespace ip_protocol = net::ip_protocol;

void FlowSim::receive(Actor& actor, const Bytes& frame) {
  TestPacket packet(frame);
  ASSERT_EQ(packet.parse(), net::Drop::kNone) << describe(frame);
  ASSERT_EQ(net::ethernet(*packet).destination, mac(pod_mac(actor.is_pod ? actor.number : 0xff))) << describe(frame);
  ASSERT_EQ(net::ethernet(*packet).source, mac(kGatewayMac)) << describe(frame);
  const auto message = actor.reassembly.read(frame);
  if (!message) return;
  note(fmt::format("  {} arrives at {} {}, of {} {}", message->tuple.text(), actor.is_pod ? "pod" : "world",
                   actor.number, message->conversation, message->speaker == Speaker::kClient ? "asking" : "answering"));
  // An address that no pod has follows the default route.
  if (is_storm() && !actor.is_pod && is_pods(message->tuple.destination)) return;
  if (was_given_back(actor, *message)) return;
  ASSERT_TRUE(actor.has(message->tuple.destination)) << message->tuple.text() << "\n" << describe(frame);
  if (message->quoted) return take_error(actor, *message);
  ASSERT_LT(message->conversation, conversations_.size()) << describe(frame);
  if (const Conversation& probe = conversations_[message->conversation]; probe.is_probe) {
    if (is_node(message->tuple.source)) holders_[source_of(message->tuple)].insert(source_of(probe.asked));
    return;
  }
  message->speaker == Speaker::kClient ? take_question(actor, *message, frame) : take_answer(actor, *message);
}

void FlowSim::take_question(Actor& actor, const Message& message, const Bytes& frame) {
  Conversation& conversation = conversations_[message.conversation];
  check_server(actor, conversation, message);
  check_source(actor, conversation, message);
  check_backend(conversation, message);
  if (testing::Test::HasFailure() || is_over_) return;
  TestPacket packet(frame);
  const bool is_whole = packet.parse() == net::Drop::kNone && !packet->headers.is_fragment;
  if (chance(3) && is_whole) {
    constexpr std::ptrdiff_t kEthernetBytes = 14;
    Message error;
    const bool is_v4 = message.tuple.source.is_v4();
    error.tuple = {is_v4 ? ip_protocol::kIcmp : ip_protocol::kIcmpv6, message.tuple.destination, message.tuple.source};
    error.quoted = message.tuple;
    error.quoted_packet = Bytes(frame.begin() + kEthernetBytes, frame.end());
    send(actor, {error});
  }
  // The flow may be over before the next question: then this answer begins one, and stands in the question's way.
  conversation.may_be_apart |= is_storm();
  const auto answers = actor.server.hears(message);
  for (const Message& answer : answers) {
    if (refuses(answer)) conversation.unpin();
  }
  send(actor, answers);
}

void FlowSim::check_server(const Actor& actor, const Conversation& conversation, const Message& message) {
  const nat::Backend server{message.tuple.destination, message.tuple.destination_port};
  ASSERT_EQ(message.tuple.protocol, conversation.asked.protocol);
  if (conversation.mapped) {
    const End inside{message.tuple.protocol, server.address, server.port};
    ASSERT_TRUE(may_hold(*conversation.mapped, inside))
        << conversation.asked.text() << " came to " << message.tuple.text();
    return;
  }
  if (conversation.frontend < 0) {
    ASSERT_EQ(server.address, conversation.asked.destination) << conversation.asked.text();
    // An echo that is masqueraded has another identifier.
    if (!is_echo(conversation.asked.protocol)) {
      ASSERT_EQ(server.port, conversation.asked.destination_port) << conversation.asked.text();
    }
    return;
  }
  const Frontend& frontend = frontends_[static_cast<std::size_t>(conversation.frontend)];
  ASSERT_TRUE(frontend.ever.contains(server)) << conversation.asked.text() << " came to " << message.tuple.text()
                                              << " of " << (actor.is_pod ? "a pod" : "the world");
}

/// The client's own source, or the node's, as the rules say.
void FlowSim::check_source(const Actor& actor, Conversation& conversation, const Message& message) {
  const Tuple& seen = message.tuple;
  const Tuple& asked = conversation.asked;
  const bool is_own = seen.source == asked.source && seen.source_port == asked.source_port;
  const bool is_nodes = is_node(seen.source) && masquerade_ports_.holds(seen.source_port);
  const bool leaves = !actor.is_pod && !is_node(seen.destination);
  const bool is_pod = conversation.kind == nat::SourceKind::kPod;
  bool is_masqueraded = is_pod && conversation.client_masquerades && leaves;
  if (conversation.frontend >= 0) {
    const Frontend& frontend = frontends_[static_cast<std::size_t>(conversation.frontend)];
    is_masqueraded |= frontend.masquerade[static_cast<unsigned>(conversation.kind)];
    is_masqueraded |= is_pod && seen.destination == asked.source;
  }
  if (is_nodes) {
    conversation.outsides.insert(source_of(seen));
    holders_[source_of(seen)].insert(source_of(asked));
  }
  is_masqueraded |= conversation.mapped.has_value();
  // A ping back goes by the flow of the ping that came: its sender has asked the pod's own address.
  const bool is_ping_back = is_echo(seen.protocol) && is_own && sent_.contains(asked.reversed());
  if (is_masqueraded && !is_ping_back) {
    ASSERT_TRUE(is_nodes) << asked.text() << " should be masqueraded, came as " << seen.text();
  } else if (!is_own) {
    ASSERT_TRUE(is_nodes && conversation.may_be_apart)
        << asked.text() << " should not be masqueraded, came as " << seen.text();
  }
}

void FlowSim::check_backend(Conversation& conversation, const Message& message) {
  if (message.tuple.protocol != ip_protocol::kTcp && message.tuple.protocol != ip_protocol::kSctp) return;
  // A SYN or INIT that waited in a transmit ring, or on the wire, while its half-open flow ended (RFC 5382 REQ-5),
  // comes to the backend of that flow when the SYN sent after it has long opened the connection to another.
  if (is_storm() && opens(message)) return;
  const std::pair server(message.tuple.destination, message.tuple.destination_port);
  if (conversation.backend) {
    ASSERT_EQ(*conversation.backend, server) << "the connection has left its backend";
  } else if (message.payload_bytes > 0 && conversation.phase == Phase::kData && conversation.may_pin) {
    conversation.backend = server;
  }
  if (closes(message) || refuses(message)) conversation.unpin();
}

void FlowSim::take_answer(Actor& actor, const Message& message) {
  Conversation& conversation = conversations_[message.conversation];
  const Tuple taken = message.tuple.reversed();
  Conversation* const open = open_conversation(actor, taken);
  if (open == nullptr || open->id != conversation.id) {
    const bool is_same_tuple = conversation.asked == taken;
    const bool is_own = is_same_tuple || (open == nullptr && actor.has(conversation.asked.source));
    if (!is_own) {
      ASSERT_TRUE(is_storm() && may_have_been_given(conversation, source_of(taken)))
          << "an answer to " << conversation.asked.text() << " came as " << message.tuple.text();
    }
    ++totals_.strays;
    if (!is_storm()) { ASSERT_TRUE(is_same_tuple) << conversation.asked.text() << " came as " << message.tuple.text(); }
    return;
  }
  if (is_over_) return;
  const auto more = hears(conversation, message);
  if (!conversation.is_open()) {
    std::erase(open_, conversation.id);
    ++(conversation.is_refused ? totals_.refused : totals_.answered);
    if (conversation.asked.protocol == ip_protocol::kTcp && conversation.is_answered) ++totals_.tcp_done;
    if (conversation.asked.protocol == ip_protocol::kSctp && conversation.is_answered) ++totals_.sctp_done;
    if (!is_storm()) { ASSERT_FALSE(conversation.is_refused) << conversation.asked.text() << " was reset"; }
    if (conversation.was_masqueraded()) ++totals_.masqueraded;
  }
  send(actor, more);
}

/// An answer that was on its way for longer than its flow lived finds the outside port with whoever has it by now: a
/// port says no more than its number, and time is what keeps two users of it apart (RFC 7857 section 3, RFC
/// 9293 3.6.1). So it may come to one who has held a port from which the question was asked, and to nobody else.
bool FlowSim::may_have_been_given(const Conversation& conversation, const End& inside) {
  return std::any_of(conversation.outsides.begin(), conversation.outsides.end(),
                     [&](const End& outside) { return may_hold(outside, inside); });
}

/// Whether somebody has the port, or had it.
bool FlowSim::may_hold(const End& outside, const End& inside) {
  if (holders_[outside].contains(inside)) return true;
  check_ports(false);  // nothing of the new holder may have come to anybody yet
  return holders_[outside].contains(inside);
}

/// The receiver has sent what is quoted, to the letter. Or its question outlived its flow (time passed while it waited
/// in a ring, or its pod moved away from the worker that had it) and the answer has begun another, the wrong way round:
/// then the error about the question follows that one, and quotes the question as the server saw it, or as one to the
/// port of the node that the answer left by. No NAT knows more than its mappings of now (RFC 5508 REQ-4). Even so it
/// is a question of the receiver's own that is quoted (or of who had its outside port before), to a server it may have
/// come to.
void FlowSim::take_error(Actor& actor, const Message& message) {
  ++totals_.errors;
  const Tuple& quoted = *message.quoted;
  ASSERT_TRUE(actor.has(quoted.source)) << quoted.text() << " was not sent by who is told";
  if (sent_.contains(quoted)) return;
  ASSERT_TRUE(is_storm()) << quoted.text() << " was never sent";
  ASSERT_LT(message.conversation, conversations_.size()) << quoted.text();
  const Conversation& about = conversations_[message.conversation];
  ASSERT_TRUE(source_of(about.asked) == source_of(quoted) || may_have_been_given(about, source_of(quoted)))
      << about.asked.text() << " was quoted as " << quoted.text();
  if (is_node(quoted.destination) && masquerade_ports_.holds(quoted.destination_port)) return;
  if (about.mapped) {
    ASSERT_TRUE(may_hold(*about.mapped, {quoted.protocol, quoted.destination, quoted.destination_port}));
    return;
  }
  ASSERT_GE(about.frontend, 0) << quoted.text() << " was never sent";
  const Frontend& frontend = frontends_[static_cast<std::size_t>(about.frontend)];
  ASSERT_TRUE(frontend.ever.contains({quoted.destination, quoted.destination_port})) << quoted.text();
}

Conversation* FlowSim::open_conversation(const Actor& actor, const Tuple& asked) {
  for (const std::uint32_t id : open_) {
    Conversation& conversation = conversations_[id];
    if (conversation.client == actor.incarnation && conversation.asked == asked) return &conversation;
  }
  return nullptr;
}

/// All but those to an outside port that was given back while they were on their way.
void FlowSim::check_all_answered() {
  std::erase_if(open_, [this](std::uint32_t id) {
    const Conversation& conversation = conversations_[id];
    const bool is_let_go = conversation.mapped && !mappings_.contains(*conversation.mapped);
    if (is_let_go) ++totals_.let_go;
    return is_let_go;
  });
  for (const std::uint32_t id : open_) {
    ADD_FAILURE() << "conversation " << id << " was not answered: " << conversations_[id].asked.text() << " in phase "
                  << static_cast<int>(conversations_[id].phase);
  }
}

/// By the workers' own listing: each flow once, where nobody has anything to say, and each outside port with one inside
/// endpoint.
void FlowSim::check_ports(bool is_quiet) {
  mappings_.clear();
  std::vector<datapath::FlowRecord> records(nat::kMinFlowLimit * 20);
  for (datapath::WorkerId id = 0; id < workers_; ++id) {
    datapath::FlowScan scan;
    scan.records = records;
    world_.worker(id).post(scan);
    while (scan.state.load() == datapath::FlowScan::State::kPosted) world_.step(id);
    ASSERT_EQ(scan.state.load(), datapath::FlowScan::State::kThrough);
    const datapath::FlowCounters& flows = world_.counters(id).flows;
    if (is_quiet) { ASSERT_EQ(scan.count, flows.created.get() - flows.ended.get()) << "worker " << id; }
    const nat::PortRange own = datapath::ports_of_worker(masquerade_ports_, workers_, id);
    for (const datapath::FlowRecord& record : std::span(records).first(scan.count)) {
      if ((record.flags & nat::line_flag::kMasquerade) == 0) continue;
      const auto& [source, destination, port, to_port] = record.translated;
      ASSERT_TRUE(is_node(source) && own.holds(port)) << "worker " << id << " gave " << port;
      const End outside{record.protocol, source, port};
      const End endpoint{record.protocol, record.original.source, record.original.source_port};
      holders_[outside].insert(endpoint);
      const auto [known, is_new] = mappings_.emplace(outside, endpoint);
      ASSERT_EQ(known->second, endpoint) << "port " << port << " has two inside endpoints";
    }
  }
}

}  // namespace millrace::tests
