#include "datapath/begin_flow.h"

#include <array>
#include <utility>

#include "datapath/flow_way.h"
#include "datapath/forward.h"
#include "datapath/policy_check.h"
#include "datapath/tunnel_in.h"
#include "nat/sctp_state.h"
#include "nat/tcp_state.h"
#include "nat/translate.h"

namespace millrace::datapath {
namespace {

using nat::Inserted;
using net::Drop;
namespace flag = nat::line_flag;
namespace ip_protocol = net::ip_protocol;

/// What the first packet of a flow decides, until it is written down.
template <typename Line>
struct Plan {
  typename Line::Key key;
  nat::Translation<typename Line::Address> to;
  net::PortId out = net::kNoPort;
  std::uint8_t flags = 0;
  bool masquerade = false;
  bool picked_up = false;
  bool is_hairpin = false;  // leaves by the port it came by
};

template <typename Line>
Plan<Line> identity(const typename Line::Key& key) noexcept {
  return {key, {key.source, key.destination, key.source_port, key.destination_port}};
}

bool asks_for_echo(const net::Packet& packet) noexcept {
  switch (packet.headers.l4_protocol) {
    case ip_protocol::kIcmp: return packet.headers.icmp_type == net::icmp_type::kEchoRequest;
    case ip_protocol::kIcmpv6: return packet.headers.icmp_type == net::icmpv6_type::kEchoRequest;
    default: return false;
  }
}

/// Whether a masquerade can change the packet's source port or identifier.
bool has_ports(const net::Packet& packet) noexcept {
  switch (packet.headers.l4_protocol) {
    case ip_protocol::kTcp:
    case ip_protocol::kUdp:
    case ip_protocol::kSctp: return true;
    default: return asks_for_echo(packet);
  }
}

nat::FlowTimer first_timer(const auto& key) noexcept {
  constexpr std::uint16_t kFirstUnreservedPort = 1024;
  switch (key.protocol) {
    case ip_protocol::kTcp: return nat::FlowTimer::kTcpHandshake;
    case ip_protocol::kUdp:
      return key.destination_port < kFirstUnreservedPort ? nat::FlowTimer::kUdpOneShotShort
                                                         : nat::FlowTimer::kUdpOneShot;
    case ip_protocol::kSctp: return nat::FlowTimer::kSctpHandshake;
    case ip_protocol::kIcmp:
    case ip_protocol::kIcmpv6: return nat::FlowTimer::kIcmp;
    default: break;
  }
  return nat::FlowTimer::kOther;
}

/// May this packet of TCP or SCTP begin a flow?
template <typename Line>
Drop check_start(const net::Packet& packet, bool may_pick_up, Plan<Line>& plan) noexcept {
  if (!packet.headers.has_l4) return Drop::kNone;
  bool is_begin = true;
  if (plan.key.protocol == ip_protocol::kTcp) {
    const nat::TcpStart start = nat::tcp_start(packet);
    is_begin = start == nat::TcpStart::kNew;
    plan.picked_up = start == nat::TcpStart::kPickUp;
  } else if (plan.key.protocol == ip_protocol::kSctp) {
    const nat::SctpStart start = nat::sctp_start(packet);
    is_begin = start == nat::SctpStart::kNew;
    plan.picked_up = start == nat::SctpStart::kPickUp;
  }
  return is_begin || (plan.picked_up && may_pick_up) ? Drop::kNone : Drop::kNoConnection;
}

/// The backend of a client that has been given one, while it may still be chosen; else what the table chose.
template <typename Line>
nat::Backend stick(Turn& turn, const Plan<Line>& plan, nat::SourceKind from,
                   const nat::ServiceChoice& choice) noexcept {
  if (!choice.has_affinity) return *choice.backend;
  const std::uint32_t seconds = nat::ServiceTable::affinity_seconds(*choice.service);
  const std::uint64_t id = nat::ServiceTable::affinity_id(*choice.service);
  const net::IpAddress client = net::IpAddress::from(plan.key.source);
  nat::AffinityTable& table = turn.flows.affinity();
  const auto known = table.find(id, client, seconds, turn.now_ms());
  if (known &&
      turn.snapshot.services->has_backend(plan.key.destination, plan.key.protocol, plan.key.destination_port, from,
                                          address_of(known->address, plan.key.destination), known->port)) {
    return *known;
  }
  table.put(id, client, *choice.backend, turn.now_ms());
  return *choice.backend;
}

/// Destination: a frontend becomes its backend.
template <typename Line>
Drop find_backend(Turn& turn, nat::SourceKind from, Plan<Line>& plan) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const auto& key = plan.key;
  nat::ServiceChoice choice;
  const auto is_service_address = [&] { return snapshot.nat.service_prefixes.lookup(key.destination) != net::kNoPort; };
  switch (snapshot.services->choose(key.source, key.destination, key.protocol, key.destination_port, from,
                                    key.symmetric_hash(), choice)) {
    case nat::FrontendMatch::kNone: return is_service_address() ? Drop::kServiceNoFrontend : Drop::kNone;
    // An address that is the node's or a load balancer's has ports of its own besides the frontends'.
    case nat::FrontendMatch::kNoPort: return is_service_address() ? Drop::kServiceNoPort : Drop::kNone;
    case nat::FrontendMatch::kOutOfRange: return Drop::kSourceRange;
    case nat::FrontendMatch::kFound: break;
  }
  if (choice.action == nat::FrontendAction::kDrop) return Drop::kServiceDropped;
  if (choice.backend == nullptr) return Drop::kServiceNoBackend;
  const nat::Backend backend = stick(turn, plan, from, choice);
  plan.to.destination = address_of(backend.address, key.destination);
  plan.to.destination_port = backend.port;
  plan.flags |= flag::kService;
  plan.masquerade = choice.masquerade;
  return Drop::kNone;
}

/// A port of masquerade. The identifier of an echo request is its sender's choice: the node itself is asked, whatever
/// it is (RFC 5508 REQ-7: hairpins of queries are for those that translate addresses alone).
template <typename Key>
bool is_masquerade_port(const Snapshot& snapshot, const net::Packet& packet, const Key& key) noexcept {
  return snapshot.nat.holds(key.destination, key.destination_port) && !asks_for_echo(packet);
}

/// A packet to a masquerade port that no flow brought here: to the endpoint that has the port, where that is allowed.
/// Not to one that has moved to another worker: its answers would not come by here to be translated back.
template <typename Line>
Drop find_mapped(Turn& turn, bool is_allowed, Plan<Line>& plan) noexcept {
  const auto inside = turn.flows.ports(plan.key.destination).inside_of(plan.key.protocol, plan.key.destination_port);
  if (!is_allowed || !inside) return Drop::kNoFlow;
  const net::PortId out = turn.snapshot.routes.lookup(inside->address);
  if (out == net::kNoPort || owner(turn.snapshot, out) != turn.self) return Drop::kNoFlow;
  plan.to.destination = inside->address;
  plan.to.destination_port = inside->port;
  return Drop::kNone;
}

enum class PortOf : std::uint8_t { kEndpoint, kConnection };

/// Takes a port for the source: the one of its endpoint, or one for this connection alone. kNone: plan.to says it.
template <typename Line>
Drop masquerade(Turn& turn, const net::Packet& packet, PortOf whose, Plan<Line>& plan) noexcept {
  const auto address = turn.snapshot.nat.masquerade(plan.key.source);
  if (address.is_unspecified()) return plan.is_hairpin ? Drop::kSameRoute : Drop::kNone;
  if (!has_ports(packet)) return Drop::kMasqueradeProtocol;
  auto& ports = turn.flows.ports(plan.key.source);
  const nat::InsideEndpoint<typename Line::Address> inside{plan.key.source, plan.key.source_port, plan.key.protocol};
  const auto port = whose == PortOf::kEndpoint ? ports.take(inside) : ports.take_apart(inside);
  if (!port) return Drop::kSnatPortsExhausted;
  plan.to.source = address;
  plan.to.source_port = *port;
  // An echo has one identifier for both ends.
  const bool is_echo = plan.key.protocol == ip_protocol::kIcmp || plan.key.protocol == ip_protocol::kIcmpv6;
  if (is_echo) plan.to.destination_port = *port;
  plan.flags |= flag::kMasquerade;
  return Drop::kNone;
}

/// Writes the flow down.
template <typename Line>
Drop insert(Turn& turn, const net::Packet& packet, const Plan<Line>& plan, Line*& line) noexcept {
  auto& table = turn.flows.table(static_cast<const Line*>(nullptr));
  const auto reply = reply_key(plan.key, plan.to, plan.key.protocol);
  const Inserted inserted = table.insert(plan.key, reply, first_timer(plan.key), turn.now_ms(), line);
  if (inserted == Inserted::kFull) return Drop::kFlowTableFull;
  if (inserted == Inserted::kTaken) return Drop::kFlowTaken;
  Line& back = line->partner();
  line->flags |= plan.flags;
  back.flags |= plan.flags;
  nat::set_translation(*line, plan.to);
  nat::set_translation(back, {plan.key.destination, plan.key.source, plan.key.destination_port, plan.key.source_port});
  for (Line* const direction : {line, &back}) {
    direction->epoch = turn.snapshot.epoch - 1;  // without a route it is asked again
    static_cast<void>(find_way(turn.snapshot, turn.self, *direction));
  }
  if (plan.key.protocol == ip_protocol::kTcp && packet.headers.has_l4) {
    table.set_timer(*line, nat::note_tcp(*line, packet, plan.picked_up), turn.now_ms());
  }
  if (plan.key.protocol == ip_protocol::kSctp && packet.headers.has_l4) {
    table.set_timer(*line, nat::note_sctp(*line, table.timer(*line), packet), turn.now_ms());
  }
  turn.flows.counters().created.add(1);
  return Drop::kNone;
}

template <typename Line>
void release(Turn& turn, const Plan<Line>& plan) noexcept {
  if ((plan.flags & flag::kMasquerade) == 0) return;
  turn.flows.ports(plan.key.source).release(plan.key.protocol, plan.to.source_port);
}

/// A connection of which one tuple is another's already: a client that reaches one backend directly and through a
/// service, or through two addresses of a service, from one port of its own. The later one is told apart by the port
/// that the node has for the endpoint; where that is the other's, too, by one of its own. So RFC 4787 REQ-1 holds for
/// all but those that could not be at all.
template <typename Line>
Drop insert_apart(Turn& turn, const net::Packet& packet, Plan<Line>& plan, Line*& line) noexcept {
  Drop drop = insert(turn, packet, plan, line);
  if (drop == Drop::kFlowTaken && (plan.flags & flag::kMasquerade) == 0) {
    if (masquerade(turn, packet, PortOf::kEndpoint, plan) != Drop::kNone) return drop;
    drop = insert(turn, packet, plan, line);
  }
  if (drop == Drop::kFlowTaken && (plan.flags & flag::kMasquerade) != 0) {
    release(turn, plan);
    if (masquerade(turn, packet, PortOf::kConnection, plan) != Drop::kNone) return drop;
    drop = insert(turn, packet, plan, line);
  }
  if (drop != Drop::kNone) release(turn, plan);
  return drop;
}

bool stays_on_link(net::Ipv4) noexcept { return false; }  // guard.h
bool stays_on_link(const net::Ipv6& source) noexcept { return source.is_link_local(); }

/// What forwarding asks of any packet: a destination that is routed, another way out than in, a hop left.
template <typename Line>
Drop check_way(const Turn& turn, const net::Packet& packet, Plan<Line>& plan) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  if (const Drop drop = check_destination(plan.to.destination); drop != Drop::kNone) return drop;
  if (net::ethernet(packet).destination.is_multicast()) return Drop::kMulticast;
  if (stays_on_link(plan.key.source)) return Drop::kLinkLocal;
  const net::PortId out = plan.out = snapshot.routes.lookup(plan.to.destination);
  if (out == net::kNoPort) return Drop::kNoRoute;
  if (packet.headers.ttl <= 1) return Drop::kTtlExceeded;
  const PortEntry& in = snapshot.ports[packet.in_port];
  const bool is_translated = plan.to.destination != plan.key.destination;
  if (out == packet.in_port) {
    if (!is_translated) return Drop::kSameRoute;
    if (in.kind == PortKind::kPod) plan.masquerade = true;
    plan.is_hairpin = true;
  }
  const PortKind kind = snapshot.ports[out].kind;
  if (in.kind == PortKind::kUplink) {
    const bool becomes_ours = plan.masquerade && !snapshot.nat.masquerade(plan.key.source).is_unspecified();
    if (is_transit(snapshot, packet.tunnel, out, plan.to.destination) && !becomes_ours) return Drop::kTunnelTransit;
  }
  const bool is_outside = kind != PortKind::kPod && kind != PortKind::kTunnel;
  if (is_outside && in.kind == PortKind::kPod && in.masquerade &&
      snapshot.nat.not_masqueraded.lookup(plan.to.destination) == net::kNoPort) {
    plan.masquerade = true;
  }
  return Drop::kNone;
}

/// May this flow be? Counts the rules that let it begin, and what the destination's policies keep away from it.
template <typename Line>
Drop check_policy(Turn& turn, const net::Packet& packet, const Plan<Line>& plan) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  if (!snapshot.has_policies) [[likely]]
    return Drop::kNone;
  const net::PortId in = pod_port(snapshot, packet.in_port);
  const net::PortId out = pod_port(snapshot, plan.out);
  const PolicyVerdict verdict =
      ask_policy(snapshot, PolicyQuestion<typename Line::Address>{in, out, plan.key.source, plan.to.destination,
                                                                  plan.to.destination_port, plan.key.protocol});
  if (verdict.drop != Drop::kNone) return note_denial(turn, verdict, in, out);
  if (verdict.egress_rule != policy::kNoRule) {
    turn.counters.rule(snapshot.ports[in].egress->counter_of(verdict.egress_rule)).add(1);
  }
  if (verdict.ingress_rule != policy::kNoRule) {
    turn.counters.rule(snapshot.ports[out].ingress->counter_of(verdict.ingress_rule)).add(1);
  }
  return Drop::kNone;
}

/// Of a packet whose sender has been asked already: the destination's policies alone.
template <typename Line>
Drop check_stray_policy(Turn& turn, const Plan<Line>& plan) noexcept {
  const PolicyVerdict verdict =
      ask_policy(turn.snapshot,
                 PolicyQuestion<typename Line::Address>{net::kNoPort, plan.out, plan.key.source, plan.to.destination,
                                                        plan.to.destination_port, plan.key.protocol});
  return note_denial(turn, verdict, net::kNoPort, plan.out);
}

/// From this node's kernel to another node or its pods, or the other way: the kernel knows its connections, and one
/// direction may pass the switch by.
template <typename Key>
bool is_between_nodes(const Snapshot& snapshot, const net::Packet& packet, const Key& key) noexcept {
  if (packet.headers.l4_protocol != ip_protocol::kTcp && packet.headers.l4_protocol != ip_protocol::kSctp) return false;
  const net::PortId out = snapshot.routes.lookup(key.destination);
  if (packet.tunnel != net::kNoPort) return out != net::kNoPort && out == snapshot.outside;
  return snapshot.ports[packet.in_port].kind == PortKind::kHost && is_tunnel(snapshot, out);
}

template <typename Line>
Drop begin(Turn& turn, const net::Packet& packet, const typename Line::Key& key, Line*& line) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const PortEntry& in = snapshot.ports[packet.in_port];
  Plan<Line> plan = identity<Line>(key);
  Origin origin;
  if (const Drop drop = check_origin(snapshot, in.kind, packet.tunnel, key.source, origin); drop != Drop::kNone) {
    return drop;
  }
  if (origin == Origin::kOutside) plan.flags |= flag::kOutside;
  const bool may_pick_up = turn.flows.settings().pick_up_tcp || is_between_nodes(snapshot, packet, key);
  if (const Drop drop = check_start(packet, may_pick_up, plan); drop != Drop::kNone) return drop;

  if (is_masquerade_port(snapshot, packet, key)) [[unlikely]] {
    const bool is_pod = in.kind == PortKind::kPod;
    plan.masquerade = is_pod;  // RFC 4787 REQ-9 a: the other end sees an outside port
    if (snapshot.nat.worker_of(key.destination_port) == turn.self) {
      const bool is_allowed = is_pod || turn.flows.settings().mapped_inbound;
      if (const Drop drop = find_mapped(turn, is_allowed, plan); drop != Drop::kNone) return drop;
    }
  } else if (const Drop drop = find_backend(turn, source_kind(in, key.source, snapshot.nat), plan);
             drop != Drop::kNone) {
    return drop;
  }
  if (const Drop drop = check_way(turn, packet, plan); drop != Drop::kNone) return drop;
  if (const Drop drop = check_policy(turn, packet, plan); drop != Drop::kNone) return drop;
  if (plan.masquerade) {
    if (const Drop drop = masquerade(turn, packet, PortOf::kEndpoint, plan); drop != Drop::kNone) return drop;
  }
  return insert_apart(turn, packet, plan, line);
}

template <typename Line>
Drop begin_after_forwarding(Turn& turn, const net::Packet& packet, const typename Line::Key& key,
                            Line*& line) noexcept {
  line = nullptr;
  const Snapshot& snapshot = turn.snapshot;
  Plan<Line> plan = identity<Line>(key);
  plan.flags = flag::kForwarded;  // services, policy and masquerade were asked by the worker it came from
  plan.picked_up =
      key.protocol == ip_protocol::kTcp && packet.headers.has_l4 && nat::tcp_start(packet) != nat::TcpStart::kNew;
  if (is_masquerade_port(snapshot, packet, key)) {
    if (packet.is_reply) return Drop::kNoFlow;
    if (const Drop drop = find_mapped(turn, true, plan); drop != Drop::kNone) return drop;
    if (const Drop drop = check_mapped_policy(turn, plan.to.destination); drop != Drop::kNone) return drop;
  } else if (packet.out_port == net::kNoPort) {
    return Drop::kPortGone;
  } else if (snapshot.ports[packet.out_port].kind != PortKind::kPod) {
    return Drop::kNone;
  } else if (packet.is_reply) {
    // Of no flow that is known here: to the policies of whom it is for, it begins one.
    plan.out = packet.out_port;
    return check_stray_policy(turn, plan);
  }
  return insert(turn, packet, plan, line);
}

}  // namespace

Drop begin_flow(Turn& turn, const net::Packet& packet, const net::FlowKeyV4& key, nat::FlowLineV4*& line) noexcept {
  return begin(turn, packet, key, line);
}
Drop begin_flow(Turn& turn, const net::Packet& packet, const net::FlowKeyV6& key, nat::FlowLineV6*& line) noexcept {
  return begin(turn, packet, key, line);
}
Drop begin_forwarded(Turn& turn, const net::Packet& packet, const net::FlowKeyV4& key,
                     nat::FlowLineV4*& line) noexcept {
  return begin_after_forwarding(turn, packet, key, line);
}
Drop begin_forwarded(Turn& turn, const net::Packet& packet, const net::FlowKeyV6& key,
                     nat::FlowLineV6*& line) noexcept {
  return begin_after_forwarding(turn, packet, key, line);
}

}  // namespace millrace::datapath
