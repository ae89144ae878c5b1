/// Questions that a flow's first packet asks, and its line again in each epoch: who sends, where does it leave, may a
/// mapped pod be reached.
///
/// Thread:  pure functions, the owning worker. Never allocate.
#pragma once

#include "datapath/policy_check.h"
#include "datapath/snapshot.h"
#include "datapath/steer.h"
#include "datapath/turn.h"
#include "nat/flow_line.h"
#include "nat/service_table.h"
#include "net/drop.h"
#include "net/parser.h"

namespace millrace::datapath {

inline nat::SourceKind source_kind(const PortEntry& in, const auto& source, const NatRules& rules) noexcept {
  if (in.kind == PortKind::kPod) return nat::SourceKind::kPod;
  return rules.is_node(source) ? nat::SourceKind::kNode : nat::SourceKind::kExternal;
}

inline net::Ipv4 address_of(const net::IpAddress& address, net::Ipv4) noexcept { return address.v4(); }
inline net::Ipv6 address_of(const net::IpAddress& address, const net::Ipv6&) noexcept { return address.v6(); }

/// The tuple of answers to what leaves as `to`.
template <typename Key>
Key reply_key(const Key&, const nat::Translation<decltype(Key::source)>& to, std::uint8_t protocol) noexcept {
  return {to.destination, to.source, to.destination_port, to.source_port, protocol};
}

/// The port itself if it is a pod's, else kNoPort.
inline net::PortId pod_port(const Snapshot& snapshot, net::PortId id) noexcept {
  return id != net::kNoPort && snapshot.ports[id].kind == PortKind::kPod ? id : net::kNoPort;
}

/// Of packets that leave for a masquerade address and a number of its ports: whether a flow of masquerade waits for
/// them. Not for the node's own ping (its identifier may be any) nor for a ping of the node; a reply goes back to who
/// masqueraded, if it was a worker, and to the node's own socket if the question came by a port.
template <typename Line>
bool leads_to_masquerade(const Line& line) noexcept {
  if (line.is_reply()) return (line.flags & nat::line_flag::kForwarded) != 0;
  return line.key.protocol != net::ip_protocol::kIcmp && line.key.protocol != net::ip_protocol::kIcmpv6;
}

/// Where packets of this direction leave, in this epoch. `self`: whose line it is; `out`: the route of its
/// translated destination.
template <typename Line>
net::Drop take_way(const Snapshot& snapshot, WorkerId self, Line& line, net::PortId out) noexcept {
  if (out == net::kNoPort) return net::Drop::kNoRoute;
  if ((line.flags & nat::line_flag::kOutside) != 0 && line.is_reply() && is_tunnel(snapshot, out)) [[unlikely]] {
    // Another node's kernel asked, past the tunnel: the answer has to come to it the way it asked.
    out = snapshot.outside;
    if (out == net::kNoPort) return net::Drop::kNoRoute;
  }
  line.out_port = out;
  line.worker = owner_of_destination(snapshot, line.to.destination, line.to.destination_port, out);
  // Whoever tracks a packet to a tunnel sends it there, but an answer of which the question was translated elsewhere.
  if (is_tunnel(snapshot, out) && (line.flags & nat::line_flag::kForwarded) == 0) line.worker = self;
  // Complete as it leaves here: nobody else is to look for a flow of it.
  const bool is_held = snapshot.nat.holds(line.to.destination, line.to.destination_port);
  if (is_held && !leads_to_masquerade(line)) [[unlikely]]
    line.worker = self;
  line.epoch = snapshot.epoch;
  return net::Drop::kNone;
}

template <typename Line>
net::Drop find_way(const Snapshot& snapshot, WorkerId self, Line& line) noexcept {
  return take_way(snapshot, self, line, snapshot.routes.lookup(line.to.destination));
}

/// Notes whose policies said no, and counts what they keep away from the destination.
inline net::Drop note_denial(Turn& turn, const PolicyVerdict& verdict, net::PortId from, net::PortId to) noexcept {
  turn.denied_by = verdict.denied_by(from, to);
  if (verdict.drop == net::Drop::kPolicyIngress) turn.counters.port(to).denied.add(1);
  return verdict.drop;
}

/// The ingress policies of a pod that is reached through a masquerade port of another worker's: who sends cannot be
/// told any more, so nobody may.
template <typename Address>
net::Drop check_mapped_policy(Turn& turn, const Address& inside) noexcept {
  const net::PortId out = pod_port(turn.snapshot, turn.snapshot.routes.lookup(inside));
  if (out == net::kNoPort) return net::Drop::kNone;
  const PortEntry& entry = turn.snapshot.ports[out];
  if (entry.ingress == nullptr && !entry.awaits_policy) return net::Drop::kNone;
  return note_denial(turn, {net::Drop::kPolicyIngress}, net::kNoPort, out);
}

}  // namespace millrace::datapath
