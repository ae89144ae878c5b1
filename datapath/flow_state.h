/// FlowState: everything a worker remembers between packets: its flows, the ports it masquerades with, the clients of
/// services with affinity, the fragments it follows.
///
/// Size:    fixed at construction: FlowSettings, and the named sizes of nat/.
/// Thread:  the worker; construction: control. Nothing but construction allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "datapath/counters.h"
#include "nat/affinity_table.h"
#include "nat/flow_table.h"
#include "nat/fragment_table.h"
#include "nat/port_pool.h"

namespace millrace::datapath {

inline constexpr std::size_t kDefaultFlowLimit = 1'000'000;
/// A sweep of the whole table takes about this long, in slices of at most kSweepSlice slots a turn.
inline constexpr std::uint32_t kSweepMs = 4'000;
inline constexpr unsigned kSweepSlice = 1024;
/// How soon an idle worker that has flows looks at them again.
inline constexpr std::uint32_t kIdleSweepMs = 250;

/// Settings of one worker, fixed at start.
struct FlowSettings {
  std::size_t limit = kDefaultFlowLimit;  // of each family; nat::kMinFlowLimit .. nat::kMaxFlowLimit
  std::uint64_t seed = 0;                 // of every hash: random, unless a simulation plays again
  nat::Timeouts timeouts = {};
  bool pick_up_tcp = true;      // a TCP connection whose begin was not seen goes on (after a restart of the switch)
  bool mapped_inbound = false;  // anybody may send to a masquerade port that is in use (RFC 4787 REQ-8)
  nat::PortRange ports = {};    // this worker's block, of each family's masquerade address
};

class FlowState final : public nat::FlowObserver<nat::FlowLineV4>, public nat::FlowObserver<nat::FlowLineV6> {
 public:
  FlowState(const FlowSettings& settings, FlowCounters& counters);

  nat::FlowTableV4& table(const nat::FlowLineV4*) noexcept { return v4_; }
  nat::FlowTableV6& table(const nat::FlowLineV6*) noexcept { return v6_; }
  nat::PortPool<net::Ipv4>& ports(net::Ipv4) noexcept { return ports_v4_; }
  nat::PortPool<net::Ipv6>& ports(const net::Ipv6&) noexcept { return ports_v6_; }
  nat::FragmentTable& fragments() noexcept { return fragments_; }
  nat::AffinityTable& affinity() noexcept { return affinity_; }
  const FlowSettings& settings() const noexcept { return settings_; }
  FlowCounters& counters() noexcept { return counters_; }
  bool has_flows() const noexcept { return v4_.size() + v6_.size() > 0; }

  /// Ends flows whose time is over: as many slots of both tables as the time since the last call is worth.
  void sweep(nat::TickMs now) noexcept;
  /// Brings the gauges up to date.
  void measure() noexcept;

  void flow_ends(const nat::FlowLineV4& original) noexcept override;
  void flow_ends(const nat::FlowLineV6& original) noexcept override;

 private:
  FlowSettings settings_;
  FlowCounters& counters_;
  nat::FlowTableV4 v4_;
  nat::FlowTableV6 v6_;
  nat::PortPool<net::Ipv4> ports_v4_;
  nat::PortPool<net::Ipv6> ports_v6_;
  nat::FragmentTable fragments_;
  nat::AffinityTable affinity_;
  nat::TickMs last_sweep_ = 0;
};

}  // namespace millrace::datapath
