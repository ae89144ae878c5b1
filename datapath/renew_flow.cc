#include "datapath/renew_flow.h"

#include "datapath/flow_way.h"
#include "datapath/policy_check.h"

namespace millrace::datapath {
namespace {

using net::Drop;
namespace flag = nat::line_flag;

/// Whether the port has its addresses since after the flow was last judged: then the flow is that of a pod before.
bool is_later(const Snapshot& snapshot, net::PortId port, std::uint32_t epoch) noexcept {
  return port != net::kNoPort &&
         static_cast<std::int32_t>(static_cast<std::uint32_t>(snapshot.ports[port].since_generation) - epoch) > 0;
}

/// Whether a backend that is gone ends the flow: UDP only, TCP and SCTP go on to the one they have.
template <typename Line>
bool has_lost_backend(const Snapshot& snapshot, const Line& line, net::PortId in) noexcept {
  const Line& original = line.original();
  if ((line.flags & flag::kService) == 0 || original.key.protocol != net::ip_protocol::kUdp) return false;
  if (line.is_reply() || line.packets == 0) return false;
  if (in == net::kNoPort) return true;
  const nat::SourceKind from = source_kind(snapshot.ports[in], original.key.source, snapshot.nat);
  return !snapshot.services->has_backend(original.key.destination, original.key.protocol, original.key.destination_port,
                                         from, original.to.destination, original.to.destination_port);
}

/// Policy of a flow that is there. What another worker has forwarded was asked about there.
template <typename Line>
Drop ask_again(Turn& turn, const Line& line, net::PortId from, net::PortId to) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const Line& original = line.original();
  if ((line.flags & flag::kForwarded) != 0) {
    const bool is_mapped = snapshot.nat.holds(original.key.destination, original.key.destination_port);
    return is_mapped ? check_mapped_policy(turn, original.to.destination) : Drop::kNone;
  }
  const PolicyVerdict verdict = ask_policy<PolicyAsk::kVerdict>(
      snapshot, PolicyQuestion<typename Line::Address>{from, to, original.key.source, original.to.destination,
                                                       original.to.destination_port, original.key.protocol});
  if (verdict.drop == Drop::kNone) return Drop::kNone;
  if (!line.is_reply()) return note_denial(turn, verdict, from, to);
  turn.denied_by = verdict.denied_by(from, to);  // nothing was to go in there: not counted as kept away
  return verdict.drop;
}

template <typename Line>
Drop renew(Turn& turn, Line& line) noexcept {
  const Snapshot& snapshot = turn.snapshot;
  const Line& original = line.original();
  const net::PortId in = snapshot.routes.lookup(original.key.source);
  const net::PortId from = pod_port(snapshot, in);
  const net::PortId out = snapshot.routes.lookup(original.to.destination);
  const net::PortId to = pod_port(snapshot, out);
  if (is_later(snapshot, from, line.epoch) || is_later(snapshot, to, line.epoch)) return Drop::kPortGone;
  if (has_lost_backend(snapshot, line, in)) return Drop::kPortGone;
  if (snapshot.has_policies) {
    if (const Drop drop = ask_again(turn, line, from, to); drop != Drop::kNone) return drop;
  }
  return take_way(snapshot, turn.self, line, line.is_reply() ? in : out);  // a reply leaves for the one who asked
}

}  // namespace

Drop renew_line(Turn& turn, nat::FlowLineV4& line) noexcept { return renew(turn, line); }
Drop renew_line(Turn& turn, nat::FlowLineV6& line) noexcept { return renew(turn, line); }

}  // namespace millrace::datapath
