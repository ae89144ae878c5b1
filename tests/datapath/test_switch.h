/// TestSwitch: real workers over in-memory ports, stepped by the test.
///
/// Shape:   ports are described once, then publish() makes them a snapshot. Pod N < 65536 has MAC 02:00:00:00:NN:NN
///          and the addresses 10.244.N.N and fd00:10:244::N; the gateway is 169.254.1.1, fe80::1, 02:4d:52:00:00:01.
/// Law:     check_law() fails the test unless rx + created == tx + drops + queued and every packet is accounted for.
/// Thread:  one, except where a test says so.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/publisher.h"
#include "datapath/snapshot_builder.h"
#include "datapath/worker.h"
#include "tests/net/packet_builder.h"

namespace millrace::tests {

inline constexpr std::string_view kGatewayMac = "02:4d:52:00:00:01";
inline constexpr std::string_view kUplinkMac = "02:00:00:00:00:fe";
inline constexpr std::string_view kBroadcastMac = "ff:ff:ff:ff:ff:ff";
inline constexpr std::string_view kNodeV4 = "192.0.2.1";
inline constexpr std::string_view kNodeV6 = "2001:db8::1";

datapath::Gateway test_gateway();
std::string pod_mac(unsigned number);
std::string pod_v4(unsigned number);
std::string pod_v6(unsigned number);

/// Shared by the workers in equal blocks.
inline constexpr nat::PortRange kMasqueradePorts{40'000, 4'096};

struct SwitchShape {
  unsigned workers = 1;
  std::size_t port_limit = 16;
  std::size_t packets = 2048;
  std::size_t ring_size = 1024;                            // of each port, both directions
  datapath::FlowSettings flows{.limit = 1024, .seed = 1};  // .ports are each worker's block of masquerade_ports
  nat::PortRange masquerade_ports = kMasqueradePorts;
  std::size_t rule_limit = 0;  // rules of policies that are counted
  std::size_t tunnel_limit = 0;
};

/// What a port transmitted: all segments of a packet, and what it left to the port.
struct Sent {
  Bytes frame;
  net::Offload offload;
};

class TestSwitch {
 public:
  explicit TestSwitch(const SwitchShape& shape = {});
  TestSwitch(const TestSwitch&) = delete;
  ~TestSwitch();

  /// Describes a port under `id`; publish() brings it into force. Pod addresses follow from `number`.
  datapath::PortSpec& add_pod(net::PortId id, unsigned number, datapath::WorkerId worker = 0);
  /// The host port: MAC 02:00:00:00:00:ff, kNodeV4 and kNodeV6, default routes of both families.
  datapath::PortSpec& add_host(net::PortId id, datapath::WorkerId worker = 0);
  /// What is described of a port that is there.
  datapath::PortSpec& spec(net::PortId id) { return specs_.at(id); }
  /// An uplink with kUplinkMac.
  datapath::PortSpec& add_uplink(net::PortId id, datapath::WorkerId worker = 0);
  /// The node's end beside an uplink that is filtered.
  datapath::PortSpec& add_node_link(net::PortId id, datapath::WorkerId worker = 0);
  /// Id of the tunnel in routes and as a way out.
  net::PortId tunnel_id(datapath::TunnelIndex index) const {
    return static_cast<net::PortId>(shape_.port_limit + index);
  }
  /// Takes the port out of the description; its device lives until reclaim() finds that no snapshot needs it.
  void remove(net::PortId id);
  void publish();
  /// What publish() would bring into force.
  std::unique_ptr<datapath::Snapshot> build(std::uint64_t generation) const;
  /// Frees old snapshots, and devices of removed ports (their packets go back to the pool).
  std::size_t reclaim();

  /// Gives a frame to a port, in as many segments as it needs. False when the pool or the port's ring is full.
  bool send(net::PortId id, const Bytes& frame, const net::Offload& offload = {});
  /// Ids of all ports, in order.
  std::vector<net::PortId> ports() const;
  /// Everything the port transmitted.
  std::vector<Bytes> receive(net::PortId id);
  std::vector<Sent> receive_sent(net::PortId id);
  /// One turn of every worker, until none has anything pending.
  void run();
  datapath::WorkerStep step(datapath::WorkerId worker);

  std::uint64_t drops(net::Drop reason) const;
  /// Names and counts of all drops, for messages: "no_route=1".
  std::string drop_text() const;
  std::uint64_t sum(datapath::Counter datapath::PortCounters::*counter) const;
  void check_law() const;

  datapath::Worker& worker(datapath::WorkerId id) { return *workers_[id]; }
  datapath::WorkerCounters& counters(datapath::WorkerId id) { return *counters_[id]; }
  datapath::Publisher& publisher() { return publisher_; }
  datapath::HandoffRings& rings() { return *rings_; }
  datapath::MemoryPool& pool() { return pool_; }
  datapath::MemoryPort& device(net::PortId id) { return *devices_.at(id); }
  std::uint64_t generation() const { return generation_; }
  std::uint64_t now_ns = 1'000'000'000;
  /// What publish() brings into force besides ports. The ports of `nat` are those of the shape, whatever it says.
  datapath::NatSpec nat;
  std::vector<nat::ServiceSpec> services;
  std::shared_ptr<const policy::IdentityTable> identities;
  datapath::Underlay underlay;
  std::vector<datapath::UplinkSpec> uplinks;
  std::vector<datapath::TunnelSpec> tunnels;
  /// How often each worker was woken by a hand-over.
  std::array<std::atomic<unsigned>, datapath::kMaxWorkers> wakes{};

 private:
  struct Removed {
    std::unique_ptr<datapath::MemoryPort> device;
    std::uint64_t last_generation;  // of the snapshots that name it
  };

  datapath::PortSpec& add(net::PortId id, datapath::PortSpec spec);
  void empty(datapath::MemoryPort& device);

  SwitchShape shape_;
  datapath::MemoryPool pool_;
  datapath::Publisher publisher_;
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_;
  std::vector<std::unique_ptr<datapath::WorkerCounters>> counters_;
  std::vector<std::unique_ptr<datapath::Worker>> workers_;
  std::map<net::PortId, datapath::PortSpec> specs_;
  std::map<net::PortId, std::unique_ptr<datapath::MemoryPort>> devices_;
  std::vector<Removed> removed_;
  std::uint64_t generation_ = 0;
};

}  // namespace millrace::tests
