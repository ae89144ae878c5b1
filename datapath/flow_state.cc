#include "datapath/flow_state.h"

#include <algorithm>

namespace millrace::datapath {
namespace {

/// Gives back what a flow holds besides its slot.
template <typename Line, typename Pool>
void release_port(const Line& original, Pool& pool) noexcept {
  if ((original.flags & nat::line_flag::kMasquerade) == 0) return;
  pool.release(original.key.protocol, original.to.source_port);
}

template <typename Table>
unsigned sweep_table(Table& table, nat::TickMs now, nat::TickMs elapsed_ms) noexcept {
  if (table.size() == 0) return 0;
  const std::uint64_t due = std::uint64_t{table.opened()} * elapsed_ms / kSweepMs + 1;
  return table.sweep(now, static_cast<unsigned>(std::min<std::uint64_t>(due, kSweepSlice)));
}

}  // namespace

FlowState::FlowState(const FlowSettings& settings, FlowCounters& counters)
    : settings_(settings),
      counters_(counters),
      v4_(settings.limit, settings.seed, settings_.timeouts, *this),
      v6_(settings.limit, settings.seed + 1, settings_.timeouts, *this),
      ports_v4_(settings.ports, settings.seed + 2),
      ports_v6_(settings.ports, settings.seed + 3),
      fragments_(settings.seed + 4),
      affinity_(nat::kAffinityTableSize, settings.seed + 5) {
  counters_.limit.set(settings.limit);
  counters_.ports_limit.set(settings.ports.count);
}

void FlowState::sweep(nat::TickMs now) noexcept {
  const nat::TickMs elapsed_ms = now - last_sweep_;
  if (elapsed_ms == 0) return;
  last_sweep_ = now;
  sweep_table(v4_, now, elapsed_ms);
  sweep_table(v6_, now, elapsed_ms);
  measure();
}

void FlowState::measure() noexcept {
  counters_.flows_v4.set(v4_.size());
  counters_.flows_v6.set(v6_.size());
  counters_.evicted.set(v4_.evicted() + v6_.evicted());
  for (unsigned i = 0; i < kPortProtocols.size(); ++i) {
    counters_.ports_v4[i].set(ports_v4_.used(kPortProtocols[i]));
    counters_.ports_v6[i].set(ports_v6_.used(kPortProtocols[i]));
  }
}

void FlowState::flow_ends(const nat::FlowLineV4& original) noexcept {
  release_port(original, ports_v4_);
  counters_.ended.add(1);
}

void FlowState::flow_ends(const nat::FlowLineV6& original) noexcept {
  release_port(original, ports_v6_);
  counters_.ended.add(1);
}

}  // namespace millrace::datapath
