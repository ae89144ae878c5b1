/// TunnelSim: three nodes with a switch each, and the network between them; every choice from one seed.
///
/// Shape:   pods of all nodes, the nodes' kernels and a world outside ask each other (endpoint.h): pods by their own
///          addresses and through ClusterIPs, the world by node ports of any node, pods the world as their node.
///          Workers and queues of the uplinks are a few or many; the way between nodes is VXLAN over IPv4 or IPv6, or
///          none. In calm weather nothing is lost. In a storm frames are lost, doubled, late and damaged between the
///          nodes, ways become unknown and known again, nodes leave and come back under another index, the clock jumps.
/// Laws:    after every action, of every node: rx + created == tx + drops + queued; and what left by a tunnel is what
///          the network was given. Of every frame that arrives:
///            - it was for this endpoint: its address, its MAC, its checksums;
///            - a question reaches who was asked, or a backend of the service; it comes from the client's own address
///              between pods of whatever nodes, and from the node's where a node port or the world was asked;
///            - an answer that a client can take comes from the tuple it asked, about its own question;
///            - an ICMP error quotes what its receiver has sent.
///          In calm weather every question is answered, and each tunnel has taken in what its other end has put into
///          it. When all is over and time has passed: no flow, no port, no buffer is left.
/// Thread:  one.
#pragma once

#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/datapath/tunnel_world.h"
#include "tests/sim/endpoint.h"

namespace millrace::tests {

struct TunnelSimTotals {
  std::uint64_t asked = 0, answered = 0, between_nodes = 0, masqueraded = 0, errors = 0, carried = 0, damaged = 0;
};

class TunnelSim {
 public:
  TunnelSim(std::uint64_t seed, bool is_storm);
  void run(unsigned actions);

  const TunnelSimTotals& totals() const { return totals_; }
  std::string drop_text() const;
  std::string log() const;

 private:
  enum class Kind : std::uint8_t { kPod, kNode, kWorld };
  struct Party {
    Kind kind = Kind::kPod;
    unsigned node = 0;  // 1..; of the world 0
    unsigned pod = 0;
    std::vector<net::IpAddress> addresses;
    Server server;
    Reassembly reassembly;
  };
  struct Frontend {
    std::uint8_t protocol = 0;
    net::IpAddress address;
    std::uint16_t port = 0;
    bool masquerade = false;
    unsigned node = 0;  // of a node port
    std::vector<nat::Backend> backends;
    std::set<nat::Backend> ever;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  void note(std::string action);
  TunnelNode& node(unsigned number) { return nodes_[number - 1]; }

  // What happens (tunnel_sim.cc).
  void act();
  void ask();
  bool choose(Conversation& conversation, const Party& client, bool is_v4);
  void ask_again();
  void send(Party& from, const std::vector<Message>& messages);
  void put(const Party& from, const Message& message, const Bytes& frame);
  void step_one();
  /// What left by uplinks, to whom it is for. Returns how many frames there were.
  std::size_t carry();
  void carry_frame(Bytes frame);
  std::size_t deliver();
  void settle();
  void finish();

  // What control does meanwhile (tunnel_sim_change.cc).
  datapath::TunnelHop hop_to(unsigned to) const;
  void add_tunnels(unsigned number);
  void make_frontends();
  void choose_backends(Frontend& frontend);
  void publish();
  void change_way();
  void remove_or_add_node();

  // What must be true (tunnel_sim_laws.cc).
  void receive(net::PortId port, unsigned number, const Bytes& frame);
  Party* party_at(net::PortId port, unsigned number, const net::IpAddress& destination);
  bool is_damage(const Bytes& frame) const;
  void take_question(Party& party, const Message& message);
  void check_server(const Conversation& conversation, const Message& message) const;
  void check_source(const Conversation& conversation, const Message& message);
  void take_answer(Party& party, const Message& message);
  void take_error(const Party& party, const Message& message);
  void check_tunnels();

  std::mt19937_64 random_;
  const bool is_storm_;
  const TunnelShape shape_;
  const std::uint32_t path_mtu_bytes_;  // of all: what is cut is not cut again, nor in another way
  std::deque<TunnelNode> nodes_;
  std::vector<std::vector<bool>> has_way_;  // [from][to]: a tunnel is there
  std::vector<Party> parties_;
  std::vector<Frontend> frontends_;
  std::vector<Conversation> conversations_;  // by id
  std::set<std::uint32_t> open_;
  std::set<Tuple> sent_;
  std::deque<Bytes> late_;
  std::deque<std::string> log_;
  std::uint16_t next_fragment_ = 1;
  bool is_over_ = false;
  TunnelSimTotals totals_;
};

}  // namespace millrace::tests
