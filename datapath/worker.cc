#include "datapath/worker.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "datapath/answer.h"
#include "datapath/dhcp.h"
#include "datapath/flow_scan.h"
#include "datapath/handoff.h"
#include "datapath/outbox.h"
#include "datapath/pipeline.h"
#include "datapath/poll_order.h"

namespace millrace::datapath {

namespace {

/// When the first packets of a turn are at most so many, they leave before other ports are polled: a packet that comes alone
/// does not wait for those. The others of the turn leave together.
constexpr unsigned kFewPackets = 4;

/// Packets of one ring and one stage, on their way into the pipeline.
class HandedBurst {
 public:
  void put(Turn& turn, net::Packet& packet, HandoffStage stage) noexcept {
    if (count_ == kBurst || stage != stage_) flush(turn);
    stage_ = stage;
    packets_[count_++] = &packet;
  }
  void flush(Turn& turn) noexcept {
    if (count_ > 0) from_worker(turn, stage_, {packets_.data(), count_});
    count_ = 0;
  }

 private:
  std::array<net::Packet*, kBurst> packets_;
  unsigned count_ = 0;
  HandoffStage stage_ = HandoffStage::kForwarded;
};

}  // namespace

struct Worker::State {
  State(WorkerId id, const FlowSettings& settings, Publisher& p, PacketPool& packets, HandoffRings& r,
        WorkerCounters& c)
      : self(id),
        publisher(p),
        pool(packets),
        rings(r),
        counters(c),
        outbox(id, packets, r, c, tap),
        order(c.port_limit()),
        flows(settings, c.flows) {}

  WorkerId self;
  Publisher& publisher;
  PacketPool& pool;
  HandoffRings& rings;
  WorkerCounters& counters;
  EventTap tap;
  Outbox outbox;
  PollOrder order;
  FlowState flows;
  RateLimiter icmp_errors{kIcmpErrorsPerSecond, kIcmpErrorBurst};
  RateLimiter dhcp{kDhcpPerSecond, kDhcpBurst};
  const Snapshot* snapshot = nullptr;
  std::atomic<FlowScan*> scan{nullptr};

  void go_on_scanning(nat::TickMs now, WorkerStep& step) noexcept;
  void poll_ports(Turn& turn, WorkerStep& step) noexcept;
  void drain_rings(Turn& turn, WorkerStep& step) noexcept;
  void take_handed_over(Turn& turn, const Handoff& entry, HandedBurst& burst) noexcept;
};

namespace {

/// The port or tunnel a packet meant under `generation`, or nullptr: ids are used again, and a port that came later is
/// another.
const PortEntry* same_port(const Snapshot& snapshot, net::PortId id, std::uint64_t generation) noexcept {
  if (id == net::kNoPort) return nullptr;
  const PortEntry& entry = snapshot.ports[id];
  const bool is_there = is_tunnel(snapshot, id) ? tunnel_of(snapshot, id).is_set : entry.port != nullptr;
  return is_there && entry.since_generation <= generation ? &entry : nullptr;
}

}  // namespace

void Worker::State::go_on_scanning(nat::TickMs now, WorkerStep& step) noexcept {
  FlowScan* const posted = scan.load(std::memory_order_acquire);
  if (posted == nullptr) [[likely]]
    return;
  // Taken off before it is said to be done: control may post the next one at once.
  scan.store(nullptr, std::memory_order_relaxed);
  if (scan_slice(*posted, flows, now)) return;
  scan.store(posted, std::memory_order_relaxed);
  step.is_scanning = true;
}

void Worker::State::poll_ports(Turn& turn, WorkerStep& step) noexcept {
  std::array<net::Packet*, kBurst> received;
  const auto poll = [&](net::PortId id) {
    const unsigned count = turn.snapshot.ports[id].port->receive(received);
    if (count == 0) return 0u;
    step.received += count;
    step.pending |= count == kBurst;
    from_port(turn, id, {received.data(), count});
    if (count <= kFewPackets && step.received == count) outbox.flush();
    return count;
  };
  order.turn(turn.snapshot, self, turn.now_ms(), step.received > 0, poll);
}

/// At most one outbox full from each worker in a turn, so that ports are polled in between.
void Worker::State::drain_rings(Turn& turn, WorkerStep& step) noexcept {
  const auto worker_count = static_cast<WorkerId>(rings.worker_count());  // at most kMaxWorkers
  for (WorkerId from = 0; from < worker_count; ++from) {
    if (from == self) continue;
    const std::size_t ready = rings.ready(from, self);
    std::size_t taken = 0;
    HandedBurst burst;
    for (; taken < std::min<std::size_t>(ready, kOutboxSize); ++taken) {
      const Handoff entry = rings.front(from, self);
      // From a worker that is ahead of us: its ports may not be ours yet. Our next turn knows them.
      if (entry.generation > turn.snapshot.generation) break;
      rings.pop(from, self);
      take_handed_over(turn, entry, burst);
    }
    burst.flush(turn);
    step.received += static_cast<unsigned>(taken);
    step.pending |= taken < ready;
  }
}

/// Ids that mean another port by now mean none; a packet that is lost without its port ends here.
void Worker::State::take_handed_over(Turn& turn, const Handoff& entry, HandedBurst& burst) noexcept {
  net::Packet& packet = *entry.packet;
  if (same_port(turn.snapshot, packet.in_port, entry.generation) == nullptr) packet.in_port = net::kNoPort;
  const PortEntry* out = same_port(turn.snapshot, packet.out_port, entry.generation);
  if (out == nullptr) packet.out_port = net::kNoPort;
  const bool tunnel_is_gone =
      packet.tunnel != net::kNoPort && same_port(turn.snapshot, packet.tunnel, entry.generation) == nullptr;
  if (tunnel_is_gone) packet.tunnel = net::kNoPort;
  const bool is_lost = entry.stage == HandoffStage::kArrived  ? packet.in_port == net::kNoPort || tunnel_is_gone
                       : entry.stage == HandoffStage::kAnswer ? out == nullptr || out->worker != self
                                                              : false;
  if (is_lost) {
    counters.row_of(packet.in_port).drops[static_cast<std::size_t>(net::Drop::kPortGone)].add(1);
    tap.note_drop(packet, net::Drop::kPortGone, entry.stage);
    pool.release({&entry.packet, 1});
  } else if (entry.stage == HandoffStage::kAnswer) {
    outbox.put(packet);
  } else {
    burst.put(turn, packet, entry.stage);
  }
}

Worker::Worker(WorkerId id, const FlowSettings& settings, Publisher& publisher, PacketPool& pool, HandoffRings& rings,
               WorkerCounters& counters)
    : state_(std::make_unique<State>(id, settings, publisher, pool, rings, counters)) {}

Worker::~Worker() = default;

WorkerStep Worker::step(std::uint64_t now_ns) noexcept {
  State& state = *state_;
  WorkerStep step;
  const Snapshot* const snapshot = state.publisher.current();
  if (snapshot == nullptr) return step;
  state.snapshot = snapshot;
  state.publisher.saw(state.self, snapshot->generation);

  state.tap.begin_turn(now_ns, snapshot->generation, state.self);
  state.outbox.begin(*snapshot);
  Turn turn{*snapshot,  now_ns,         state.self,   state.pool,  state.icmp_errors,
            state.dhcp, state.counters, state.outbox, state.flows, state.tap};
  state.flows.sweep(turn.now_ms());
  state.go_on_scanning(turn.now_ms(), step);
  state.drain_rings(turn, step);
  state.poll_ports(turn, step);
  state.outbox.finish();
  for (const net::PortId id : state.outbox.written()) state.order.wrote(id, turn.now_ms());

  state.counters.loops.add(1);
  if (step.received > 0) state.counters.busy_loops.add(1);
  step.has_flows = state.flows.has_flows();
  return step;
}

void Worker::post(FlowScan& scan) noexcept {
  scan.state.store(FlowScan::State::kPosted, std::memory_order_relaxed);
  state_->scan.store(&scan, std::memory_order_release);
}

const Snapshot* Worker::snapshot() const noexcept { return state_->snapshot; }
WorkerId Worker::id() const noexcept { return state_->self; }
WorkerCounters& Worker::counters() noexcept { return state_->counters; }
EventTap& Worker::tap() noexcept { return state_->tap; }

std::unique_ptr<HandoffRings, void (*)(HandoffRings*)> make_handoff_rings(
    unsigned worker_count, void (*wake)(void* context, WorkerId consumer) noexcept, void* context) {
  return {new HandoffRings(worker_count, wake, context), [](HandoffRings* rings) { delete rings; }};
}

}  // namespace millrace::datapath
