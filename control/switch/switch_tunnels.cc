// SwitchState's ways to other nodes: their indexes, where they stand, and what is told of them.
#include <spdlog/spdlog.h>

#include <utility>

#include "control/switch/switch_state.h"

namespace millrace::control::switchd {
namespace {

const char* state_text(api::TunnelState state) {
  switch (state) {
    case api::TUNNEL_STATE_UP: return "up";
    case api::TUNNEL_STATE_NOT_UPLINK: return "its route leads out by an interface that is no uplink";
    case api::TUNNEL_STATE_NO_NEIGHBOR: return "nobody answers for the next hop";
    default: return "no route";
  }
}

/// People see when a node can be reached and when not; a new MAC or MTU is in ListTunnels.
void log_change(const LiveTunnel* before, const LiveTunnel& now) {
  const TunnelStanding& standing = now.standing;
  if (before != nullptr && before->standing.state == standing.state) return;
  if (before == nullptr && standing.state != api::TUNNEL_STATE_UP) return;  // its next hop is being asked for
  spdlog::info("tunnel {}: {} ({}{})", now.config->name, state_text(standing.state), now.config->remote.to_string(),
               standing.way.interface.empty() ? "" : " by " + standing.way.interface);
}

}  // namespace

void SwitchState::follow_remotes(const DesiredState& desired, const DevicePlan& plan) {
  std::set<int> uplinks;
  for (const auto& [name, device] : plan.devices) {
    if (device->open.kind == datapath::PortKind::kUplink)
      uplinks.insert(static_cast<int>(device->open.interface_number));
  }
  if (desired.tunnels == followed_ && uplinks == followed_uplinks_) return;
  std::set<net::IpAddress> remotes;
  for (const auto& [name, tunnel] : desired.tunnels->by_name) remotes.insert(tunnel->remote);
  underlay_.follow(remotes, uplinks);
  followed_ = desired.tunnels;
  followed_uplinks_ = std::move(uplinks);
}

LiveTunnels SwitchState::plan_tunnels(const DesiredState& rules, const Uplinks& uplinks) {
  LiveTunnels next;
  if (rules.tunnels->by_name.empty()) return next;
  const UnderlayWays ways = underlay_.ways();
  for (const auto& [name, config] : rules.tunnels->by_name) {
    const auto found = tunnels_.find(name);
    // commit() has seen to it that there are enough.
    const auto index =
        found == tunnels_.end() ? static_cast<datapath::TunnelIndex>(*tunnel_slots_.take()) : found->second.index;
    next.emplace(name, LiveTunnel{config, index, standing_of(*config, ways, uplinks)});
  }
  return next;
}

void SwitchState::give_back_new(const LiveTunnels& tunnels) {
  for (auto at = tunnels.rbegin(); at != tunnels.rend(); ++at) {
    if (!tunnels_.contains(at->first)) tunnel_slots_.undo_take(at->second.index);
  }
}

void SwitchState::replace_tunnels(LiveTunnels next) {
  for (const auto& [name, tunnel] : tunnels_) {
    if (!next.contains(name)) retired_tunnels_.emplace_back(generation_, tunnel.index);
  }
  for (const auto& [name, tunnel] : next) {
    const auto before = tunnels_.find(name);
    log_change(before == tunnels_.end() ? nullptr : &before->second, tunnel);
  }
  tunnels_ = std::move(next);
}

net::Result<void> SwitchState::underlay_changed() {
  Published published;
  {
    const std::lock_guard apply_lock(apply_mutex_);
    if (stopping_ || tunnels_.empty()) return {};
    free_ids();
    const Uplinks uplinks = uplinks_of(ports_);
    const UnderlayWays ways = underlay_.ways();
    bool is_same = true;
    for (const auto& [name, tunnel] : tunnels_) {
      is_same = is_same && standing_of(*tunnel.config, ways, uplinks) == tunnel.standing;
    }
    if (is_same) return {};
    published.first = published.last = generation_ + 1;
    if (auto done = publish(rules_, ports_); !done) return done;
  }
  return settle(published);
}

api::ListTunnelsReply SwitchState::list_tunnels() const {
  api::ListTunnelsReply reply;
  const std::lock_guard lock(state_mutex_);
  if (rules_.tunnels->underlay) *reply.mutable_underlay() = to_proto(*rules_.tunnels->underlay);
  for (const auto& [name, tunnel] : tunnels_) {
    api::TunnelStatus* status = reply.add_tunnels();
    *status = to_proto(tunnel);
    std::uint64_t tx_packets = 0, tx_bytes = 0, rx_packets = 0, rx_bytes = 0;
    for (const datapath::WorkerCounters* counters : workers_.counters) {
      const datapath::TunnelCounters& row = counters->tunnel(tunnel.index);
      tx_packets += row.tx_packets.get();
      tx_bytes += row.tx_bytes.get();
      rx_packets += row.rx_packets.get();
      rx_bytes += row.rx_bytes.get();
    }
    status->set_tx_packets(tx_packets);
    status->set_tx_bytes(tx_bytes);
    status->set_rx_packets(rx_packets);
    status->set_rx_bytes(rx_bytes);
  }
  return reply;
}

}  // namespace millrace::control::switchd
