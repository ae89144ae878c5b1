#include "datapath/explain.h"

#include "datapath/flow_way.h"
#include "datapath/forward.h"
#include "datapath/tunnel_in.h"
#include "net/flow_key.h"

namespace millrace::datapath {
namespace {

using net::Drop;

bool is_link_local(net::Ipv4) noexcept { return false; }
bool is_link_local(const net::Ipv6& address) noexcept { return address.is_link_local(); }

bool has_ports(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case net::ip_protocol::kTcp:
    case net::ip_protocol::kUdp:
    case net::ip_protocol::kSctp:
    case net::ip_protocol::kIcmp:
    case net::ip_protocol::kIcmpv6: return true;
    default: return false;
  }
}

/// The destination that a service gives the packet.
template <typename Key>
Drop explain_service(const Snapshot& snapshot, const Key& key, Explanation& told) noexcept {
  const bool is_in_range = snapshot.nat.service_prefixes.lookup(key.destination) != net::kNoPort;
  const auto match = snapshot.services->choose(key.source, key.destination, key.protocol, key.destination_port,
                                               told.from, key.symmetric_hash(), told.choice);
  told.is_service = match == nat::FrontendMatch::kFound || match == nat::FrontendMatch::kOutOfRange;
  switch (match) {
    case nat::FrontendMatch::kNone: return is_in_range ? Drop::kServiceNoFrontend : Drop::kNone;
    case nat::FrontendMatch::kNoPort: return is_in_range ? Drop::kServiceNoPort : Drop::kNone;
    case nat::FrontendMatch::kOutOfRange: return Drop::kSourceRange;
    case nat::FrontendMatch::kFound: break;
  }
  if (told.choice.action == nat::FrontendAction::kDrop) return Drop::kServiceDropped;
  if (told.choice.backend == nullptr) return Drop::kServiceNoBackend;
  told.translated.destination = told.choice.backend->address;
  told.translated.destination_port = told.choice.backend->port;
  told.is_masqueraded = told.choice.masquerade;
  return Drop::kNone;
}

template <typename Address>
Drop explain_way(const Snapshot& snapshot, const Address& source, const Address& destination, bool is_translated,
                 Explanation& told) noexcept {
  if (const Drop drop = check_destination(destination); drop != Drop::kNone) return drop;
  if (is_link_local(source)) return Drop::kLinkLocal;
  const net::PortId out = snapshot.routes.lookup(destination);
  if (out == net::kNoPort) return Drop::kNoRoute;
  const PortEntry& in = snapshot.ports[told.in];
  if (out == told.in && in.kind != PortKind::kTunnel) {  // by a tunnel it is transit
    if (!is_translated) return Drop::kSameRoute;
    told.is_masqueraded |= in.kind == PortKind::kPod;
  }
  told.out = out;
  const PortKind kind = snapshot.ports[out].kind;
  if (in.kind == PortKind::kUplink || in.kind == PortKind::kTunnel) {
    const net::PortId tunnel = in.kind == PortKind::kTunnel ? told.in : net::kNoPort;
    const bool becomes_ours = told.is_masqueraded && !snapshot.nat.masquerade(source).is_unspecified();
    if (is_transit(snapshot, tunnel, out, destination) && !becomes_ours) return Drop::kTunnelTransit;
  }
  const bool is_outside = kind != PortKind::kPod && kind != PortKind::kTunnel;
  told.is_masqueraded |= is_outside && in.kind == PortKind::kPod && in.masquerade &&
                         snapshot.nat.not_masqueraded.lookup(destination) == net::kNoPort;
  return Drop::kNone;
}

template <typename Key>
Drop explain_policy(const Snapshot& snapshot, const Key& key, Explanation& told) noexcept {
  using Address = decltype(Key::source);
  const net::PortId in = pod_port(snapshot, told.in);
  const net::PortId out = pod_port(snapshot, told.out);
  const Address destination = address_of(told.translated.destination, Address());
  told.source_identity = snapshot.identities->find(key.source);
  told.destination_identity = snapshot.identities->find(destination);
  told.is_to_itself = in != net::kNoPort && in == out;
  told.is_from_node = snapshot.nat.is_node(key.source);
  told.is_egress_asked = !told.is_to_itself && in != net::kNoPort && snapshot.ports[in].egress != nullptr;
  told.verdict = ask_policy(snapshot, PolicyQuestion<Address>{in, out, key.source, destination,
                                                              told.translated.destination_port, key.protocol});
  told.is_ingress_asked = !told.is_to_itself && !told.is_from_node && out != net::kNoPort &&
                          snapshot.ports[out].ingress != nullptr && told.verdict.drop != Drop::kPolicyEgress;
  return told.verdict.drop;
}

template <typename Key>
Drop explain_key(const Snapshot& snapshot, const Key& key, Explanation& told) noexcept {
  using Address = decltype(Key::source);
  told.from = source_kind(snapshot.ports[told.in], key.source, snapshot.nat);
  const net::PortId tunnel = is_tunnel(snapshot, told.in) ? told.in : net::kNoPort;
  Origin origin;
  const Drop refused = check_origin(snapshot, snapshot.ports[told.in].kind, tunnel, key.source, origin);
  if (refused != Drop::kNone) return refused;
  // A masquerade port's flow is known to its worker alone.
  if (snapshot.nat.holds(key.destination, key.destination_port)) return Drop::kNoFlow;
  if (const Drop drop = explain_service(snapshot, key, told); drop != Drop::kNone) return drop;
  const Address destination = address_of(told.translated.destination, Address());
  const bool is_translated = destination != key.destination;
  if (const Drop drop = explain_way(snapshot, key.source, destination, is_translated, told); drop != Drop::kNone) {
    return drop;
  }
  if (const Drop drop = explain_policy(snapshot, key, told); drop != Drop::kNone) return drop;
  if (is_tunnel(snapshot, told.out) && !tunnel_of(snapshot, told.out).is_resolved) return Drop::kTunnelUnresolved;
  if (!told.is_masqueraded) return Drop::kNone;
  const Address masquerade = snapshot.nat.masquerade(key.source);
  if (masquerade.is_unspecified()) {
    told.is_masqueraded = false;
    return told.out == told.in ? Drop::kSameRoute : Drop::kNone;
  }
  told.masquerade = net::IpAddress::from(masquerade);
  return has_ports(key.protocol) ? Drop::kNone : Drop::kMasqueradeProtocol;
}

}  // namespace

Explanation explain(const Snapshot& snapshot, net::PortId in, const PacketEnds& ends, std::uint8_t protocol) noexcept {
  Explanation told;
  told.in = in;
  told.translated = ends;
  if (ends.source.is_v4()) {
    told.drop = explain_key(
        snapshot,
        net::FlowKeyV4{ends.source.v4(), ends.destination.v4(), ends.source_port, ends.destination_port, protocol},
        told);
  } else {
    told.drop = explain_key(
        snapshot,
        net::FlowKeyV6{ends.source.v6(), ends.destination.v6(), ends.source_port, ends.destination_port, protocol},
        told);
  }
  return told;
}

}  // namespace millrace::datapath
