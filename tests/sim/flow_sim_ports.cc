// Ports that are special: the uplink, whose filter takes some of what the world sends, and rings that are full.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/flow_sim.h"
#include "tests/sim/flow_sim_names.h"

namespace millrace::tests {

namespace ip_protocol = net::ip_protocol;

/// An end of the node's that is the switch's: a port of masquerade or of a frontend.
bool FlowSim::is_outside(const End& end) const {
  if (!is_node(end.address)) return false;
  return masquerade_ports_.holds(end.port) ||
         std::any_of(frontends_.begin(), frontends_.end(), [&](const Frontend& frontend) {
           return End{frontend.protocol, frontend.address, frontend.port} == end;
         });
}

/// What the filter of uplinks takes (datapath/uplink_rules.h); the rest reaches the switch by the host port.
bool FlowSim::comes_by_uplink(const Actor& actor, const Message& message) const {
  if (!has_uplink_ || actor.is_pod || is_node(message.tuple.source)) return false;
  if (message.quoted) return is_outside(source_of(*message.quoted));
  const bool is_echo = message.tuple.protocol == ip_protocol::kIcmp || message.tuple.protocol == ip_protocol::kIcmpv6;
  if (is_echo && message.speaker == Speaker::kClient) return false;
  return is_outside(source_of(message.tuple.reversed()));
}

/// What the filter took and no flow wants goes to the node, as it came: datapath/track.cc.
bool FlowSim::was_given_back(const Actor& actor, const Message& message) const {
  if (!has_uplink_ || !is_storm() || actor.is_pod || !is_node(message.tuple.destination)) return false;
  if (message.quoted) return is_outside(source_of(*message.quoted));
  return masquerade_ports_.holds(message.tuple.destination_port) && sent_.contains(message.tuple);
}

/// A worker does not turn, or a pod does not read, while others send to it: a ring fills. What it does not take is
/// dropped by name; check_law() finds whatever else is lost.
void FlowSim::squeeze() {
  constexpr int kMostTurns = 200;
  constexpr int kAtOnce = 16;
  constexpr std::uint16_t kFloodPort = 19'000;
  const Actor& victim = any_actor();
  if (!victim.is_pod) return;
  const bool holds_worker = below(2) == 0;
  const auto takes_part = [&](datapath::WorkerId worker) { return !holds_worker || worker != victim.worker; };
  const auto reason = holds_worker ? net::Drop::kHandoffRingFull : net::Drop::kTxRingFull;
  const std::uint64_t before = world_.drops(reason);
  std::vector<std::uint32_t> floods;
  for (const auto& [port, actor] : actors_) {
    if (&actor == &victim || !takes_part(actor.worker)) continue;
    floods.push_back(static_cast<std::uint32_t>(conversations_.size()));
    Conversation& flood = conversations_.emplace_back();
    flood.id = floods.back();
    flood.client = actor.incarnation;
    flood.is_probe = true;
    flood.phase = Phase::kDone;
    flood.asked = {ip_protocol::kUdp, actor.addresses[0], victim.addresses[0], kFloodPort, kFloodPort};
  }
  if (floods.empty()) return;
  note(fmt::format("pod {} is flooded, its worker {}", victim.number, holds_worker ? "waits" : "turns"));
  for (int turn = 0; turn < kMostTurns && world_.drops(reason) == before; ++turn) {
    for (const std::uint32_t id : floods) {
      for (int i = 0; i < kAtOnce; ++i) send(*actor_of(conversations_[id].client), says(conversations_[id]));
    }
    for (datapath::WorkerId id = 0; id < workers_; ++id)
      if (takes_part(id)) world_.step(id);
  }
  if (!is_storm()) { EXPECT_GT(world_.drops(reason), before) << "the ring takes what comes"; }
  world_.check_law();
}

void FlowSim::ask_again() {
  for (const std::uint32_t id : std::vector<std::uint32_t>(open_)) {
    if (Actor* const client = actor_of(conversations_[id].client)) send(*client, says(conversations_[id]));
  }
}

}  // namespace millrace::tests
