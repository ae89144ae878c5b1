/// PollOrder: which of its ports a worker polls in a turn. A pod that says nothing is asked less often.
///
/// Theory:  to look into the rings of thousands of silent ports costs as much as some hundred packets, and takes from
///          the second-level cache what the packets of the others need. So a turn polls
///            - the busy ports: those that gave or got a packet in the last kSilentAfterMs, and always the host port
///              and the uplink, by which many hosts talk;
///            - about kSilentPolls of the silent ones, the others in the turns that follow: every stride()-th;
///            - all of the silent ones, when nothing else had a packet: that turn has nothing better to do.
///          A silent port is busy from its first packet on.
/// Laws:    after a turn that found no packet every port has been found empty in that turn: the worker may rest. No
///          port waits for more than stride() turns. The first turn with a snapshot polls all ports.
/// Shape:   arrays of the port limit. Time goes round.
/// Thread:  the worker. Never allocates after construction.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "datapath/snapshot.h"
#include "nat/flow_line.h"

namespace millrace::datapath {

/// A port is busy for so long after its last packet: longer than an answer takes that comes from the same node.
inline constexpr nat::TickMs kSilentAfterMs = 10;
/// Silent ports that a turn polls beside others' packets, at most. Their rings come from the
/// last-level cache: about as dear as twenty packets, one part in thirty of a turn of full bursts from ten ports.
inline constexpr std::size_t kSilentPolls = 64;
/// Turns that a silent port's packet waits, at most; with no more ports than kSilentPolls it is 1.
inline constexpr std::size_t kLongestStride = kMaxPorts / kSilentPolls;

class PollOrder {
 public:
  explicit PollOrder(std::size_t port_limit) : busy_(port_limit), states_(port_limit) {}

  /// The polls of one turn of worker `self`: `poll(id)` receives from a port and returns how many packets there were.
  /// `has_work`: the turn had packets from elsewhere.
  template <typename Poll>
  void turn(const Snapshot& snapshot, WorkerId self, nat::TickMs now, bool has_work, Poll&& poll);

  /// A packet went out by this port, one of the turn's snapshot: an answer may come soon.
  void wrote(net::PortId id, nat::TickMs now) noexcept { heard(id, now); }

  static constexpr std::size_t stride(std::size_t port_count) noexcept {
    return std::max<std::size_t>((port_count + kSilentPolls - 1) / kSilentPolls, 1);
  }
  static_assert((kMaxPorts + kSilentPolls - 1) / kSilentPolls == kLongestStride);

 private:
  struct State {
    nat::TickMs last = 0;  // when it had a packet; kept when it falls silent or the snapshot changes
    bool is_busy = false;  // stands in busy_
  };

  void heard(net::PortId id, nat::TickMs now) noexcept {
    State& state = states_[id];
    state.last = now;
    if (state.is_busy) return;
    state.is_busy = true;
    busy_[busy_count_++] = id;
  }
  bool is_silent(const Snapshot& snapshot, net::PortId id, nat::TickMs now) const noexcept {
    return now - states_[id].last >= kSilentAfterMs && snapshot.ports[id].kind == PortKind::kPod;
  }
  template <typename Poll>
  void poll_all(const Snapshot& snapshot, std::span<const net::PortId> ports, nat::TickMs now, Poll&& poll);
  template <typename Poll>
  unsigned poll_busy(const Snapshot& snapshot, nat::TickMs now, Poll&& poll);
  template <typename Poll>
  unsigned poll_silent(net::PortId id, nat::TickMs now, Poll&& poll);

  std::uint64_t generation_ = 0;
  std::size_t phase_ = 0;  // of the next turn: where the first silent port that it polls stands
  std::size_t busy_count_ = 0;
  std::vector<net::PortId> busy_;  // [port limit], of which busy_count_
  std::vector<State> states_;      // [port limit]
};

/// Places change with a snapshot: what was counted by them begins anew.
template <typename Poll>
void PollOrder::poll_all(const Snapshot& snapshot, std::span<const net::PortId> ports, nat::TickMs now, Poll&& poll) {
  for (std::size_t i = 0; i < busy_count_; ++i) states_[busy_[i]].is_busy = false;
  busy_count_ = 0;
  phase_ = 0;
  for (const net::PortId id : ports) {
    const nat::TickMs last = states_[id].last;
    if (poll(id) > 0) {
      heard(id, now);
    } else if (!is_silent(snapshot, id, now)) {
      heard(id, last);
    }
  }
}

/// Those that have been silent for long leave the list; the rest keeps its order.
template <typename Poll>
unsigned PollOrder::poll_busy(const Snapshot& snapshot, nat::TickMs now, Poll&& poll) {
  unsigned received = 0;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < busy_count_; ++i) {
    const net::PortId id = busy_[i];
    if (const unsigned count = poll(id); count > 0) {
      received += count;
      states_[id].last = now;
    } else if (is_silent(snapshot, id, now)) {
      states_[id].is_busy = false;
      continue;
    }
    busy_[kept++] = id;
  }
  busy_count_ = kept;
  return received;
}

template <typename Poll>
unsigned PollOrder::poll_silent(net::PortId id, nat::TickMs now, Poll&& poll) {
  if (states_[id].is_busy) return 0;
  const unsigned count = poll(id);
  if (count > 0) heard(id, now);
  return count;
}

template <typename Poll>
void PollOrder::turn(const Snapshot& snapshot, WorkerId self, nat::TickMs now, bool has_work, Poll&& poll) {
  const std::vector<net::PortId>& ports = snapshot.polled[self];
  if (snapshot.generation != generation_) {
    generation_ = snapshot.generation;
    poll_all(snapshot, ports, now, poll);
    return;
  }
  const std::size_t every = stride(ports.size());
  unsigned received = poll_busy(snapshot, now, poll);
  for (std::size_t i = phase_; i < ports.size(); i += every) received += poll_silent(ports[i], now, poll);
  if (received == 0 && !has_work) {
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (i % every != phase_) poll_silent(ports[i], now, poll);
    }
  }
  phase_ = (phase_ + 1) % every;
}

}  // namespace millrace::datapath
