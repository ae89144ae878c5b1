/// FlowWorld: one worker over in-memory ports, flows through it, and their packets in both directions.
///
/// Shape:   pods 0 .. busy_pods / 2 - 1 are the clients, the next as many the servers; pods from there on are silent.
///          Pod i has port i, 10.1.0.0 + i and fd00::10.1.0.0 + i; the port behind the last pod's is the host's, with
///          the default routes. With a way to another node the servers are there, and the port behind the host's is the
///          uplink. An IPv6 address here is fd00::/96 and the IPv4 address of the same thing. A packet is
///          64 bytes long, of IPv6 84, and carries the number of its flow, by which the ways of a flow are learned from
///          what the switch sends: no tuple of a translated flow is computed here.
/// Clock:   simulated, kTurnNs a turn: ten million packets a second, so that sweeps come as often as they would.
/// Errors:  std::runtime_error where a packet is lost or comes out where it should not.
/// Thread:  one.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/publisher.h"
#include "datapath/snapshot_builder.h"
#include "datapath/worker.h"
#include "nat/service_spec.h"
#include "perf/bench/cycles.h"
#include "perf/bench/frame.h"
#include "perf/bench/tunnel.h"

namespace millrace::perf::bench {

/// What happens to a flow on its way.
enum class Nat {
  kNone,
  kService,               // to a ClusterIP
  kMasquerade,            // to the outside, by the host port
  kServiceAndMasquerade,  // to a ClusterIP whose rule masquerades
};

struct FlowShape {
  std::uint32_t flows = 64;
  Nat nat = Nat::kNone;
  unsigned services = 0;  // at least 1 with Nat::kService*; each has all servers as backends
  Family family = Family::kIpv4;
  std::uint8_t protocol = net::ip_protocol::kUdp;
  unsigned pods = 10;
  unsigned busy_pods = 10;
  /// Rules in force for each pod and direction; 0: no pod is isolated. The last one allows what is sent here, the
  /// others name by halves an endpoint elsewhere and a block, each with a port of its own.
  unsigned rules = 0;
  Link link = Link::kNone;
  friend bool operator==(const FlowShape&, const FlowShape&) = default;
};

/// Which packets of the flows a turn has.
enum class Direction { kBoth, kThere, kBack };

/// Packets of a turn, at most: a burst from each of eight busy ports.
inline constexpr unsigned kTurnPackets = 512;
inline constexpr std::uint64_t kTurnNs = std::uint64_t{kTurnPackets} * 100;

class FlowWorld {
 public:
  explicit FlowWorld(const FlowShape& shape);

  /// One packet of a flow in one direction; the rest of a TCP header too.
  struct Send {
    std::uint32_t flow = 0;
    bool is_reply = false;
    bool is_first = false;  // its flow's replies come from where it comes out
    std::uint8_t tcp_flags = net::TcpHeader::kAck;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgment = 0;
  };

  /// Sends at most kTurnPackets packets, has the worker take turns until nothing waits, and takes them where they come
  /// out. Returns the cycles of the turns.
  std::uint64_t turn(std::span<const Send> packets);
  /// The same with another worker than the world's: `step(now_ns)` has to forward all packets.
  template <typename Step>
  std::uint64_t turn(std::span<const Send> packets, Step step) {
    offer(packets);
    const std::uint64_t begin = cycles_now();
    step(now_ns_);
    const std::uint64_t cycles = cycles_now() - begin;
    collect(packets.size());
    now_ns_ += kTurnNs;
    return cycles;
  }
  /// Cycles of a turn that finds no packets.
  std::uint64_t idle_turn() { return turn({}); }

  /// Sends the first packets of all flows, until they are steady.
  void establish();
  /// kTurnPackets packets of random flows, each in a random direction or all in one.
  std::span<const Send> draw(Direction direction = Direction::kBoth);
  /// A packet of every flow in each direction: no line is out of date.
  void renew_all() {
    send_to_all({});
    send_to_all({.is_reply = true});
  }
  /// Lets time pass until no flow is left.
  void end_all();
  /// Publishes the same configuration anew: the first packet of each flow finds its line out of date.
  void republish();

  const FlowShape& shape() const noexcept { return shape_; }
  const datapath::Snapshot& snapshot() const noexcept { return *publisher_.current(); }
  datapath::HandoffRings& rings() noexcept { return *rings_; }
  datapath::MemoryPool& pool() noexcept { return pool_; }
  datapath::WorkerCounters& counters() noexcept { return counters_; }
  std::uint64_t drops() const;

 private:
  /// A tuple, and the port that packets of it are sent from. Addresses as of IPv4, host order.
  struct Way {
    std::uint32_t source = 0, destination = 0;
    std::uint16_t source_port = 0, destination_port = 0;
    net::PortId port = net::kNoPort;
  };

  Way first_way(std::uint32_t flow) const;
  void send_to_all(Send packet);
  void publish();
  void make_policies();
  nat::ServiceSpec service_spec(unsigned number) const;
  void learn(net::Packet& packet, net::PortId from);
  void offer(std::span<const Send> packets);
  void collect(std::size_t expected);
  net::PortId host_port() const noexcept { return static_cast<net::PortId>(shape_.pods); }
  net::PortId uplink_port() const noexcept { return static_cast<net::PortId>(shape_.pods + 1); }
  bool is_tunnelled() const noexcept { return shape_.link != Link::kNone && shape_.link != Link::kHost; }

  FlowShape shape_;
  Tunnel tunnel_;
  datapath::MemoryPool pool_{kTurnPackets};
  datapath::Publisher publisher_{1};
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_;
  datapath::WorkerCounters counters_;
  std::vector<std::unique_ptr<datapath::MemoryPort>> ports_;
  std::unique_ptr<datapath::Worker> worker_;
  std::shared_ptr<const nat::ServiceTable> services_;
  std::shared_ptr<const policy::RuleSet> rules_;  // nullptr: no pod is isolated
  std::shared_ptr<const policy::IdentityTable> identities_;
  std::vector<net::Packet*> free_;
  std::uint32_t headroom_bytes_ = 0;
  std::vector<Way> replies_;  // [flow]
  std::vector<Send> drawn_;
  std::mt19937 random_{1};
  std::uint64_t generation_ = 0;
  std::uint64_t now_ns_ = 1'000'000'000;
};

/// Flows made already where the benchmark before had the same: ten million take a while.
FlowWorld& established_world(const FlowShape& shape);

}  // namespace millrace::perf::bench
