/// Counters: what each worker counted for each port.
///
/// Shape:   one block a worker, one row a port; packets, bytes and events, since the port was added. Over all rows
///          rx_packets + created == tx_packets + drops + packets queued in hand-over rings.
/// Thread:  a row is written by its worker only and may be read from any thread (relaxed atomics: a reader sees
///          each number whole, not all of one instant).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "datapath/snapshot.h"
#include "net/drop.h"
#include "net/packet.h"

namespace millrace::datapath {

/// A number with one writer: add is a plain load and store, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  void reset() noexcept { set(0); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) PortCounters {
  Counter rx_packets, rx_bytes;  // taken from the port
  Counter tx_packets, tx_bytes;  // accepted by the port
  Counter answered;  // packets the switch answered itself: ARP, ND, echo, ICMP errors (packets sent as answer)
  Counter created;   // packets beyond those received: ICMP errors (also those the rate limit kept back,
                     // which are dropped as such) and the fragments of a packet after its first
  Counter denied;    // packets for this port that its ingress policies refused (dropped where they came in)
  std::array<Counter, net::kDropCount> drops;  // of packets that came in on this port, by reason
  void reset() noexcept;
};

/// Packets between this node and another: those that left by the tunnel (the uplink may not have taken them: that is a
/// drop), and those that came by it and were found right. Bytes of pods' IP packets.
struct alignas(32) TunnelCounters {
  Counter tx_packets, tx_bytes, rx_packets, rx_bytes;
  void reset() noexcept;
};

/// Protocols whose ports a masquerade hands out, each counted apart. ICMP stands for the family's own.
inline constexpr std::array<std::uint8_t, 4> kPortProtocols = {net::ip_protocol::kTcp, net::ip_protocol::kUdp,
                                                               net::ip_protocol::kSctp, net::ip_protocol::kIcmp};

/// What became of a worker's flows, and how full its tables are (of about a second ago).
struct alignas(64) FlowCounters {
  Counter created, ended;             // flows; created - ended are there
  Counter evicted;                    // of those ended: closed or half open, given up because the table was nearly full
  Counter flows_v4, flows_v6, limit;  // now, and the most there can be of each
  std::array<Counter, kPortProtocols.size()> ports_v4, ports_v6;  // masquerade ports in use
  Counter ports_limit;                                            // of each protocol and family
};

/// All rows of one worker.
class WorkerCounters {
 public:
  /// `rule_limit`: rules of policies that can be counted apart.
  explicit WorkerCounters(std::size_t port_limit, std::size_t rule_limit = 0, std::size_t tunnel_limit = 0);
  PortCounters& port(net::PortId id) noexcept { return rows_[id]; }
  const PortCounters& port(net::PortId id) const noexcept { return rows_[id]; }
  std::size_t port_limit() const noexcept { return port_limit_; }

  /// Drops of packets whose port was gone when they were dropped in a hand-over ring. A row of a removed port is not
  /// written after every worker has seen the generation without it, so control may read and reset it then.
  PortCounters& gone_ports() noexcept { return rows_[port_limit_]; }
  const PortCounters& gone_ports() const noexcept { return rows_[port_limit_]; }
  /// Where a drop of a packet is counted: kNoPort when the port it came in by is gone.
  PortCounters& row_of(net::PortId in_port) noexcept { return rows_[in_port == net::kNoPort ? port_limit_ : in_port]; }

  /// Flows that a rule of a policy let begin; policy::Rule::counter is the index, below rule_limit.
  Counter& rule(std::uint32_t index) noexcept { return rules_[index]; }
  const Counter& rule(std::uint32_t index) const noexcept { return rules_[index]; }
  std::size_t rule_limit() const noexcept { return rule_limit_; }

  /// As with the row of a port: control may reset that of a tunnel which every worker has seen go.
  TunnelCounters& tunnel(TunnelIndex index) noexcept { return tunnels_[index]; }
  const TunnelCounters& tunnel(TunnelIndex index) const noexcept { return tunnels_[index]; }
  std::size_t tunnel_limit() const noexcept { return tunnel_limit_; }

  FlowCounters flows;
  Counter loops;       // turns of the worker loop
  Counter busy_loops;  // of those, turns that moved at least one packet
  Counter sleeps;      // times the worker gave its core back
  Counter wakeups;     // times a descriptor woke it

 private:
  std::size_t port_limit_;
  std::size_t rule_limit_;
  std::size_t tunnel_limit_;
  std::unique_ptr<PortCounters[]> rows_;       // [port_limit + 1]
  std::unique_ptr<Counter[]> rules_;           // [rule_limit]
  std::unique_ptr<TunnelCounters[]> tunnels_;  // [tunnel_limit]
};

}  // namespace millrace::datapath
