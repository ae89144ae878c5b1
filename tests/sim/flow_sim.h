/// FlowSim: production workers under everything that happens to a switch at once, every choice from one seed.
///
/// Shape:   pods and a world behind the host port (endpoint.h) ask each other directly, through ClusterIPs and
///          NodePorts, and pods each other by their outside ports, in both families, while pods come, go and move to
///          other workers (ids and addresses used again), and backends change. Every second four seeds have an uplink:
///          then what its filter takes of the world's packets comes by it, and nothing leaves by it.
///          In calm weather nothing is lost: then every question is answered and no connection is reset. In a squeeze
///          now and then a worker does not turn, or a port is not read, until a ring is full: who asks again is
///          answered. In a storm frames are lost, doubled and late, rings and tables are tiny, the clock jumps.
/// Laws:    after every action rx + created == tx + drops + queued. Of every frame that arrives:
///            - it was for this endpoint: its address, its MAC, its checksums;
///            - a question reaches a server that its frontend may choose, the source is the client's own or the node's
///              as the rules say, and a TCP connection stays with the backend that has it;
///            - an answer that a client can take comes from the tuple it asked and is about its own question;
///            - an ICMP error quotes what its receiver has sent.
///          No two inside endpoints share an outside port. When all is over and time has passed: no flow, no port, no
///          buffer is left.
/// Errors:  a broken law fails the test; log() has the last actions.
/// Thread:  one.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/datapath/test_switch.h"
#include "tests/sim/endpoint.h"

namespace millrace::tests {

enum class Weather : std::uint8_t { kCalm, kSqueeze, kStorm };

struct FlowSimTotals {
  std::uint64_t asked = 0, answered = 0, refused = 0, strays = 0, errors = 0;
  std::uint64_t let_go = 0, mapped = 0, handoff_ring_full = 0, tx_ring_full = 0;
  std::uint64_t masqueraded = 0, fragmented = 0, rebound = 0, evicted = 0, tcp_done = 0, sctp_done = 0;
};

class FlowSim {
 public:
  FlowSim(std::uint64_t seed, Weather weather);
  void run(unsigned actions);

  const FlowSimTotals& totals() const { return totals_; }
  std::string drop_text() const { return world_.drop_text(); }
  std::string log() const;

 private:
  /// A service address, with every backend it ever had.
  struct Frontend {
    std::uint8_t protocol = 0;
    net::IpAddress address;
    std::uint16_t port = 0, target_port = 0;
    bool masquerade[nat::kSourceKinds] = {};
    std::uint32_t affinity_seconds = 0;
    std::vector<nat::Backend> backends;
    std::set<nat::Backend> ever;
  };
  struct Late {
    unsigned incarnation;
    bool to_switch, by_uplink;
    Bytes frame;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  bool is_storm() const { return weather_ == Weather::kStorm; }
  bool is_calm() const { return weather_ == Weather::kCalm; }
  void note(std::string action);

  // What happens.
  void act();
  void add_pod();
  void remove_pod();
  void rebind_pod();
  void add_port(Actor& pod);
  void change_backends();
  void make_frontends();
  void choose_backends(Frontend& frontend);
  void publish();
  void begin_conversation();
  bool choose_frontend(Conversation& conversation, bool is_v4);
  bool choose_server(Conversation& conversation, const Actor& client, bool is_v4);
  bool choose_mapped(Conversation& conversation, const Actor& client, bool is_v4);
  void probe();
  void squeeze();
  void ask_again();
  void repeat_some();
  void move_clock();
  void step_one();
  void settle();
  void drain();
  void finish();

  // Frames.
  void send(Actor& actor, const std::vector<Message>& messages);
  void put(const Actor& actor, bool by_uplink, const Bytes& frame);
  bool is_outside(const End& end) const;
  bool comes_by_uplink(const Actor& actor, const Message& message) const;
  bool was_given_back(const Actor& actor, const Message& message) const;
  /// Returns how many frames there were.
  std::size_t deliver(net::PortId port);
  void deliver_late();
  void receive(Actor& actor, const Bytes& frame);
  void take_question(Actor& actor, const Message& message, const Bytes& frame);
  void take_answer(Actor& actor, const Message& message);
  void take_error(Actor& actor, const Message& message);

  // Laws.
  void check_server(const Actor& actor, const Conversation& conversation, const Message& message);
  void check_source(const Actor& actor, Conversation& conversation, const Message& message);
  void check_backend(Conversation& conversation, const Message& message);
  void check_ports(bool is_quiet);
  bool may_hold(const End& outside, const End& inside);
  bool may_have_been_given(const Conversation& conversation, const End& inside);
  void check_all_answered();

  Actor& any_actor();
  Actor* actor_at(net::PortId port);
  Actor* actor_of(unsigned incarnation);
  Conversation* open_conversation(const Actor& actor, const Tuple& asked);

  std::mt19937_64 random_;
  const Weather weather_;
  const unsigned workers_;
  const nat::PortRange masquerade_ports_;
  TestSwitch world_;
  std::map<net::PortId, Actor> actors_;
  std::vector<Frontend> frontends_;
  std::vector<Conversation> conversations_;  // by id
  std::vector<std::uint32_t> open_;
  std::set<End> used_ports_;
  const bool has_uplink_;
  std::map<End, End> mappings_;           // of the node's ports, when they were last listed
  std::map<End, std::set<End>> holders_;  // of the node's ports: who was seen behind them, ever
  std::set<Tuple> sent_;
  std::deque<Late> late_;
  std::deque<std::string> log_;
  unsigned next_incarnation_ = 1;
  std::uint16_t next_fragment_ = 1;
  bool is_over_ = false;
  FlowSimTotals totals_;
};

}  // namespace millrace::tests
