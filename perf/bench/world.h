/// World: pods on in-memory ports, and packets between them that can be played again and again.
///
/// Shape:   `endpoints` pods; pod i has port i, 10.1.0.0 + i and fd00::10.1.0.0 + i. `packet_count` packets in order of
///          the port they come from, each to a random other pod. rewind() brings them back to their first state, to be
///          sent again. At least two endpoints, or std::invalid_argument.
/// Thread:  one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "datapath/handoff.h"
#include "datapath/memory_port.h"
#include "datapath/publisher.h"
#include "datapath/snapshot_builder.h"
#include "datapath/worker.h"
#include "perf/bench/cycles.h"
#include "perf/bench/frame.h"

namespace millrace::perf::bench {

struct WorldShape {
  unsigned endpoints = 250;
  unsigned packet_count = 2048;
  std::uint32_t frame_bytes = 64;  // without frame check sequence
  Family family = Family::kIpv4;
  bool checksum_left_to_offload = false;
  datapath::FlowSettings flows{.limit = 65'536};
};

class World {
 public:
  explicit World(const WorldShape& shape);

  /// Every packet as its pod sent it: in_port set, parsed.
  const std::vector<net::Packet*>& packets() const noexcept { return packets_; }
  /// All packets back to their first state. Precondition: no port or worker holds any.
  void rewind() noexcept;
  const datapath::Snapshot& snapshot() const noexcept { return *publisher_.current(); }
  datapath::MemoryPort& port(net::PortId id) noexcept { return *ports_[id]; }
  datapath::Worker& worker() noexcept { return *worker_; }
  datapath::WorkerCounters& counters() noexcept { return counters_; }
  unsigned endpoints() const noexcept { return static_cast<unsigned>(ports_.size()); }

 private:
  /// What forwarding changes: the descriptor, and bytes of the headers.
  struct First {
    net::Packet packet;
    std::array<std::uint8_t, 128> head;
  };

  void publish();
  void write_packet(net::Packet& packet, unsigned from, unsigned to);

  WorldShape shape_;
  datapath::MemoryPool pool_;
  datapath::Publisher publisher_{1};
  std::unique_ptr<datapath::HandoffRings, void (*)(datapath::HandoffRings*)> rings_;
  datapath::WorkerCounters counters_;
  std::vector<std::unique_ptr<datapath::MemoryPort>> ports_;
  std::unique_ptr<datapath::Worker> worker_;
  std::vector<net::Packet*> packets_;
  std::vector<First> first_;
};

}  // namespace millrace::perf::bench
